"""The grid as a notebook shows it: the live view and the saved copy."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anywidget
import traitlets

from agentnb.core.background import BackgroundThread
from agentnb.core.db.gridded import HEIGHT, ROWS
from agentnb.core.errors import UsageError
from agentnb.core.forking import new_rlock
from agentnb.core.format import cut
from agentnb.panels.base.live import answer_while_busy
from agentnb.panels.base.panel import VIEW
from agentnb.panels.base.static import packed
from agentnb.panels.grid.model import GridModel
from agentnb.panels.grid.saved import saved_html, saved_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.db import Database, Result
    from agentnb.core.db.gridded import Gridded
    from agentnb.core.grid import Grid
    from agentnb.core.hub import Hub

__all__ = ["GridPanel", "make"]

_LINGER: Final = 2.0
"""Seconds after the last click at which the thread ends."""
_PATIENCE: Final = 5.0
"""Seconds that a close waits for a sort under way."""
_LABEL: Final = 60


class _Wire(anywidget.AnyWidget):
    """The wire to the page. Its state is computed when it is asked for, never sent twice."""

    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)
    grid = traitlets.Dict().tag(sync=True, to_json=lambda _, wire: wire.panel.state())

    def __init__(self, panel: GridPanel) -> None:
        self.panel = panel
        super().__init__(_esm=packed("grid.js"), _css=packed("grid.css"))


class GridPanel:
    """A grid in a notebook. One thread answers its clicks, also while a cell runs.

    Parameters
    ----------
    asked
        The result, whose text the saved copy has, and the size of its page.
    grid
        The core's grid of it, which is closed with the panel.
    redact
        Masks secrets in the text of errors.
    reopen
        Returns the grid of all rows, where this one has some: they are asked for by a click.

    Raises
    ------
    AgentnbError
        The first page cannot be loaded.
    """

    title = "Result"

    def __init__(
        self,
        asked: Gridded,
        grid: Grid,
        *,
        redact: Callable[[str], str],
        reopen: Callable[[], Grid] | None = None,
    ) -> None:
        result = asked.result
        statement = cut(" ".join(result.statement.split()), _LABEL)
        self._label = f"Result of {statement}" if statement else "Result"
        self._text, self._note = saved_text(repr(result)), result.note
        self._lock = new_rlock()
        self._version = 0
        self._closed = False
        self._on_close: list[Callable[[], object]] = []
        self.model = GridModel(
            grid,
            label=self._label,
            note=self._note,
            rows=asked.page,
            height=asked.height,
            redact=redact,
            reopen=reopen,
        )
        self.model.open()
        self._known = self.model.state()
        self._worker = BackgroundThread(self._work, name="grid", linger=_LINGER)
        self.widget = _Wire(self)
        self.widget.on_msg(self._received)
        answer_while_busy(self.widget)
        # The page may close what it shows (a widget manager that is torn down does).
        self.widget.comm.on_close(lambda _: self.close())

    def state(self) -> dict[str, Any]:
        """Return all that a new view has to know."""
        with self._lock:
            return {**self._known, "v": self._version}

    def on_close(self, callback: Callable[[], object]) -> GridPanel:
        """Call this once, when the grid is closed."""
        self._on_close.append(callback)
        return self

    @property
    def closed(self) -> bool:
        """True once the grid has been closed."""
        return self._closed

    def close(self) -> None:
        """Close the view, and what the grid holds of its engine. Idempotent."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        # An engine of this process is closed once it is idle; a database is not waited for.
        self._worker.stop(timeout=0 if self.model.asks else _PATIENCE)
        self.model.close()
        for callback in self._on_close:
            callback()
        self.widget.layout.close()
        self.widget.close()

    def __repr__(self) -> str:
        words = "closed" if self._closed else f"{self.model.page.total:,} rows"
        return f"GridPanel({self._label!r}, {words})"

    def _ipython_display_(self) -> None:
        """Show the live view, and beneath it the copy that shows where no kernel runs.

        Two outputs for the reason that a panel has two. The rows come first; what takes longer,
        the summaries, follows in a message, and in the copy.
        """
        from IPython.display import publish_display_data

        show: Callable[[dict[str, Any]], None] = publish_display_data
        if self._closed:
            show({"text/plain": repr(self)})
            return
        view = {"version_major": 2, "version_minor": 0, "model_id": self.widget.model_id}
        show({VIEW: view, "text/plain": ""})
        self.model.summarize()
        self._send()
        show({"text/plain": self._text, "text/html": saved_html(self.model, self._note)})

    def _send(self, *, busy: bool = False) -> None:
        """Send the page what it lacks; also nothing, which tells it that it was heard."""
        with self._lock:
            if self._closed:
                return
            state = self.model.state(busy=busy)
            changed = {name: one for name, one in state.items() if one != self._known[name]}
            self._known = state
            self._version += 1
            self.widget.send({"v": self._version, "set": changed})

    def _received(self, _: object, content: dict[str, Any], __: object) -> None:
        """Handle a message of the page, which is not trusted to be well formed."""
        if content.get("do") == "full":  # a view that may have missed a message
            with self._lock:
                self.widget.send({"v": self._version, "full": True, "set": self.state()})
        elif self.model.request(content):
            self._send(busy=True)
            self._worker.wake()
        else:
            self._send(busy=self.model.pending)

    def _work(self) -> None:
        """Answer what is asked for: the newest, where several clicks came meanwhile."""
        loaded = True
        while self.model.pending and not self._closed:
            loaded = self.model.load()
            self._send(busy=self.model.pending)
        if loaded and not self._closed:
            self.model.summarize()
        self._send(busy=self.model.pending)


def make(
    hub: Hub,
    *,
    result: Result,
    database: Database | None = None,
    page: int = ROWS,
    height: int = HEIGHT,
) -> GridPanel:
    """Return the grid of a result.

    Parameters
    ----------
    hub
        Whose secrets are masked in the text of errors.
    result
        Rows of a query.
    database
        The database that has all rows, where the result was cut for display. It is asked once a
        click asks for them.
    page
        Rows on a page, 200 at most.
    height
        Greatest height of the rows in pixels; what is longer scrolls.

    Raises
    ------
    UsageError
        It is no result with columns, or a number is out of its range.
    """
    from agentnb.core.db.result import Preview, Result
    from agentnb.core.grid import open_grid

    if not isinstance(result, Result) or not result.columns:
        raise UsageError(
            f"a grid shows the rows of a query, got {type(result).__name__}"
            if not isinstance(result, Result)
            else "a grid shows the rows of a query, and this one returned no columns",
            service="panel",
            hint='hub.panel("grid", result=hub.db.query(SQL))',
        )
    asked = result.grid(page, height)
    reopen = None
    if database is not None and isinstance(result, Preview):
        reopen = partial(open_grid, result, database=database)
    grid = open_grid(result)
    try:
        return GridPanel(asked, grid, redact=hub.settings.redactor, reopen=reopen)
    except BaseException:
        grid.close()
        raise
