"""The runs of agents within an attempt at a task, and the names of their steps.

A step is found again by its name, so no name may depend on the order in which things end. A run is
numbered when it starts; its requests are counted within it, since they follow each other; the
calls of its tools have the turn and the call id that the model gave them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, ClassVar
from weakref import WeakKeyDictionary

from agentnb.core.forking import new_lock
from agentnb.core.workflow.stepping import current_step

if TYPE_CHECKING:
    from agentnb.ai.reserving import Reservations
    from agentnb.core.workflow import Context

__all__ = ["Run", "Runs", "short"]

_LONGEST = 200
_KEPT = 150


class Run:
    """A run of an agent within an attempt.

    Parameters
    ----------
    prefix
        The beginning of the names of its steps.
    run_id
        Its id, the same in each attempt.

    Attributes
    ----------
    prefix, run_id
        As above.
    """

    def __init__(self, prefix: str, run_id: str) -> None:
        self.prefix = prefix
        self.run_id = run_id
        self._counts: Counter[str] = Counter()
        self._names: Counter[str] = Counter()

    def next(self, kind: str) -> str:
        """Return the name of the next step of a kind, such as ``bot.1/model.2``."""
        self._counts[kind] += 1
        return short(f"{self.prefix}/{kind}.{self._counts[kind]}")

    def named(self, name: str) -> str:
        """Return the name of a step with a name of its own; of one used twice with a number."""
        name = f"{self.prefix}/{name}"
        self._names[name] += 1
        number = self._names[name]
        return short(name if number == 1 else f"{name} {number}")


class Runs:
    """The runs of one attempt.

    Parameters
    ----------
    task
        The id of the task.

    Attributes
    ----------
    reservations
        The requests of the task and of its workflow that are under way, by what they belong to.
    """

    _all: ClassVar[WeakKeyDictionary[Context, Runs]] = WeakKeyDictionary()
    _lock = new_lock()

    def __init__(self, task: str) -> None:
        self._task = task
        self.reservations: dict[str, Reservations] = {}
        self._started: Counter[str] = Counter()
        self._runs: dict[tuple[str, str], Run] = {}

    @classmethod
    def of(cls, ctx: Context) -> Runs:
        """Return the runs of the attempt of a context."""
        with cls._lock:
            found = cls._all.get(ctx)
            if found is None:
                found = cls._all[ctx] = cls(ctx.task.id)
            return found

    def start(self, agent: str, run_id: str | None = None) -> Run:
        """Return a run that starts: the next of its agent, within the step that calls it."""
        step = current_step()
        around = agent if step is None else f"{step}/{agent}"
        self._started[around] += 1
        prefix = f"{around}.{self._started[around]}"
        run = Run(prefix, run_id or f"{self._task}:{prefix}")
        self._runs[agent, run.run_id] = run
        return run

    def find(self, agent: str, run_id: str | None) -> Run:
        """Return a run by the id that it has; one that is not known starts now."""
        found = self._runs.get((agent, run_id or ""))
        return self.start(agent, run_id) if found is None else found


def short(name: str) -> str:
    """Return a name that a step may have: what is too long ends in a digest of all of it.

    >>> len(short("a" * 500)), short("bot.1/model.1")
    (167, 'bot.1/model.1')
    """
    name = "".join(char if char.isprintable() else "?" for char in name)
    if len(name) <= _LONGEST:
        return name
    return f"{name[:_KEPT]}~{hashlib.sha256(name.encode()).hexdigest()[:16]}"
