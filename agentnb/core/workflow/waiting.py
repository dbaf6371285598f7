"""Waits as agents ask for them: each is checked, come to, and returns its answer."""

from __future__ import annotations

import asyncio
import datetime as dt
import math
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from agentnb.core.codec import MISFITS, check_schema, codec_of, decode
from agentnb.core.errors import DeadlineExceeded, UsageError
from agentnb.core.format import duration
from agentnb.core.keywords import refuse_unknown
from agentnb.core.moments import moment_of
from agentnb.core.ranges import refused, seconds
from agentnb.core.workflow.parking import Wait
from agentnb.core.workflow.spec import printable, text
from agentnb.core.workflow.stepping import current_step

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.codec import TypeCodec
    from agentnb.core.workflow.execution import TaskExecution
    from agentnb.core.workflow.parking import WaitState

__all__ = ["RAISE", "Raise", "Request", "Waits"]

T = TypeVar("T")


class Raise:
    """The default of a wait that raises an error at its time-out."""

    def __repr__(self) -> str:
        return "RAISE"


RAISE: Final = Raise()


class Request:
    """A wait that an agent asks for, and the function that reads its value.

    Parameters
    ----------
    wait
        The wait.
    read
        Returns the value of a wait that has ended.
    """

    def __init__(self, wait: Wait, read: Callable[[WaitState], Any]) -> None:
        self.wait = wait
        self.read = read


@refuse_unknown("workflow")
class Waits:
    """The waits of one entry of a task.

    Parameters
    ----------
    execution
        The execution of the task.
    """

    def __init__(self, execution: TaskExecution) -> None:
        self._execution = execution
        self._names: set[str] = set()

    # Every wait

    def begin(self, name: str) -> None:
        """Check that a wait is allowed here, and take its name.

        Raises
        ------
        UsageError
            It is inside a step, or another wait of this entry has its name.
        """
        execution = self._execution
        execution.check()
        check_outside("a wait", name)
        if name in self._names:
            raise UsageError(
                f"two waits of task {execution.task.name} are called {name!r}",
                service="workflow",
                hint=f'give each a name of its own, such as f"{name} {{n}}"',
            )
        execution.check_own_transaction()
        self._names.add(name)

    def finish(self, request: Request) -> Any:
        """Return the value of a wait; park the task where it has none yet."""
        execution, wait = self._execution, request.wait
        tracer = execution.around.runtime.tracer
        about = {"wait": wait.name, "what": wait.kind, "task": execution.task.name}
        parked = None
        with tracer.span(wait.kind, service="workflow", kind="wait", **about) as span:
            found = execution.come_to(wait)
            if found.state == "open":
                parked = execution.park(wait)
                span.note(parked=True)
            else:
                span.note(waited_s=round((found.ended or found.created) - found.created, 3))
        if parked is not None:
            raise parked  # which is no failure of the span
        if found.kind != wait.kind:
            raise UsageError(
                f"wait {wait.name!r} of task {execution.task.name} was of kind {found.kind}, "
                f"and is of kind {wait.kind} now",
                service="workflow",
                hint="a wait of another kind needs another name",
            )
        return request.read(found)

    def wait(self, request: Request) -> Any:
        """Return the value of a wait."""
        self.begin(request.wait.name)
        return self.finish(request)

    async def await_(self, request: Request) -> Any:
        """Await the value of a wait; the entry is unwound where it has none."""
        self.begin(request.wait.name)
        return await self.afinish(request)

    async def afinish(self, request: Request) -> Any:
        """Await `finish`."""
        call = asyncio.ensure_future(self._execution.around.threads.call(self.finish, request))
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            # By a wait beside it, most likely, of which it is the sibling: all are asked at once.
            await asyncio.wait([call])
            if not call.cancelled():
                call.exception()  # it is told by the others
            raise

    # Answers

    def asking(
        self, name: str, question: str, *, form: Any, to: Any, timeout: Any, default: Any
    ) -> Request:
        """Return the request of `Context.ask`."""
        name = printable(name, "a wait", "the budget")
        codec = codec_of_form(form)
        schema = None if codec is None else codec.schema()
        redactor = self._execution.around.runtime.redactor
        asked = redactor(text("question", question))
        wait = Wait(
            name,
            "ask",
            question=asked,
            form=None if schema is None else msgspec.json.encode(schema).decode(),
            addressee=None if to is None else text("to", to),
            seconds=_timeout(timeout, default),
            strict=default is RAISE,
        )

        def read(found: WaitState) -> Any:
            if found.state == "late":
                return self._late(wait, default)
            if found.question != asked:
                self._execution.warn_changed(name, found.question)
            return self._typed(name, found.answer or "null", codec)

        return Request(wait, read)

    def _typed(self, name: str, answer: str, codec: TypeCodec | None) -> Any:
        if codec is None:
            return decode(answer)
        try:
            return codec.decode(answer.encode())
        except MISFITS as error:
            raise self._execution.ask_again(name, f"{error}") from error

    def _late(self, wait: Wait, default: Any) -> Any:
        if default is not RAISE:
            return default
        limit = "" if wait.seconds is None else f" within {duration(wait.seconds)}"
        raise DeadlineExceeded(
            f"wait {wait.name!r} of task {self._execution.task.name} has not ended{limit}",
            service="workflow",
            hint="default= is returned at the time-out, and timeout= waits longer",
        )

    # Times

    def sleep(self, seconds: float, name: str | None = None) -> None:  # noqa: A002, RUF100 - the unit
        """Wait for some seconds, and hold no worker meanwhile; a crash does not begin them anew.

        Parameters
        ----------
        seconds
            How long, from when the task first comes here.
        name
            The name of the wait, unique within the task; default: ``sleep``.

        Raises
        ------
        Parked
            The time is not over. It unwinds the agent, which is entered again when it is.
        UsageError
            It is inside a step, or two waits of the task have one name.
        """
        self.wait(self._sleeping(seconds, name))

    async def asleep(self, seconds: float, name: str | None = None) -> None:
        """Await `sleep`."""
        await self.await_(self._sleeping(seconds, name))

    def _sleeping(self, given: Any, name: str | None) -> Request:
        length = seconds("seconds", given, service="workflow", zero=True, hint="ctx.sleep(60)")
        name = printable("sleep" if name is None else name, "a wait", "the budget")
        return Request(Wait(name, "sleep", seconds=length), lambda _: None)

    def sleep_until(self, when: dt.datetime | float, name: str | None = None) -> None:
        """Wait until a time, and hold no worker meanwhile; see `sleep`.

        Parameters
        ----------
        when
            An aware datetime, or seconds since the epoch. The first that the task comes with
            counts.
        name
            The name of the wait; default: ``sleep until``.
        """
        self.wait(self._sleeping_until(when, name))

    async def asleep_until(self, when: dt.datetime | float, name: str | None = None) -> None:
        """Await `sleep_until`."""
        await self.await_(self._sleeping_until(when, name))

    def _sleeping_until(self, when: Any, name: str | None) -> Request:
        name = printable("sleep until" if name is None else name, "a wait", "the budget")
        return Request(Wait(name, "sleep", until=moment("when", when)), lambda _: None)

    # Events

    def waiting_for(
        self, pattern: Any, *, name: Any, where: Any, since: Any, timeout: Any, default: Any
    ) -> Request:
        """Return the request of `Context.wait_event`."""
        hint = 'ctx.wait_event("payment.done", where={"order": 7})'
        if self._execution.around.bus is None:
            raise UsageError(
                "there are no events here: this orchestrator has no event bus",
                service="workflow",
                hint="hub = agentnb.connect(); hub.workflows",
            )
        pattern = printable(pattern, "a channel", "payment.done")
        if where is not None and not isinstance(where, Mapping):
            raise refused("where", "a dict of values", where, "workflow", hint)
        if isinstance(since, str) and since not in {"start", "now"}:
            allowed = "start, now, an aware datetime or seconds since the epoch"
            raise refused("since", allowed, since, "workflow", hint)
        wanted = None if where is None else decode(self._execution.around.json.encode(dict(where)))
        wait = Wait(
            pattern if name is None else printable(name, "a wait", "the payment"),
            "event",
            what=msgspec.json.encode({"pattern": pattern, "where": wanted}).decode(),
            since=since if isinstance(since, str) else moment("since", since),
            seconds=_timeout(timeout, default),
            strict=default is RAISE,
        )

        def read(found: WaitState) -> Any:
            if found.state == "late":
                return self._late(wait, default)
            return _event_of(msgspec.json.decode(found.answer or "null"))

        return Request(wait, read)


