"""A board of sections whose rows have keys; the page is sent what differs."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

import anywidget
import traitlets

from agentnb.core.forking import new_rlock
from agentnb.panels.agentnb.saved import board_html, board_text
from agentnb.panels.base.static import read

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["POINTS", "SECTIONS", "Board", "Item"]

Item = dict[str, Any]
"""The fields of a row, as JSON."""

SECTIONS: Final = ("needs", "cards", "queues", "workflows", "errors")
POINTS: Final = 60
"""Values of a sparkline: one for each refresh."""


class _BoardWidget(anywidget.AnyWidget):
    """The wire to the page. As with the table, its state is computed when it is asked for."""

    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)
    state = traitlets.Dict().tag(sync=True, to_json=lambda _, widget: widget.state_now())

    def __init__(self, board: Board) -> None:
        self._board = board
        super().__init__(_esm=read("board.js"), _css=read("board.css"))

    def state_now(self) -> dict[str, object]:
        return self._board.state()

    @property
    def static_label(self) -> str:
        return ""  # the text has it

    def static_html(self) -> str:
        return self._board.static_html()

    def static_text(self) -> str:
        return self._board.static_text()


class Board:
    """Rows in sections, each by its key, and a line of values for each card.

    Parameters
    ----------
    on_message
        Called with the message of a button that was clicked. It may run in a second thread.
    on_seen
        Called with whether a person can see the board, when that changes.

    Examples
    --------
    >>> board = Board(on_message=print, on_seen=print)
    >>> board.update({"needs": {"failed:mail": {"title": "2 jobs failed"}}}, points={}, at=0.0)
    >>> board.state()["order"]["needs"]
    ['failed:mail']
    >>> board.close()
    """

    def __init__(
        self, *, on_message: Callable[[dict[str, Any]], object], on_seen: Callable[[bool], object]
    ) -> None:
        self._on_message, self._on_seen = on_message, on_seen
        self._lock = new_rlock()
        self._items: dict[str, dict[str, Item]] = {name: {} for name in (*SECTIONS, "notes")}
        self._points: dict[str, deque[Sequence[int]]] = {}
        self._version = 0
        self._at = 0.0
        self._views: dict[str, bool] = {}
        self._seen = True
        self.widget = _BoardWidget(self)
        self.widget.on_msg(self._received)

    def update(
        self,
        sections: Mapping[str, Mapping[str, Item]],
        *,
        points: Mapping[str, Sequence[int]] | None = None,
        at: float,
    ) -> None:
        """Show these rows in place of the ones before. Only what differs is sent.

        Parameters
        ----------
        sections
            The rows of each section in their order, by their keys; ``notes`` has lines beside
            them. A section that is not given stays.
        points
            The newest value of the line of each card, such as calls and failed ones; those that
            are not given are zeros. None adds no value.
        at
            When this was so, in seconds since the epoch.
        """
        with self._lock:
            message = self._changes(sections)
            self._items |= {name: dict(rows) for name, rows in sections.items()}
            if points is not None:
                self._add(points)
                message["points"] = {key: list(one) for key, one in points.items() if any(one)}
            self._at = at
            self._version += 1
            if self.widget.comm is not None:
                self.widget.send({"v": self._version, "at": round(at), **message})

    def _changes(self, sections: Mapping[str, Mapping[str, Item]]) -> dict[str, object]:
        order: dict[str, list[str]] = {}
        items: dict[str, dict[str, Item]] = {}
        for name, rows in sections.items():
            known = self._items[name]
            if name != "notes" and list(known) != list(rows):
                order[name] = list(rows)
            for key, fields in rows.items():
                before = known.get(key, {})
                changed = {
                    field: value
                    for field, value in fields.items()
                    if field not in before or before[field] != value
                }
                if changed:
                    items.setdefault(name, {})[key] = changed
        return {name: value for name, value in (("order", order), ("items", items)) if value}

    def _add(self, points: Mapping[str, Sequence[int]]) -> None:
        cards = self._items["cards"]
        lines = {key: self._points.get(key) or _line() for key in cards}
        for key, line in lines.items():
            line.append(points.get(key, (0, 0)))
        self._points = lines

    def lines(self, points: Mapping[str, Sequence[int]]) -> dict[str, list[Sequence[int]]]:
        """Return the line of each card as it is once these newest values are added."""
        with self._lock:
            return {
                key: [*list(self._points.get(key, ()))[1:], value] for key, value in points.items()
            }

    def seed(self, history: Mapping[str, Sequence[Sequence[int]]]) -> None:
        """Put these values in place of the lines of all cards.

        Parameters
        ----------
        history
            The last values of each line, the newest at the end.
        """
        with self._lock:
            self._points = {key: _line(history.get(key, ())) for key in self._items["cards"]}
            self._version += 1
            if self.widget.comm is not None:
                self.widget.send({"v": self._version, "full": self.state()})

    def rows(self, section: str) -> Mapping[str, Item]:
        """Return the rows of a section by their keys."""
        return self._items[section]

    def state(self) -> dict[str, object]:
        """Return all that a new view of this board has to know."""
        with self._lock:
            return {
                "v": self._version,
                "at": round(self._at),
                "order": {name: list(self._items[name]) for name in SECTIONS},
                "items": self._items,
                "points": {key: [list(one) for one in each] for key, each in self._points.items()},
            }

    def static_html(self) -> str:
        """Return the rows as HTML that needs no kernel, style or script."""
        with self._lock:
            return board_html(self._items)

    def static_text(self) -> str:
        """Return the rows as plain text."""
        with self._lock:
            return board_text(self._items)

    def close(self) -> None:
        """Close the widget. The panel that it is in does so too."""
        self.widget.layout.close()
        self.widget.close()

    def _received(self, _: object, content: dict[str, Any], __: object) -> None:
        """Handle a message of the page, which is not trusted to be well formed."""
        what, view = content.get("do"), str(content.get("view", ""))
        if what == "full":  # a view that has missed a message
            self.widget.send({"v": self._version, "full": self.state()})
        elif what == "seen":
            self._views[view] = bool(content.get("on"))
            self._look()
        elif what == "gone":
            self._views.pop(view, None)
            self._look()
        else:
            self._on_message(content)

    def _look(self) -> None:
        seen = any(self._views.values())
        if seen != self._seen:
            self._seen = seen
            self._on_seen(seen)


def _line(values: Sequence[Sequence[int]] = ()) -> deque[Sequence[int]]:
    """Return the values of a line, zeros before them."""
    return deque([(0, 0)] * (POINTS - len(values)) + list(values), maxlen=POINTS)
