"""A panel: a title bar over composed widgets, refreshed by one thread, closed as one."""

from __future__ import annotations

import functools
import logging
import time
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import ipywidgets

from agentnb.core.forking import new_rlock
from agentnb.core.redact import redact
from agentnb.panels.base.bar import Bar, error_line
from agentnb.panels.base.fallback import snapshot
from agentnb.panels.base.live import answer_while_busy, close_all
from agentnb.panels.base.parts import widget_of
from agentnb.panels.base.refresh import Refresher
from agentnb.panels.base.saved import absolute

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["KEYS", "Panel"]

P = ParamSpec("P")
R = TypeVar("R")

_log = logging.getLogger("agentnb.panels")

VIEW: Final = "application/vnd.jupyter.widget-view+json"

KEYS: Final = (
    ("Tab", "go to the next part: a box, a button, a table"),
    ("↑ ↓ Page Up Page Down Home End", "move in a table; over its end is the next page"),
    ("Enter or a click", "choose the row"),
    ("Space", "mark the row, where rows can be marked; with Shift all from the last one"),
    ("← →", "move in the header of a table, and among its buttons; Enter orders by the column"),
    ("/", "filter the table: text, or column:text"),
    ("Esc", "close this help"),
)
"""The help text of every panel."""

FIRST_WAIT: Final = 1.0
"""Seconds that the display of a panel waits for its first content."""

_UNSEEN_AFTER: Final = 180.0
"""Seconds without a message of any view after which the panel counts as not visible."""


