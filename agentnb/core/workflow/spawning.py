"""Tasks that agents spawn at run time: each is a child of the task, in its workflow."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
from collections.abc import Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, get_args, overload

import msgspec

from agentnb.core.codec import check_schema
from agentnb.core.errors import TaskFailed, UsageError
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import choice, refused, whole
from agentnb.core.work.attempt import is_suspended
from agentnb.core.workflow.children import MOST_CHILDREN, ChildState
from agentnb.core.workflow.parking import Wait
from agentnb.core.workflow.spec import Task, check_name, shown, task_of
from agentnb.core.workflow.waiting import Request, check_outside

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

    from typing_extensions import TypeForm

    from agentnb.core.workflow.execution import TaskExecution
    from agentnb.core.workflow.waiting import T, Waits

__all__ = ["Child", "Errors", "Spawning"]

Errors = Literal["raise", "return"]


@refuse_unknown("workflow")
class Child:
    """A task that an agent has spawned; made by `Context.spawn`.

    Attributes
    ----------
    id, name, agent
        The task.
    """

    def __init__(self, spawning: Spawning, state: ChildState) -> None:
        self._spawning = spawning
        self.id = state.id
        self.name = state.name
        self.agent = state.agent

    @property
    def state(self) -> str:
        """The present state of the task."""
        return self._spawning.states([self])[0].state

    @overload
    def result(self, *, type: TypeForm[T]) -> T: ...
    @overload
    def result(self, *, type: None = ...) -> Any: ...
    def result(self, *, type: Any = None) -> Any:  # noqa: A002 - the name that `Job.result` has
        """Return the result of the task; the agent is entered again once it has ended.

        Parameters
        ----------
        type
            The type to read it as; None for the one that its agent declares.

        Raises
        ------
        Parked
            It has not ended. It unwinds the agent.
        TaskFailed
            It failed. The workflow does not fail by that, since the agent was told.
        UnkeptResult
            The result could not be kept.
        """
        check_schema(type, "workflow", "type")
        self._spawning.wait([self], strict=False)
        return self._spawning.result(self, type)

    @overload
    async def aresult(self, *, type: TypeForm[T]) -> T: ...
    @overload
    async def aresult(self, *, type: None = ...) -> Any: ...
    async def aresult(self, *, type: Any = None) -> Any:  # noqa: A002 - as result
        """Await `result`."""
        check_schema(type, "workflow", "type")
        await self._spawning.await_([self], strict=False)
        return await self._spawning.call(self._spawning.result, self, type)

    def __repr__(self) -> str:
        return f"Child({self.name!r}, agent={self.agent!r})"


@refuse_unknown("workflow")
class Spawning:
    """The children of one entry of a task.

    Parameters
    ----------
    execution
        The execution of the task.
    waits
        Its waits.
    """

    def __init__(self, execution: TaskExecution, waits: Waits) -> None:
        self._execution = execution
        self._waits = waits

    def spawn(self, task: Task | Mapping[str, Any]) -> Child:
        """Make a task of the workflow at run time, as a child of this one.

        The child runs beside this task. When this task comes here again, it is given the same
        child by its name. It is skipped if this task fails, and cancelled with the workflow.

        Parameters
        ----------
        task
            The task: a `Task`, or a dict of its words. Its name is unique in the workflow and says
            what it is: the same name with other data is refused.

        Returns
        -------
        Child
            The task, with `Child.result`.

        Raises
        ------
        UsageError
            It is inside a step; the name is there with another agent or other data, or belongs
            to a task that is no child of this one; it has ``needs``; there would be more than
            10,000 children.

        Examples
        --------
        ``ctx.spawn(Task("part-2", agent="write", data=part)).result()``
        """
        self._begin(task)
        return self._spawned([task])[0]

    async def aspawn(self, task: Task | Mapping[str, Any]) -> Child:
        """Await `spawn`."""
        self._begin(task)
        found: list[Child] = await self.call(self._spawned, [task])
        return found[0]

    def _begin(self, task: Any) -> None:
        self._execution.check()
        check_outside("a child is spawned", task_of(task).name)
        self._execution.check_own_transaction()

    def map(
        self,
        agent: str,
        items: Iterable[Any],
        *,
        name: str | None = None,
        key: Callable[[Any], object] | None = None,
        max_parallel: int | None = None,
    ) -> list[Any]:
        """Return the results of an agent for each of some items, in their order.

        Each item is the data of a child, see `spawn`. The items must be the same when the task
        comes here again: keep what makes them in a step.

        Parameters
        ----------
        agent
            The name of the agent.
        items
            The data of the children.
        name
            The beginning of their names; default: that of the agent.
        key
            Given an item, returns the word that ends the name of its child, such as its id;
            default: its place among the items, from 1.
        max_parallel
            How many of them run at once at most; None for any number.

        Raises
        ------
        Parked
            They have not ended. It unwinds the agent.
        TaskFailed
            One of them failed.
        UsageError
            As of `spawn`; or two items have one key.
        """
        tasks, most = self._tasks(agent, items, name, key, max_parallel)
        if not tasks:
            return []
        self._begin(tasks[0])
        while (left := self._left(tasks, most)) is not None:
            self.wait(left, remaining=1, strict=True)
        return self.gather(self._spawned(tasks))

    async def amap(
        self,
        agent: str,
        items: Iterable[Any],
        *,
        name: str | None = None,
        key: Callable[[Any], object] | None = None,
        max_parallel: int | None = None,
    ) -> list[Any]:
        """Await `map`."""
        tasks, most = self._tasks(agent, items, name, key, max_parallel)
        if not tasks:
            return []
        self._begin(tasks[0])
        while (left := await self.call(self._left, tasks, most)) is not None:
            await self.await_(left, remaining=1, strict=True)
        return await self.agather(await self.call(self._spawned, tasks))

    def _tasks(
        self, agent: Any, items: Any, name: Any, key: Any, max_parallel: Any
    ) -> tuple[list[Task], int | None]:
        agent = check_name(agent, "an agent")
        begin = agent if name is None else check_name(name, "a task")
        if isinstance(items, str | bytes) or not isinstance(items, Iterable):
            raise refused("items", "a list", items, "workflow", "ctx.map('write', parts)")
        if key is not None and not callable(key):
            hint = "key=lambda item: item['id']"
            raise refused("key", "a function of an item", key, "workflow", hint)
        most = None
        if max_parallel is not None:
            most = whole("max_parallel", max_parallel, service="workflow", most=MOST_CHILDREN)
        given = list(islice(items, MOST_CHILDREN + 1))
        if len(given) > MOST_CHILDREN:
            allowed = f"{MOST_CHILDREN:,} items or fewer"
            raise refused("items", allowed, "more", "workflow", "give each child more of the work")
        words = (number if key is None else key(one) for number, one in enumerate(given, 1))
        tasks = [
            Task(f"{begin}-{word}", agent=agent, data=one)
            for word, one in zip(words, given, strict=True)
        ]
        return tasks, most

    def _left(self, tasks: Sequence[Task], most: int | None) -> list[Child] | None:
        """Spawn as many of some tasks as may run; return the children to wait for, if any is."""
        if most is None:
            return None
        rows = self._execution.around.creator.children(tasks)
        found = self._execution.spawn(rows, most).children
        left = [one for one in found if not one.ended]
        self._tell(found)
        if len(found) == len(tasks) and len(left) <= most:
            return None
        return [Child(self, one) for one in left]

    def _tell(self, found: Sequence[ChildState]) -> None:
        """Raise the failure of the first child that has failed."""
        for one in found:
            if one.failed:
                raise self._failure(one)

    def gather(self, children: Iterable[Child], *, errors: Errors = "raise") -> list[Any]:
        """Return the results of some children, in their order, once all have ended.

        The task is entered once for all of them.

        Parameters
        ----------
        children
            Children, see `spawn`.
        errors
            ``"raise"`` raises the first failure, and does not wait for the others; ``"return"``
            gives a `TaskFailed` in the place of a result.

        Raises
        ------
        Parked
            They have not ended. It unwinds the agent.
        TaskFailed
            One of them failed.
        UsageError
            One of them is no child.
        """
        given = _children(children, errors)
        self.wait(given, strict=errors == "raise")
        return self._gathered(given, errors)

    async def agather(
        self, children: Iterable[Child | Awaitable[Any]], *, errors: Errors = "raise"
    ) -> list[Any]:
        """Await `gather`, also of awaited waits, such as ``ctx.aask("a")``.

        All waits are come to before the task is parked, as by an `asyncio.TaskGroup`, and unlike
        by `asyncio.gather`, whose first wait leaves the others behind.
        """
        several = list(children) if isinstance(children, Iterable) else children
        if isinstance(several, list) and any(map(inspect.isawaitable, several)):
            return await self._all([_awaitable(one) for one in several], errors)
        given = _children(several, errors)
        await self.await_(given, strict=errors == "raise")
        results: list[Any] = await self.call(self._gathered, given, errors)
        return results

    async def _all(self, given: list[Awaitable[Any]], errors: Any) -> list[Any]:
        choice("errors", errors, get_args(Errors), service="workflow")
        found = await asyncio.gather(*given, return_exceptions=True)
        parked = None
        for one in found:
            if isinstance(one, BaseException) and is_suspended(one):
                parked = parked or one
            elif isinstance(one, BaseException) and errors == "raise":
                raise one
        if parked is not None:
            raise parked
        return found

    def _gathered(self, given: Sequence[Child], errors: Errors) -> list[Any]:
        states = {one.id: one for one in self.states(given)}
        if errors == "raise":
            self._tell([states[one.id] for one in given])
        return [
            self._failure(states[one.id]) if states[one.id].failed else self.result(one)
            for one in given
        ]

    # For children

    async def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Await a call to the database."""
        return await self._execution.around.threads.call(function, *args)

    def states(self, given: Sequence[Child]) -> list[ChildState]:
        """Return how some children stand, in their order."""
        found = self._execution.look_at([one.id for one in given])
        return [found[one.id] for one in given]

    def wait(self, given: Sequence[Child], *, strict: bool, remaining: int | None = None) -> None:
        """Wait until some children have ended: all, or some number of them."""
        if given:
            self._execution.check()
            check_outside("a wait", given[0].name)
            self._waits.finish(_request(given, strict=strict, remaining=remaining))

    async def await_(
        self, given: Sequence[Child], *, strict: bool, remaining: int | None = None
    ) -> None:
        """Await `wait`."""
        if given:
            self._execution.check()
            check_outside("a wait", given[0].name)
            await self._waits.afinish(_request(given, strict=strict, remaining=remaining))

    def result(self, child: Child, kind: Any = None) -> Any:
        """Return the result of a child that has ended."""
        state = self.states([child])[0]
        if state.failed:
            raise self._failure(state)
        task = self._execution.task
        return self._execution.around.results.one(task.workflow_id, child.name, kind)

    def _failure(self, child: ChildState) -> TaskFailed:
        """Return the error of a child that has failed, of which the agent is told with it."""
        self._execution.looked(child.id)
        how = f"{child.state}: {child.error}" if child.error else child.state
        return TaskFailed(
            f"child {child.name} of task {self._execution.task.name} {_HOW[child.state]}{how}",
            service="workflow",
            hint=f"workflow.task({child.name!r}) (%workflow show "
            f"{self._execution.task.workflow_id} {child.name}) has its traceback",
        )

    def _spawned(self, tasks: Sequence[Task | Mapping[str, Any]]) -> list[Child]:
        rows = self._execution.around.creator.children(tasks)
        return [Child(self, one) for one in self._execution.spawn(rows).children]


