"""The waits of an agent for people and for events, with the types of what they return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from agentnb.core.keywords import refuse_unknown
from agentnb.core.workflow.stepping import Stepping
from agentnb.core.workflow.waiting import RAISE, Raise, Waits

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from typing_extensions import TypeForm

    from agentnb.core.events import Event
    from agentnb.core.workflow.execution import TaskExecution

__all__ = ["Asking"]

T = TypeVar("T")
D = TypeVar("D")


@refuse_unknown("workflow")
class Asking(Stepping):
    """The part of a `Context` that asks people and waits for events.

    Each call and its awaited twin have the overloads that a type checker needs: a twin made of
    another function has the first of them alone.
    """

    def __init__(self, execution: TaskExecution, *, is_async: bool) -> None:
        super().__init__(execution, set(), is_async=is_async)
        self._waits = Waits(execution)

    @overload
    def ask(
        self,
        name: str,
        question: str = ...,
        *,
        form: TypeForm[T],
        to: str | None = ...,
        timeout: float | None = ...,
        default: Raise = ...,
    ) -> T: ...
    @overload
    def ask(
        self,
        name: str,
        question: str = ...,
        *,
        form: TypeForm[T],
        to: str | None = ...,
        timeout: float,
        default: D,
    ) -> T | D: ...
    @overload
    def ask(
        self,
        name: str,
        question: str = ...,
        *,
        form: None = ...,
        to: str | None = ...,
        timeout: float | None = ...,
        default: Any = ...,
    ) -> Any: ...
    def ask(
        self,
        name: str,
        question: str = "",
        *,
        form: Any = None,
        to: str | None = None,
        timeout: float | None = None,
        default: Any = RAISE,
    ) -> Any:
        """Ask a person for data; what stands before runs once more when the answer has come.

        The task is parked meanwhile, for days if need be, and holds no worker. `Workflow.answer`
        gives the answer. Then the agent is called again from its top: steps and waits that are
        done return what is kept, all else runs again. So an agent with two waits is entered three
        times: what has an effect belongs into a step.

        Parameters
        ----------
        name
            The name of the wait, unique within the task. In a loop it names the round.
        question
            The question, for people.
        form
            The type of the answer: a pydantic model, a dataclass, a msgspec Struct,
            ``Literal["yes", "no"]``, ``bool``, ...; None for any JSON.
        to
            The person who is asked.
        timeout
            Seconds for which it waits, from when the task first comes here; None for as long as
            it takes.
        default
            The value that is returned at the time-out; without one it raises.

        Returns
        -------
        object
            The answer, as the type of the form.

        Raises
        ------
        Parked
            There is no answer yet. It unwinds the agent; no ``except Exception`` catches it.
        DeadlineExceeded
            There was none in time.
        UsageError
            It is inside a step, two waits of the task have one name, or no JSON can be read as
            the form.

        Examples
        --------
        ``ctx.ask("budget", "How much?", form=Budget, to="ada", timeout=86400, default=None)``
        """
        options = {"form": form, "to": to, "timeout": timeout, "default": default}
        return self._waits.wait(self._waits.asking(name, question, **options))

    @overload
    async def aask(
        self,
        name: str,
        question: str = ...,
        *,
        form: TypeForm[T],
        to: str | None = ...,
        timeout: float | None = ...,  # noqa: ASYNC109 - it holds nothing
        default: Raise = ...,
    ) -> T: ...
    @overload
    async def aask(
        self,
        name: str,
        question: str = ...,
        *,
        form: TypeForm[T],
        to: str | None = ...,
        timeout: float,  # noqa: ASYNC109 - as above
        default: D,
    ) -> T | D: ...
    @overload
    async def aask(
        self,
        name: str,
        question: str = ...,
        *,
        form: None = ...,
        to: str | None = ...,
        timeout: float | None = ...,  # noqa: ASYNC109 - it holds nothing
        default: Any = ...,
    ) -> Any: ...
    async def aask(
        self,
        name: str,
        question: str = "",
        *,
        form: Any = None,
        to: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - of a wait that holds nothing
        default: Any = RAISE,
    ) -> Any:
        """Await `ask`."""
        options = {"form": form, "to": to, "timeout": timeout, "default": default}
        return await self._waits.await_(self._waits.asking(name, question, **options))

    @overload
    def wait_event(
        self,
        pattern: str,
        *,
        name: str | None = ...,
        where: Mapping[str, Any] | None = ...,
        since: Literal["start", "now"] | dt.datetime | float = ...,
        timeout: float | None = ...,
        default: Raise = ...,
    ) -> Event: ...
    @overload
    def wait_event(
        self,
        pattern: str,
        *,
        name: str | None = ...,
        where: Mapping[str, Any] | None = ...,
        since: Literal["start", "now"] | dt.datetime | float = ...,
        timeout: float,
        default: D,
    ) -> Event | D: ...
    def wait_event(
        self,
        pattern: str,
        *,
        name: str | None = None,
        where: Mapping[str, Any] | None = None,
        since: Literal["start", "now"] | dt.datetime | float = "start",
        timeout: float | None = None,
        default: Any = RAISE,
    ) -> Any:
        """Wait for an event, and hold no worker meanwhile; see `ask` for what runs again.

        Parameters
        ----------
        pattern
            The channel of the event, or a pattern: ``payment.*``.
        name
            The name of the wait, unique within the task; default: the pattern.
        where
            Values that the data of the event has: ``{"order": 7}``; None for any event.
        since
            Where it begins to look: ``"start"``, from when the task first ran, so that an event
            which came before this call is found; ``"now"``; or a time.
        timeout
            Seconds for which it waits; None for as long as it takes.
        default
            The value that is returned at the time-out; without one it raises.

        Returns
        -------
        Event
            The first event that fits; the same whenever the task comes here again.

        Raises
        ------
        Parked
            There is none yet. It unwinds the agent.
        DeadlineExceeded
            There was none in time.
        UsageError
            It is inside a step, two waits of the task have one name, or there is no event bus.
        """
        options = {"name": name, "where": where, "since": since}
        options |= {"timeout": timeout, "default": default}
        return self._waits.wait(self._waits.waiting_for(pattern, **options))

    @overload
    async def await_event(
        self,
        pattern: str,
        *,
        name: str | None = ...,
        where: Mapping[str, Any] | None = ...,
        since: Literal["start", "now"] | dt.datetime | float = ...,
        timeout: float | None = ...,  # noqa: ASYNC109 - it holds nothing
        default: Raise = ...,
    ) -> Event: ...
    @overload
    async def await_event(
        self,
        pattern: str,
        *,
        name: str | None = ...,
        where: Mapping[str, Any] | None = ...,
        since: Literal["start", "now"] | dt.datetime | float = ...,
        timeout: float,  # noqa: ASYNC109 - it holds nothing
        default: D,
    ) -> Event | D: ...
    async def await_event(
        self,
        pattern: str,
        *,
        name: str | None = None,
        where: Mapping[str, Any] | None = None,
        since: Literal["start", "now"] | dt.datetime | float = "start",
        timeout: float | None = None,  # noqa: ASYNC109 - it holds nothing
        default: Any = RAISE,
    ) -> Any:
        """Await `wait_event`."""
        options = {"name": name, "where": where, "since": since}
        options |= {"timeout": timeout, "default": default}
        return await self._waits.await_(self._waits.waiting_for(pattern, **options))