class Panel:
    """Widgets under a title bar, kept fresh by one thread.

    Compose it in three steps: make it, give it parts with `compose`, say with `keep_fresh` where
    its content comes from. No code runs before it is displayed.

    Parameters
    ----------
    title
        The title, also the panel's name for those who hear it.
    every
        Seconds from one refresh to the next. None: only when asked for.
    live_clicks
        Whether clicks are handled while a cell runs; they then run in a second thread.
    redactor
        Masks secrets in the text of errors.
    keys_help
        Keys of its own, each with what it does; the help has them above `KEYS`.

    Examples
    --------
    >>> from agentnb.panels import Panel, TableView
    >>> panel = Panel("Jobs")
    >>> table = TableView(["id", "state"], key="id", label="Jobs")
    >>> panel.compose(table).keep_fresh(lambda: [(1, "ready")], table.update)
    Panel('Jobs', loading)
    >>> bundle, _ = panel._repr_mimebundle_()
    >>> sorted(bundle)
    ['application/vnd.jupyter.widget-view+json', 'text/html', 'text/plain']
    >>> panel.close()
    """

    def __init__(
        self,
        title: str,
        *,
        every: float | None = None,
        live_clicks: bool = True,
        redactor: Callable[[str], str] = redact,
        keys_help: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.title = title
        self.lock = new_rlock()
        """Held while fresh content is shown. Take it to change what `show` changes too."""
        self._acting = new_rlock()
        self._live_clicks, self._redact = live_clicks, redactor
        self._load: Callable[[], Any] = lambda: None
        self._show: Callable[[Any], object] = lambda _: None
        self._state, self._reason = "loading", ""
        self._fresh_at: float | None = None
        self._closed = self._reachable = self._unseen = False
        self._ended = ""
        self._on_close: list[Callable[[], object]] = []
        self._refresher = Refresher(
            self._run,
            report=self._report,
            due=self._seen,
            every=every,
            name=f"panel-{title}",
        )
        self._boxes: dict[str, tuple[Any, Callable[[], object]]] = {}
        self._bar = Bar(
            title,
            periodic=every is not None,
            on_ask=self._asked,
            on_look=self._looked,
            on_submit=self._submitted,
            keys_help=[*keys_help, *KEYS],
        )
        self._shown_at = time.monotonic()
        self.root = ipywidgets.VBox([self._bar.widget])
        self.root.add_class("agentnb-panel")
        # The page may close what it shows (a widget manager that is torn down does).
        self._bar.widget.comm.on_close(lambda _: self.close())

    def compose(self, *parts: object) -> Panel:
        """Put these parts, widgets or views such as `TableView`, under the title bar."""
        self.root.children = [self._bar.widget, *(widget_of(part) for part in parts)]
        self._answer_while_busy()
        return self

    def keep_fresh(self, load: Callable[[], Any], show: Callable[[Any], object]) -> Panel:
        """Refresh by calling `show` with what `load` returns.

        Parameters
        ----------
        load
            Asks the service. Runs in the panel's thread, without the lock; may be slow.
        show
            Puts the answer into the parts. Runs in the panel's thread, under the lock; must not
            print or display.
        """
        self._load, self._show = load, show
        return self

    def pace(self, every: float | None) -> None:
        """Refresh every so many seconds from the next refresh on, such as while something grows."""
        self._refresher.pace(every)

    def on_close(self, callback: Callable[[], object]) -> Panel:
        """Call this once, when the panel is closed."""
        self._on_close.append(callback)
        return self

    def action(
        self, function: Callable[P, R], show: Callable[[R], object] | None = None
    ) -> Callable[P, None]:
        """Return the function as a callback whose errors are shown, followed by a refresh.

        Parameters
        ----------
        function
            Does what was asked. Runs without the lock and may be slow; one action at a time.
        show
            Puts what it returned into the parts. Runs under the lock.
        """

        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                with self._acting:
                    if self._closed:
                        return
                    self.say("")
                    answer = function(*args, **kwargs)
                    with self.lock:
                        if show is not None and not self._closed:
                            show(answer)
            except Exception as error:  # noqa: BLE001 - shown to the one who clicked
                _log.debug("action of panel %s failed", self.title, exc_info=True)
                self.say(error_line(error, self._redact), error=True)
            self.refresh()

        return run

    def on_submit(self, box: Any, callback: Callable[[], object]) -> None:
        """Call this when Shift+Enter or Ctrl+Enter is pressed in a text box, with its value set.

        In a box of one line Enter does so too.
        """
        mark = f"agentnb-submit-{len(self._boxes)}"
        self._boxes[mark] = (box, callback)
        box.add_class("agentnb-submit")
        box.add_class(mark)

    def end(self, reason: str) -> None:
        """Stop the refresh for good, since what is shown has ended. It stays to be read."""
        with self.lock:
            self._ended = reason
        self._refresher.pause()
        self._tell()

    def say(self, text: str, *, error: bool = False) -> None:
        """Show a line under the title. An empty text takes it away."""
        if not self._closed:
            self._bar.say(text, error=error)

    def refresh(self) -> None:
        """Ask for a refresh and return at once. Many requests become one."""
        self._refresher.ask()

    def pause(self) -> None:
        """Suspend the periodic refresh."""
        self._refresher.pause()
        self._tell()

    def resume(self) -> None:
        """Take the periodic refresh up again, with one at once."""
        self._refresher.pause(False)  # noqa: FBT003 - reads as what it does
        self.refresh()
        self._tell()

    def park(self, on: bool) -> None:  # noqa: FBT001 - a switch
        """Suspend the periodic refresh while nobody can see the panel, or take it up again."""
        self._unseen = on
        if on:
            self._refresher.park()
        elif self._refresher.parked:
            self._refresher.park(False)  # noqa: FBT003 - as pause
            self.refresh()

    @property
    def paused(self) -> bool:
        """Whether the periodic refresh is suspended."""
        return self._refresher.paused

    @property
    def closed(self) -> bool:
        """Whether the panel has been closed."""
        return self._closed

    @property
    def state(self) -> str:
        """``loading``, ``live``, ``paused``, ``stale: reason``, ``ended: reason`` or ``closed``."""
        if self._closed:
            return "closed"
        word, reason = self._state_now()
        return f"{word}: {reason}" if reason else word

    def _state_now(self) -> tuple[str, str]:
        if self._ended:
            return "ended", self._ended
        if self._state == "live":
            return ("paused" if self.paused else "live"), ""
        return self._state, self._reason

    def close(self) -> None:
        """Stop the thread and close every widget of the panel. Idempotent."""
        with self.lock:
            if self._closed:
                return
            self._closed = True
        self._refresher.stop()
        for callback in self._on_close:
            try:
                callback()
            except Exception:  # noqa: BLE001 - the widgets must be closed all the same
                _log.debug("closing panel %s", self.title, exc_info=True)
        with self.lock:
            close_all(self.root)

    def __repr__(self) -> str:
        return f"Panel({self.title!r}, {self.state})"

    def _ipython_display_(self) -> None:
        """Show the live view, and beneath it the copy that shows where no kernel runs.

        Two outputs, since JupyterLab prefers a widget that it cannot load over the HTML in the
        same bundle; the copy's own style sheet lets only one of the two be seen.
        """
        from IPython.display import publish_display_data

        show: Callable[[dict[str, Any]], None] = publish_display_data
        bundle, _ = self._repr_mimebundle_()
        view = bundle.pop(VIEW, None)
        if view is not None:
            # No text: viewers without widgets would show it above the copy, which has it all.
            show({VIEW: view, "text/plain": ""})
        show(bundle)

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, Any], dict[str, Any]]:
        """Give the live view, and what a saved notebook shows without a kernel."""
        if self._closed:
            return {"text/plain": repr(self)}, {}
        if not self._refresher.alive:
            self.refresh()
        self._refresher.wait(FIRST_WAIT)
        with self.lock:
            state = "" if self._state == "live" and not self._ended else f"{self.state} · "
            state += f"saved copy of {absolute(time.time())}"
            text, html = snapshot(self.root, self.title, state)
        view = {"version_major": 2, "version_minor": 0, "model_id": self.root.model_id}
        return {"text/plain": text, "text/html": html, VIEW: view}, {}

    def _run(self) -> None:
        answer = self._load()
        with self.lock:
            if not self._closed:
                self._show(answer)
                self._answer_while_busy()

    def _report(self, error: Exception | None) -> None:
        with self.lock:
            if self._closed:
                return
            if error is None:
                self._state, self._reason = "live", ""
                self._fresh_at = time.monotonic()
            else:
                _log.debug("refresh of panel %s failed", self.title, exc_info=error)
                self._state, self._reason = "stale", error_line(error, self._redact)
            self._tell()

    def _tell(self) -> None:
        with self.lock:
            if not self._closed:
                self._bar.show(*self._state_now(), at=self._fresh_at)

    def _answer_while_busy(self) -> None:
        if self._live_clicks:
            self._reachable = answer_while_busy(self.root)

    def _asked(self, what: str) -> None:
        if what == "refresh":
            self.refresh()
        elif what == "close":
            self.close()
        elif self.paused:
            self.resume()
        else:
            self.pause()

    def _submitted(self, mark: str, text: str) -> None:
        """Do what the key of a text box does.

        The page sends the text along: a box that still has the focus has not sent its own.
        """
        if mark not in self._boxes:
            return
        box, callback = self._boxes[mark]
        box.value = text
        callback()

    def _looked(self, views: int) -> None:
        """Rest while no view is open; a view that opens is given fresh content."""
        if views == 0 or self._unseen:
            self._refresher.park()
        elif self._refresher.parked:
            self._refresher.park(False)  # noqa: FBT003 - as pause
            self.refresh()

    def _seen(self) -> bool:
        """Tell whether anyone may be looking: a page that is closed says no good-bye."""
        waited = time.monotonic() - self._shown_at
        return not self._reachable or waited < _UNSEEN_AFTER or self._bar.views(_UNSEEN_AFTER) > 0
