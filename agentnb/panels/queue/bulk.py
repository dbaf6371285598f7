"""Actions on many jobs at once: those that are marked, else all that pass the filter."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from agentnb.core.errors import NotFoundError, RejectedError
from agentnb.core.format import cut
from agentnb.panels.base import Confirm, row
from agentnb.panels.base.cells import plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.queue import Queue, TaskQueue
    from agentnb.core.queue.arguments import State
    from agentnb.panels.base import Panel
    from agentnb.panels.queue.snapshot import Filter

__all__ = ["Bulk"]

_LABEL = 30  # characters of a name on a button

MOST: Final = 100_000
"""Jobs that one click does something with."""
_SAID_EVERY = 0.5


@dataclass(frozen=True, slots=True)
class BulkAction:
    """An action on jobs: its verb, its participle, and the states of the jobs that allow it.

    `usual` are the states that it applies to where the filter names none.
    """

    verb: str
    done: str
    states: tuple[str, ...]
    usual: tuple[str, ...]
    icon: str
    tooltip: str


RETRY = BulkAction(
    "Retry",
    "run again",
    ("failed", "cancelled", "completed", "delayed"),
    ("failed",),
    "repeat",
    "Run marked jobs, or all that pass the filter, now with all their attempts",
)
CANCEL = BulkAction(
    "Cancel",
    "cancelled",
    ("active", "waiting", "delayed"),
    ("active", "waiting", "delayed"),
    "ban",
    "Cancel marked jobs, or all that pass the filter",
)
REMOVE = BulkAction(
    "Remove",
    "removed",
    ("waiting", "delayed", "failed", "completed", "cancelled"),
    ("waiting", "delayed", "failed", "completed", "cancelled"),
    "trash",
    "Remove marked jobs, or all that pass the filter, with their results and logs",
)

Found = list[tuple[str, list[str]]]


class Bulk:
    """Three buttons that ask before they do.

    Parameters
    ----------
    panel
        Shows messages and errors.
    queues
        Returns the queues.
    request
        Returns the filter.
    marked
        Returns the queue, the state and the id of each job that is marked.
    forget
        Called when something was done.
    """

    def __init__(
        self,
        panel: Panel,
        queues: Callable[[], TaskQueue],
        request: Callable[[], Filter],
        marked: Callable[[], list[tuple[str, str, str]]],
        forget: Callable[[], object],
    ) -> None:
        self._panel, self._queues, self._forget = panel, queues, forget
        self._request, self._marked = request, marked
        self.retry, self.cancel, self.remove = map(self._button, (RETRY, CANCEL, REMOVE))
        self.widget = row(self.retry, self.cancel, self.remove)

    def _button(self, action: BulkAction) -> Confirm:
        return Confirm(
            self._panel,
            f"{action.verb}…",
            lambda: self._ask(action),
            lambda found: self._do(action, found),
            tooltip=action.tooltip,
            icon=action.icon,
            danger=action is not RETRY,
            back="Back",
        )

    def reset(self) -> None:
        """Take every question back, since it would be another by now."""
        for button in (self.retry, self.cancel, self.remove):
            if button.asking:
                button.reset()

    def _ask(self, action: BulkAction) -> tuple[str, Found]:
        marked, request = self._marked(), self._request()
        if marked:
            found = _of_marked(action, marked)
            which = "marked"
            beside = ""
        else:
            states = action.usual if request.state is None else (request.state,)
            states = tuple(state for state in states if state in action.states)
            found = _of_filter(self._queues(), request, states)
            which = states[0] if len(states) == 1 else ""
            beside = _beside(request)
        count = sum(len(each) for _, each in found)
        if not count:
            able = ", ".join(action.states[:-1]) + f" or {action.states[-1]}"
            raise NotFoundError(
                f"there is no {'marked ' if marked else ''}job to {action.verb.lower()}{beside}",
                service="queue",
                hint=f"it has to be {able}",
            )
        words = f"{action.verb} {count:,} {which} {'job' if count == 1 else 'jobs'}{beside}"
        more = ", there may be more" if count == MOST else ""
        return " ".join(words.split()) + more, found

    def _do(self, action: BulkAction, found: Found) -> str:
        total = sum(len(each) for _, each in found)
        done = missed = 0
        said = time.monotonic()
        try:
            for name, each in found:
                act = _act(self._queues().get_queue(name), action)
                for id_ in each:
                    try:
                        act(id_)
                    except (NotFoundError, RejectedError) as error:
                        if error.service != "queue":
                            raise
                        missed += 1
                    else:
                        done += 1
                    if time.monotonic() > said + _SAID_EVERY:
                        said = time.monotonic()
                        self._panel.say(f"{done:,} of {total:,} jobs {action.done}…")
        finally:
            self._forget()
        jobs = f"{done:,} {'job' if done == 1 else 'jobs'} {action.done}"
        return f"{jobs}; {missed:,} had gone on meanwhile" if missed else jobs


def _act(queue: Queue, action: BulkAction) -> Callable[[str], Any]:
    if action is RETRY:
        return queue.retry
    return queue.cancel if action is CANCEL else queue.remove


def _of_marked(action: BulkAction, marked: list[tuple[str, str, str]]) -> Found:
    by_queue: dict[str, list[str]] = {}
    for name, state, id_ in marked:
        if ("waiting" if state == "paused" else state) in action.states:
            by_queue.setdefault(name, []).append(id_)
    return list(by_queue.items())


def _of_filter(queues: TaskQueue, request: Filter, states: tuple[str, ...]) -> Found:
    names = queues.names() if request.queue is None else [request.queue]
    room = MOST
    found: Found = []
    for name in names:
        for state in states:
            if room > 0:
                some = queues.get_queue(name).search_ids(cast("State", state), request.text, n=room)
                room -= len(some)
                found.append((name, some))
    return found


def _beside(request: Filter) -> str:
    of = f" of {request.queue}" if request.queue else ""
    shown = cut(plain(request.text), _LABEL)
    return f"{of} with “{shown}”" if shown else of
