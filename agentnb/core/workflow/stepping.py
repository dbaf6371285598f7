"""Steps of a task: functions that are called once, even if the task runs again."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, cast, overload

from agentnb.core.codec import declared
from agentnb.core.errors import UsageError
from agentnb.core.keywords import refuse_unknown
from agentnb.core.workflow.spec import check_step

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from agentnb.core.callthreads import CallThreads
    from agentnb.core.codec import TypeCodec
    from agentnb.core.workflow.execution import TaskExecution

__all__ = ["Stepping", "TypedSteps"]

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class TypedSteps(Protocol[R_co]):
    """Steps whose results are of one type; made by ``Context.with_options(returns=)``."""

    def step(
        self, name: str, function: Callable[P, object], *args: P.args, **options: P.kwargs
    ) -> R_co:
        """Call a function once; see `Stepping.step`."""

    async def astep(
        self, name: str, function: Callable[P, object], *args: P.args, **options: P.kwargs
    ) -> R_co:
        """Await a step; see `Stepping.step`."""


@refuse_unknown("workflow")
class Stepping:
    """Calls the steps of an attempt; made by `Context.with_options`.

    Parameters
    ----------
    execution
        The execution of the task.
    names
        The names of the steps that this attempt has begun.
    is_async
        Whether `step` returns an awaitable.
    returns
        The type of the steps' results; None for that of the function's annotation.
    """

    def __init__(
        self, execution: TaskExecution, names: set[str], *, is_async: bool, returns: Any = None
    ) -> None:
        self._execution = execution
        self._names = names
        self._async = is_async
        self._returns = returns

    def step(self, name: str, function: Callable[P, R], *args: P.args, **options: P.kwargs) -> R:
        """Call a function once for this task, even if the task runs again; return its result.

        A result that is known from an earlier attempt is returned and nothing is called. A worker
        that dies between the call and the keeping of its result has it called again. The result
        is given as it is kept, to the first attempt as well: of the type that the function's
        return annotation, or ``with_options(returns=)``, declares, else as plain JSON.

        Parameters
        ----------
        name
            The name of the step, unique within the task.
        function
            ``def`` or ``async def``.
        *args, **options
            Given to it.

        Returns
        -------
        object
            The result; in an asynchronous agent an awaitable of it. For a type checker it is of
            the type that the function returns; `astep` suits functions of both kinds.

        Raises
        ------
        UsageError
            The name is taken by another step of this attempt, no JSON can be read as the declared
            type, or the agent's own transaction is open on the same SQLite file; nothing was
            called.
        UnkeptResult
            The step is done, in this attempt or an earlier one, and its result could not be
            kept. `Workflow.forget` lets it be called again.
        RejectedError
            The task was cancelled, or given to another worker.
        """
        codec = self._begin(name, function)
        if self._async:
            return cast("R", self._astep(str(name), codec, function, args, options))
        self._execution.check()
        found = self._execution.step_result(name, codec)
        if found is not None:
            return cast("R", found[0])
        self._execution.check_own_transaction()
        with self._span(name):
            result = self._execution.around.loop.call(lambda: function(*args, **options))
        return cast("R", self._execution.keep_step(name, result, codec))

    @overload
    async def astep(
        self,
        name: str,
        function: Callable[P, Coroutine[Any, Any, R]],
        *args: P.args,
        **options: P.kwargs,
    ) -> R: ...
    @overload
    async def astep(
        self, name: str, function: Callable[P, R], *args: P.args, **options: P.kwargs
    ) -> R: ...
    async def astep(
        self, name: str, function: Callable[P, Any], *args: P.args, **options: P.kwargs
    ) -> Any:
        """Await a step, in a synchronous agent as well; see `step`."""
        codec = self._begin(name, function)
        return await self._astep(name, codec, function, args, options)

    def _begin(self, name: str, function: Any) -> TypeCodec | None:
        name = check_step(name)
        if name in self._names:
            raise UsageError(
                f"two steps of task {self._execution.task.name} are called {name!r}",
                service="workflow",
                hint=f'give each a name of its own, such as f"{name}-{{n}}"',
            )
        codec = declared(function, self._returns, "workflow", f"step {name!r}")
        self._names.add(name)
        return codec

    async def _astep(
        self,
        name: str,
        codec: TypeCodec | None,
        function: Any,
        args: tuple[Any, ...],
        options: dict[str, Any],
    ) -> Any:
        self._execution.check()
        threads = self._call_threads
        found = await threads.call(self._execution.step_result, name, codec)
        if found is not None:
            return found[0]
        self._execution.check_own_transaction(awaits=True)
        with self._span(name):
            result = function(*args, **options)
            if inspect.isawaitable(result):
                result = await result
        return await threads.call(self._execution.keep_step, name, result, codec)

    @property
    def _call_threads(self) -> CallThreads:
        return self._execution.around.threads

    def _span(self, name: str) -> Any:
        tracer = self._execution.around.runtime.tracer
        task = self._execution.task.name
        return tracer.span("step", service="workflow", kind="step", step=name, task=task)
