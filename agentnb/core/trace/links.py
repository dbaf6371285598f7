"""Links of tasks: the attempts by which the tasks that one needed were done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from agentnb.core.trace.spans import Span

__all__ = ["TaskLinks"]

_MOST_LINKS: Final = 20
_MOST_TASKS: Final = 10_000


class TaskLinks:
    """Knows by which attempt each task was done: a task has the names of those that it needed.

    Parameters
    ----------
    most
        The number of tasks that are known; the oldest are forgotten first. None for all.

    Examples
    --------
    >>> from agentnb.core.trace import Tracer
    >>> tracer, links = Tracer(), TaskLinks()
    >>> about = {"workflow": 7, "service": "workflow", "kind": "work"}
    >>> with tracer.span("task", task="plan", **about) as plan:
    ...     pass
    >>> with tracer.span("task", task="build", needs=["plan"], **about) as build:
    ...     pass
    >>> links.add(plan)
    >>> links.link(build)
    >>> build.links == (plan.span_id,)
    True
    """

    def __init__(self, most: int | None = _MOST_TASKS) -> None:
        self._done: dict[tuple[object, object], str] = {}
        self._most = most

    def add(self, span: Span) -> None:
        """Note by which attempt a task was done; other spans are left out."""
        if not _is_task(span) or span.failed or not span.attributes:
            return
        self._done[span.attributes.get("workflow"), span.attributes.get("task")] = span.span_id
        if self._most is not None and len(self._done) > self._most:
            self._done.pop(next(iter(self._done)), None)

    def link(self, span: Span) -> None:
        """Link an attempt at a task to those that did what it needed, as far as they are known."""
        needs = (span.attributes or {}).get("needs")
        if span.links or not _is_task(span) or not isinstance(needs, list | tuple):
            return
        workflow = (span.attributes or {}).get("workflow")
        found = (self._done.get((workflow, need)) for need in needs)
        span.links = tuple(one for one in found if one is not None)[:_MOST_LINKS]


def _is_task(span: Span) -> bool:
    return span.name == "task" and span.service == "workflow"
