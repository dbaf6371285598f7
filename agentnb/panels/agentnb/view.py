"""The panel over all services, composed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from agentnb.core.errors import NotFoundError
from agentnb.core.overview.reader import OverviewReader
from agentnb.panels.agentnb.board import POINTS, Board
from agentnb.panels.agentnb.rows import PANELS, offered, sections_of
from agentnb.panels.base import HtmlBlock, Panel, button, row, stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentnb.core.hub import Hub
    from agentnb.core.overview.model import Need, Overview, ServiceCard

__all__ = ["AgentnbPanel"]

POINT_SECONDS: Final = 2.0
"""Seconds of a value of a sparkline, which shows two minutes."""
_LATE = 3
_OPENED = {
    **dict.fromkeys(("approval", "question", "silent_agents"), "workflow"),
    **dict.fromkeys(("silent", "worker"), "queue"),
}
"""The panel that shows what needs a person."""


@dataclass(frozen=True, slots=True)
class _Offer:
    """The jobs that a second click on a need retries, even if more have failed since."""

    key: str
    queue: str
    ids: Sequence[str]
    text: str


class AgentnbPanel:
    """The panel over all services; its widgets are composed in `panel`.

    Parameters
    ----------
    hub
        The hub. Nothing of it is opened by looking.
    every
        Seconds between two looks.
    """

    def __init__(self, hub: Hub, *, every: float | None = POINT_SECONDS) -> None:
        self._hub = hub
        self._reader = OverviewReader(hub)
        self._needs: dict[str, Need] = {}
        self._offer: _Offer | None = None
        self._other: Panel | None = None
        self._shown = 0.0
        self.panel = Panel("agentnb", every=every, redactor=hub.settings.redactor)
        act = self.panel.action
        self._does = {
            "act": act(self._act, self._show_answer),
            "sure": act(self._sure, self._show_answer),
            "open": act(self._open_row, self._show_other),
            "trace": act(self._trace, self._show_trace),
        }
        self.board = Board(on_message=self._received, on_seen=self._seen)
        self._hide = button("Hide the trace", act(self._hide_trace), icon="times")
        self.trace = HtmlBlock("Trace", height="480px")
        self.traced = stack(row(self._hide), self.trace)
        self.traced.layout.display = "none"
        self.other = stack()
        self.other.layout.display = "none"
        self.panel.compose(self.board, self.traced, self.other)
        self.panel.keep_fresh(self._reader.read, self._show)
        self.panel.on_close(self._close)

    def _show(self, found: Overview) -> None:
        # After a rest, what was new meanwhile is no single step.
        late = found.at - self._shown > _LATE * POINT_SECONDS
        self._shown = found.at
        points = None if late else {card.service: card.new for card in found.cards if card.opened}
        history = self._reader.history(points=POINTS, every=POINT_SECONDS) if late else None
        lines = history if history is not None else self.board.lines(points or {})
        found = replace(found, cards=[_with_failed(card, lines) for card in found.cards])
        self._needs = {one.key: one for one in found.needs}
        sections = sections_of(found)
        offer = self._offer
        if offer is not None and offer.key in sections["needs"]:
            sections["needs"][offer.key] = offered(sections["needs"][offer.key], offer.text)
        elif offer is not None:
            self._offer = None
        self.board.update(sections, points=points, at=found.at)
        if history is not None:
            self.board.seed(history)

    def _seen(self, seen: bool) -> None:  # noqa: FBT001 - as the board calls it
        self.panel.park(not seen)

    # Clicks

    def _received(self, content: dict[str, Any]) -> None:
        """Do what a button asks for; its message is not trusted to be well formed."""
        do = self._does.get(str(content.get("do")))
        if do is not None:
            do(content)

    def _act(self, content: dict[str, Any]) -> Any:
        """Do what the button of a need says, or return what it offers."""
        key = str(content.get("key"))
        need = self._needs.get(key)
        if self._offer is not None and self._offer.key == key:
            self._offer = None
            return ""
        if need is None:
            return "it was seen to meanwhile"
        if need.kind == "breaker":
            self._reader.reset_breaker(need.subject)
            return f"{need.subject} is called again"
        if need.kind == "failed":
            return self._ask(need)
        name = _OPENED.get(need.kind)
        if name is None:
            return ""
        subject = "workflow" if name == "workflow" else "queue"
        return self._make(name, {subject: need.subject})

    def _ask(self, need: Need) -> str:
        ids = self._reader.failed_jobs(need.subject)
        if not ids:
            return f"no job of {need.subject} is failed any longer"
        jobs = "job" if len(ids) == 1 else "jobs"
        text = f"Retry {len(ids):,} failed {jobs} of {need.subject}"
        self._offer = _Offer(need.key, need.subject, ids, text)
        return ""

    def _sure(self, content: dict[str, Any]) -> str:
        offer = self._offer
        if offer is None or offer.key != content.get("key"):
            return ""  # the click of another view, or one that came late
        self._offer = None
        done = self._reader.retry(offer.queue, offer.ids)
        missed = len(offer.ids) - done
        said = f"{done:,} {'job' if done == 1 else 'jobs'} of {offer.queue} run again"
        return f"{said}; {missed:,} had gone on meanwhile" if missed else said

    def _show_answer(self, answer: Any) -> None:
        if isinstance(answer, Panel):
            self._show_other(answer)
        elif answer:
            self.panel.say(answer)

    # Other panels and traces

    def _open_row(self, content: dict[str, Any]) -> Panel:
        name, key = str(content.get("name")), content.get("key")
        options = {}
        if name in {"queue", "workflow"} and isinstance(key, str):
            options = {name: key}
        return self._make(name, options)

    def _make(self, name: str, options: dict[str, str]) -> Panel:
        if name not in PANELS:
            raise NotFoundError(
                f"{name} has no panel", service="panel", hint=f"panels: {', '.join(PANELS)}"
            )
        make = import_module(f"agentnb.panels.{name}").make
        made: Panel = make(self._hub, **options)
        return made

    def _show_other(self, panel: Panel) -> None:
        """Show a panel below, in place of the one before."""
        before, self._other = self._other, panel
        panel.on_close(lambda: self._gone(panel))
        panel.refresh()
        self.other.children = [panel.root]
        self.other.layout.display = None
        if before is not None:
            before.close()

    def _gone(self, panel: Panel) -> None:
        if self._other is panel:
            self._other = None
            self.other.children = []
            self.other.layout.display = "none"

    def _trace(self, content: dict[str, Any]) -> str:
        shown: str = self._hub.trace.get(str(content.get("id")))._repr_html_()
        return shown

    def _show_trace(self, html: str) -> None:
        self.trace.show(html)
        self.traced.layout.display = None if html else "none"

    def _hide_trace(self) -> None:
        with self.panel.lock:
            self._show_trace("")

    def _close(self) -> None:
        self._reader.close()
        if self._other is not None:
            self._other.close()


def _with_failed(card: ServiceCard, lines: Mapping[str, Sequence[Sequence[int]]]) -> ServiceCard:
    """Return the card with as many failed calls as its line has, those before the panel too."""
    return replace(card, failed=sum(failed for _, failed in lines.get(card.service, ())))
