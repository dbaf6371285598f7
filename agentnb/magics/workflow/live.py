"""The live view of a workflow while it runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from agentnb.core.workflow.drawing import signed
from agentnb.magics.workflow.render import WorkflowView

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.workflow import Workflow

__all__ = ["Live", "follow", "look"]

_EVERY = 0.25
_MOVES = {"waiting", "delayed", "active"}


def look(workflow: Workflow) -> WorkflowView:
    """Return a workflow as it is now."""
    why = workflow.why_waiting()
    # The tasks last: those of a workflow that has ended have ended, too.
    workflow.refresh()
    why = why if workflow.state == "active" else ""
    limits = workflow.limits() if workflow.state == "active" else ()
    waits = workflow._open_waits() if workflow.state == "active" else ()  # noqa: SLF001 - for magics
    waited = workflow.waited()
    return WorkflowView(workflow, workflow.tasks, why, waited=waited, limits=limits, waits=waits)


class Live:
    """One output of a cell that shows a workflow as it goes; in a terminal, what changes.

    Parameters
    ----------
    shell
        The IPython shell.
    quiet
        Show nothing.
    """

    def __init__(self, shell: Any, *, quiet: bool = False) -> None:
        self._in_place = hasattr(shell, "kernel")
        self._quiet = quiet
        self._handle: Any = None
        self._states: dict[str, str] = {}
        self._drawn: object = None

    def show(self, view: WorkflowView) -> None:
        """Show what has changed."""
        if self._quiet:
            return
        if not self._in_place:
            self._print(view)
            return
        drawn = [(task.state, task.progress, task.message, task.attempt) for task in view.tasks]
        now = (drawn, view.standing, view.why, view.waits)
        if now != self._drawn:
            self._drawn = now
            self._display(view)

    def _print(self, view: WorkflowView) -> None:
        for task in view.tasks:
            before = self._states.get(task.name)
            self._states[task.name] = task.state
            if task.state != before and (before is not None or task.state != "blocked"):
                print(f"{view.name}: {task.name} {signed(task.state)}")  # noqa: T201 - what a terminal can show

    def _display(self, shown: object) -> None:
        from IPython.display import display

        show: Any = display
        if self._handle is None:
            self._handle = show(shown, display_id=True)
        else:
            self._handle.update(shown)

    def clear(self) -> None:
        """Leave no trace, since the result shows it all."""
        if self._handle is not None:
            self._handle.update(_Nothing())


class _Nothing:
    def __repr__(self) -> str:
        return ""

    def _repr_html_(self) -> str:
        return ""


def follow(
    workflow: Workflow,
    live: Live,
    *,
    until: Callable[[WorkflowView], bool],
    timeout: float | None = None,
) -> tuple[WorkflowView, bool]:
    """Show a workflow until it has ended or something else is so; return it, and whether in time.

    Parameters
    ----------
    workflow
        The workflow.
    live
        Where it is shown.
    until
        What else ends it.
    timeout
        Seconds; None for as long as it takes.
    """
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        view = look(workflow)
        live.show(view)
        if view.state != "active" or until(view):
            return view, True
        if end is not None and time.monotonic() >= end:
            return view, False
        time.sleep(_EVERY)


def stands_still(view: WorkflowView) -> bool:
    """Return whether nothing goes on before somebody decides, answers or resumes it."""
    states = {task.state for task in view.tasks}
    if view.standing == "paused":
        return "active" not in states
    asks = "approval" in states or any(one.kind == "ask" for one in view.waits)
    return asks and not states & _MOVES
