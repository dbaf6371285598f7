"""Steps of a task: functions that are called once, even if the task runs again."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, Protocol, TypeVar, cast, overload

from agentnb.core.codec import declared
from agentnb.core.errors import UsageError
from agentnb.core.keywords import refuse_unknown
from agentnb.core.workflow.spec import check_step
from agentnb.core.workflow.step_options import StepOptions, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from agentnb.core.callthreads import CallThreads
    from agentnb.core.codec import TypeCodec
    from agentnb.core.workflow.execution import TaskExecution

__all__ = ["Step", "Stepping", "TypedSteps", "current_path", "current_step"]

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
_PATH: ContextVar[str] = ContextVar("agentnb_workflow_steps", default="")


def current_step() -> str | None:
    """Return the name of the step that the calling code is a part of; None outside of steps.

    >>> current_step() is None
    True
    """
    return _PATH.get().rpartition("\n")[2] or None


def current_path() -> str:
    """Return the names of the steps that the calling code is a part of, a line each.

    The outermost one is the first; no name has a line break.
    """
    return _PATH.get()


class Step(NamedTuple):
    """A step that an attempt has begun."""

    name: str
    codec: TypeCodec | None
    """Of the type of its result; None for plain JSON."""
    input: str
    """A digest of its arguments."""
    options: StepOptions


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
    options
        The options of the steps.
    """

    def __init__(
        self,
        execution: TaskExecution,
        names: set[str],
        *,
        is_async: bool,
        options: StepOptions | None = None,
    ) -> None:
        self._execution = execution
        self._names = names
        self._async = is_async
        self._options = options or StepOptions()

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
        step = self._begin(name, function, args, options)
        if self._async:
            return cast("R", self._astep(step, lambda: function(*args, **options)))
        self._execution.check()
        found = self._execution.step_result(step)
        if found is not None:
            return cast("R", found[0])
        self._execution.check_own_transaction()
        result = self._call(step, lambda: function(*args, **options))
        return cast("R", self._execution.keep_step(step, result))

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
        step = self._begin(name, function, args, options)
        return await self._astep(step, lambda: function(*args, **options))

    def _begin(
        self, name: str, function: Any, args: tuple[Any, ...], options: dict[str, Any]
    ) -> Step:
        name = check_step(name)
        if name in self._names:
            raise UsageError(
                f"two steps of task {self._execution.task.name} are called {name!r}",
                service="workflow",
                hint=f'give each a name of its own, such as f"{name}-{{n}}"',
            )
        self._options.check_function(name, function)
        codec = declared(function, self._options.returns, "workflow", f"step {name!r}")
        step = Step(name, codec, fingerprint(args, options), self._options)
        self._names.add(name)
        return step

    def _call(self, step: Step, call: Callable[[], Any]) -> Any:
        """Call the function of a step, again while it fails and has attempts left."""
        loop, attempt = self._execution.around.loop, 1
        streams = self._execution.streams
        while True:
            if streams.begins_again(step.name):
                streams.again(step.name)
            try:
                with self._called(step, attempt):
                    return loop.call(lambda: _limited(step, call()))
            except Exception as error:
                pause = self._until_again(step, attempt, error)
                if pause is None:
                    raise
                self._execution.pause(pause)
                attempt += 1

    async def _acall(self, step: Step, call: Callable[[], Any]) -> Any:
        attempt = 1
        streams = self._execution.streams
        while True:
            if streams.begins_again(step.name):
                await self._call_threads.call(streams.again, step.name)
            try:
                with self._called(step, attempt):
                    result = _limited(step, call())
                    return await result if inspect.isawaitable(result) else result
            except Exception as error:
                pause = await self._call_threads.call(self._until_again, step, attempt, error)
                if pause is None:
                    raise
                await asyncio.sleep(pause)
                self._execution.check()
                attempt += 1

    def _until_again(self, step: Step, attempt: int, error: Exception) -> float | None:
        """Return the seconds until a step that failed is called again; None if it is not."""
        pause = step.options.pause(step.name, attempt, error)
        if pause is not None:
            self._execution.say_again(step, attempt, pause, error)
        return pause

    async def _astep(self, step: Step, call: Callable[[], Any]) -> Any:
        self._execution.check()
        threads = self._call_threads
        found = await threads.call(self._execution.step_result, step)
        if found is not None:
            return found[0]
        self._execution.check_own_transaction(awaits=True)
        result = await self._acall(step, call)
        return await threads.call(self._execution.keep_step, step, result)

    @property
    def _call_threads(self) -> CallThreads:
        return self._execution.around.threads

    @contextmanager
    def _called(self, step: Step, attempt: int) -> Iterator[None]:
        """Make a block a call of a step, with its span."""
        tracer = self._execution.around.runtime.tracer
        outer = _PATH.get()
        token = _PATH.set(f"{outer}\n{step.name}" if outer else step.name)
        try:
            with tracer.span(
                "step",
                service="workflow",
                kind="step",
                attempt=attempt,
                step=step.name,
                task=self._execution.task.name,
            ):
                yield
        finally:
            _PATH.reset(token)


def _limited(step: Step, result: Any) -> Any:
    """Return the result of a step; an awaitable one within the time-out of the step."""
    if step.options.timeout is None or not inspect.isawaitable(result):
        return result
    return step.options.limited(step.name, result)
