"""Requests to models that are under way, and their reservations of the budgets of a task."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from contextvars import ContextVar
from typing import TYPE_CHECKING, ClassVar, Literal
from weakref import WeakValueDictionary

from agentnb.ai.runs import Runs
from agentnb.core.forking import new_lock
from agentnb.core.workflow.context import execution_of
from agentnb.core.workflow.usage import Usage

if TYPE_CHECKING:
    import threading

    from agentnb.ai.budget import Budget
    from agentnb.core.workflow import Context

__all__ = ["Request", "Reservations"]


class Reservations:
    """The requests of a task, or of a workflow's tasks in this process, that are under way.

    Runs may be on several event loops: each change is made under a lock.
    """

    lock: ClassVar[threading.Lock] = new_lock()
    _of: ClassVar[WeakValueDictionary[str, Reservations]] = WeakValueDictionary()

    def __init__(self) -> None:
        self.under_way = 0
        self.ended = 0
        self._largest = Usage()
        self._waiting: list[Future[None]] = []

    @classmethod
    def of(cls, name: str) -> Reservations:
        """Return those of a name, the same while anybody has them."""
        with cls.lock:
            return cls._of.setdefault(name, cls())

    def expected(self, used: Usage) -> Usage:
        """Return the use of the largest request so far; at least the average of all."""
        number = max(1, used.requests)
        cost = None if used.cost is None else used.cost / number
        return _larger(self._largest, Usage(1, -(-used.tokens // number), cost=cost))

    def wake_after_next(self, waiting: Future[None]) -> None:
        """Have a wait end when the next request has ended."""
        self._waiting.append(waiting)

    def end(self, usage: Usage | None) -> None:
        """Note that a request has ended, and wake those that wait for it."""
        if usage is not None:
            self._largest = _larger(self._largest, usage)
        self.under_way -= 1
        self.ended += 1
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if one.set_running_or_notify_cancel():
                one.set_result(None)


def _larger(one: Usage, other: Usage) -> Usage:
    """Return the larger tokens and the larger cost of two requests."""
    costs = [cost for cost in (one.cost, other.cost) if cost is not None]
    return Usage(1, max(one.tokens, other.tokens), cost=max(costs, default=None))


_AROUND: ContextVar[Request | None] = ContextVar("agentnb_request", default=None)
"""The request with a budget that code runs within; it may have ended."""


class Request:
    """A request to a model, within the budgets of its task.

    Parameters
    ----------
    ctx
        The context of the task.
    budgets
        The budgets.

    Attributes
    ----------
    usage
        The use that its answer has told of; None before that.
    is_under_way
        True from its begin to its end.
    around
        The request under way that it is made within; None if there is none.
    """

    def __init__(self, ctx: Context, budgets: tuple[Budget, ...]) -> None:
        self.usage: Usage | None = None
        self._budgets = budgets
        self._execution = execution_of(ctx)
        self._names = {"task": ctx.task.name, "workflow": ctx.task.workflow_id}
        runs = Runs.of(ctx)
        self._all: dict[Literal["task", "workflow"], Reservations] = {}
        for one in budgets:
            name = f"{one.of} {ctx.task.id if one.of == 'task' else ctx.task.workflow_id}"
            self._all[one.of] = runs.reservations.setdefault(one.of, Reservations.of(name))
        self.is_under_way = False
        self.around = _AROUND.get()
        while self.around is not None and not self.around.is_under_way:
            self.around = self.around.around

    async def begin(self) -> None:
        """Reserve the request; wait for others where the budgets may not hold all of them.

        Raises
        ------
        Final
            A budget is used up.
        """
        while (waiting := await self._refused()) is not None:
            await asyncio.wrap_future(waiting)
        if self._budgets:
            _AROUND.set(self)

    async def _refused(self) -> Future[None] | None:
        """Reserve the request and return None, or return what ends with a request under way."""
        before = self._ended()
        used = {
            of: await self._execution.around.threads.call(self._execution.usage, of)
            for of in self._all
        }
        with Reservations.lock:
            waiting: Future[None] = Future()
            if self._ended() != before:  # its use may not be among what was read
                waiting.set_result(None)
                return waiting
            # One that waited for the request around it would wait for ever.
            waits = self.around is None
            for budget in self._budgets:
                under_way = 0 if waits else self._all[budget.of].under_way
                budget.check(used[budget.of], self._names[budget.of], under_way)
            for budget in self._budgets * waits:
                others = self._all[budget.of]
                use = used[budget.of]
                if not budget.fits(use, others.under_way, others.expected(use)):
                    others.wake_after_next(waiting)
                    return waiting
            for one in self._all.values():
                one.under_way += 1
            self.is_under_way = True
            return None

    def _ended(self) -> list[int]:
        return [one.ended for one in self._all.values()]

    def end(self) -> None:
        """Give back the reservation, once the use is recorded or the request has failed."""
        if self.is_under_way:
            self.is_under_way = False
            with Reservations.lock:
                for one in self._all.values():
                    one.end(self.usage)