_HOW = {"failed": "", "cancelled": "was ", "skipped": "was "}


def _children(given: Any, errors: Any) -> list[Child]:
    choice("errors", errors, get_args(Errors), service="workflow")
    hint = "ctx.gather([ctx.spawn(Task('a')), ctx.spawn(Task('b'))])"
    if not isinstance(given, Iterable) or isinstance(given, str):
        raise refused("children", "a list of children", given, "workflow", hint)
    found = list(given)
    wrong = [one for one in found if not isinstance(one, Child)]
    if wrong:
        raise UsageError(
            f"children must be what ctx.spawn returns, got {shown(wrong[0])}",
            service="workflow",
            hint=hint,
        )
    return found


def _awaitable(one: Any) -> Awaitable[Any]:
    found: Awaitable[Any] = one.aresult() if isinstance(one, Child) else one
    return found


def _request(given: Sequence[Child], *, strict: bool, remaining: int | None) -> Request:
    ids = sorted({one.id for one in given})
    what = msgspec.json.encode(ids).decode()
    digest = hashlib.sha256(f"{what} {strict}".encode()).hexdigest()[:12]
    name = f"task {given[0].name}" if len(ids) == 1 else f"{len(ids)} tasks ({digest})"
    wait = Wait(
        name,
        "tasks",
        what=what,
        remaining=len(ids) if remaining is None else remaining,
        strict=strict,
    )
    return Request(wait, lambda _: None)