def _event_of(found: dict[str, Any]) -> Any:
    """Return an event as it was kept."""
    # By its name: services do not import each other.
    make = import_module("agentnb.core.events").Event
    raw, place = msgspec.json.encode(found.pop("data")), found.pop("place")
    event = make(found.pop("id"), found.pop("channel"), raw, **found)
    event.place = place
    return event


def check_outside(what: str, name: str) -> None:
    """Refuse what parks a task inside a step, whose caller would be unwound with it.

    Raises
    ------
    UsageError
        The calling code is part of a step.
    """
    step = current_step()
    if step:
        raise UsageError(
            f"{what} inside step {step!r}: {name!r}",
            service="workflow",
            hint="call it in the agent itself, and give its result to the step",
        )


def codec_of_form(form: Any) -> TypeCodec | None:
    """Return the codec of a form; None for any JSON.

    Raises
    ------
    UsageError
        No JSON can be read as it.
    """
    check_schema(form, "workflow", "form")
    return None if form is None or form is Any else codec_of(form)


def moment(name: str, when: Any) -> float:
    """Return a time as seconds since the epoch.

    Raises
    ------
    UsageError
        It is none, or a datetime that does not say where.
    """
    hint = f"{name}=datetime.now(UTC) + timedelta(hours=1)"
    if isinstance(when, dt.datetime):
        if when.tzinfo is not None:
            return when.timestamp()
    elif isinstance(when, int | float) and not isinstance(when, bool) and math.isfinite(when):
        try:
            moment_of(float(when))
        except (ValueError, OverflowError, OSError):
            pass
        else:
            return float(when)
    raise refused(name, "an aware datetime or seconds since the epoch", when, "workflow", hint)


def _timeout(timeout: Any, default: Any) -> float | None:
    if timeout is not None:
        return seconds("timeout", timeout, service="workflow")
    if default is not RAISE:
        raise UsageError(
            "default= is returned at the time-out, and there is none",
            service="workflow",
            hint="timeout=3600, default=None",
        )
    return None
