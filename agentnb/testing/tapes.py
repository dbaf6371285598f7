"""Replays of recorded work: the answers come from a tape, and the first other call is named."""

from __future__ import annotations

import datetime as dt
import inspect
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import NotReplayable, ReplayDiverged, UsageError
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import refused
from agentnb.core.tape.clock import FrozenClock
from agentnb.core.tape.document import check_path, read_document
from agentnb.core.tape.hook import heard, insert, muted
from agentnb.core.tape.matching import difference
from agentnb.core.tape.recording import Recording, TapeJob, record, recorded
from agentnb.core.tape.replayer import Replayer, Step
from agentnb.core.tape.values import Unkept, dump, load
from agentnb.testing.arguments import check_hub, names_of
from agentnb.testing.hubs import isolated_hub

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator

    from agentnb.core.hub import Hub
    from agentnb.core.tape.recorder import Recorder

__all__ = ["TapeOutcome", "TapeReplay", "record", "recording_for_tests", "replay"]


@dataclass(frozen=True, slots=True)
class TapeOutcome:
    """The recorded end of a unit of work.

    Attributes
    ----------
    result
        The value that it returned; None if it failed.
    error
        The name of the class of its error; None where it completed.
    message
        The message of the error.
    """

    result: Any = None
    error: str | None = None
    message: str = ""

    def __str__(self) -> str:
        return f"{self.error}: {self.message}" if self.error else f"{self.result!r:.200}"


class TapeReplay:
    """A tape that is replayed; made by `replay`.

    Attributes
    ----------
    unit
        The recorded unit of work: its ``kind``, ``id``, ``data``, ``function``, as JSON.
    outcome
        How it ended; None where that was not recorded.
    job
        A job with its data. A processor with a schema is called by `run`.
    """

    def __init__(
        self,
        document: dict[str, Any],
        replayer: Replayer,
        hub: Hub | None,
        clock: FrozenClock | None,
    ) -> None:
        self.unit: dict[str, Any] = document.get("unit", {})
        self.outcome = _outcome(document.get("outcome"))
        self._replayer = replayer
        self._hub = hub
        self._clock = clock
        self._stack = ExitStack()
        self._recorded = document.get("outcome")

    @property
    def steps(self) -> list[Step]:
        """The recorded calls, in their order."""
        return self._replayer.steps

    @property
    def next(self) -> Step | None:
        """The first step that was not made yet; None after the last."""
        return self._replayer.next

    @property
    def hub(self) -> Hub:
        """The hub of the replay: that of `replay`, or one of its own, opened on first use."""
        if self._hub is None:
            self._hub = self._stack.enter_context(isolated_hub())
        return self._hub

    @property
    def names(self) -> dict[str, Any]:
        """The values that a cell has used, by their names; empty for a job or a task."""
        return {name: load(value) for name, value in self.unit.get("names", {}).items()}

    @property
    def job(self) -> TapeJob:
        """A job with the recorded data."""
        unit = self.unit
        queue, attempt = str(unit.get("queue", "recorded")), int(unit.get("attempt", 1))
        number = str(unit.get("id", "recorded"))
        return TapeJob(number, load(unit.get("data")), queue, attempt, self.hub)

    def run(self, function: Callable[..., Any] | None = None) -> Any:
        """Run a processor or an agent with the recorded data, and return its result.

        It is run as `run_job` and `run_agent` do: with the schema and the options that it is
        marked with, `def` or ``async def``.

        Parameters
        ----------
        function
            The processor or the agent; default: the one that was recorded.

        Raises
        ------
        Exception
            An error of the function.
        UsageError
            The function that was recorded cannot be imported.
        """
        function = function or _imported(self.unit)
        with nullcontext() if self._clock is None else self._clock.thawed():
            return _run(self.unit, function, self.hub, self._clock)

    def check(self, result: Any) -> None:
        """Compare a result with the recorded one.

        Raises
        ------
        ReplayDiverged
            It is another, or the recorded unit failed; an ``AssertionError``.
        UsageError
            No outcome was recorded.
        """
        __tracebackhide__ = True
        outcome = self.outcome
        if outcome is None or self._recorded is None:
            raise UsageError(
                "the tape has no outcome to compare with",
                service="tape",
                hint="tape.check(result) in the block that records keeps one",
            )
        if outcome.error is not None:
            raise ReplayDiverged(
                f"recorded {outcome}, now returned {result!r:.200}",
                service="tape",
                hint="assert the result itself: the recorded failure is mended",
            )
        found = difference(self._recorded["result"], dump(result), "result")
        if found:
            raise ReplayDiverged(found, service="tape", hint="mend the code, or record it again")

    def __repr__(self) -> str:
        made = sum(step.made for step in self.steps)
        return f"TapeReplay({made} of {len(self.steps)} steps made)"


class TestRecording(Recording):
    """A recording that a test makes: `run` calls a processor or an agent, as a replay does."""

    __test__ = False  # no test of pytest's

    def __init__(self, recorder: Recorder, hub: Hub | None) -> None:
        super().__init__(recorder, hub)
        self._unit = recorder.unit

    @property
    def hub(self) -> Hub:
        """The hub of the test."""
        if self.job.hub is None:
            raise UsageError(
                "the recording has no hub", service="tape", hint="record(PATH, hub=hub)"
            )
        return self.job.hub

    def run(self, function: Callable[..., Any]) -> Any:
        """Run a processor or an agent, and return its result."""
        return _run(self._unit, function, self.hub, None)


@contextmanager
def recording_for_tests(path: str | os.PathLike[str], hub: Hub) -> Iterator[TestRecording]:
    """Record a block as `record` does, for the fixture ``agentnb_tape``."""
    with recorded(path, None, hub, TestRecording) as tape:
        yield tape


@refuse_unknown("testing")
@contextmanager
def replay(
    path: str | os.PathLike[str],
    *,
    strict: bool = True,
    clock: bool = True,
    ignore: Iterable[str] = (),
    hub: Hub | None = None,
) -> Iterator[TapeReplay]:
    """Answer the calls of a block to services from a tape; no network is used.

    Calls that differ from the recorded ones raise `ReplayDiverged`, which says which step went
    another way; so do steps that the block has not made at its end. Retries are replayed by the
    code that retries, without its pauses.

    Parameters
    ----------
    path
        The tape.
    strict
        Whether the calls have to come in their order. Calls that ran at the same time, such as
        by ``asyncio.gather``, may come in any order.
    clock
        Whether ``time.time``, ``datetime.now`` and ``date.today`` are those of the record, for
        the modules of the user.
    ignore
        Arguments that are not compared, as dotted paths: ``{"params.id"}``.
    hub
        The hub of ``tape.hub`` and ``tape.job.hub``; default: one of its own.

    Raises
    ------
    ReplayDiverged
        The block makes other calls; an ``AssertionError``.
    NotReplayable
        The tape has no answer for a call, such as a stream.
    NotFoundError
        There is no such tape.
    UsageError
        The file is no tape, or one of another version; `ignore` names what no step has; `strict`
        or `clock` is no bool.

    Examples
    --------
    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/x.tape.json"
    >>> with isolated_hub() as hub, record(path, hub=hub):
    ...     _ = hub.db.query("select 1 as n")
    >>> try:
    ...     with replay(path) as tape:
    ...         tape.hub.db.query("select 2 as n")
    ... except ReplayDiverged as error:
    ...     print(error.message)
    step 1 went another way: recorded db.query "select 1 as n", now db.query "select 2 as n"
    """
    __tracebackhide__ = True
    if hub is not None:
        check_hub(hub)
    for name, value in (("strict", strict), ("clock", clock)):
        if not isinstance(value, bool):
            raise refused(name, "True or False", value, "testing", f"replay(PATH, {name}=False)")
    ignored = sorted(names_of("ignore", ignore) or ())
    document = read_document(check_path(path))
    frozen = FrozenClock(dt.datetime.fromisoformat(document["began"]).timestamp())
    began = frozen.now

    def move(step: Step) -> None:
        frozen.now = max(frozen.now, began + step.at)

    replayer = Replayer(
        document["steps"],
        strict=strict,
        ignore=ignored,
        full=document.get("full", ""),
        on_step=move,
    )
    tape = TapeReplay(document, replayer, hub, frozen if clock else None)
    try:
        with tape._stack, insert(replayer), frozen if clock else nullcontext():  # noqa: SLF001 - the two are one
            yield tape
    except Exception as error:
        first = replayer.diverged
        if first is None or first is error:
            raise
        raise first from error
    replayer.finish()


def _outcome(record: dict[str, Any] | None) -> TapeOutcome | None:
    if record is None:
        return None
    if "error" in record:
        return TapeOutcome(None, record["error"]["class"], record["error"]["message"])
    try:
        return TapeOutcome(load(record["result"]))
    except Unkept as error:
        return TapeOutcome(f"<{error}>")


def _imported(unit: dict[str, Any]) -> Callable[..., Any]:
    """Return the function of a unit by its name.

    Raises
    ------
    UsageError
        It was recorded without one, or cannot be imported.
    """
    name = str(unit.get("function", ""))
    module, _, attribute = name.partition(":")
    try:
        found: Any = import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f"the function of the tape cannot be imported: {name or 'it has none'}",
            service="tape",
            hint="tape.run(function) runs another",
        ) from error
    return found  # type: ignore[no-any-return]  # by its name


def _run(
    unit: dict[str, Any], function: Callable[..., Any], hub: Hub, clock: FrozenClock | None
) -> Any:
    """Run a function; all that belongs to running it is neither recorded nor replayed."""
    from agentnb.testing.agents import run_agent
    from agentnb.testing.jobs import run_job

    wrapped = _heard(function, clock)
    with muted():
        try:
            data = load(unit.get("data"))
            if unit.get("kind") != "task":
                return run_job(wrapped, data, hub=hub, queue=unit.get("queue")).result
            inputs, steps = load(unit.get("inputs", {})), load(unit.get("steps", {}))
            run = run_agent(
                wrapped,
                data,
                inputs=inputs,
                steps=steps,
                answers=load(unit.get("answers", {})),
                workflow_data=load(unit.get("workflow_data")),
                hub=hub,
            )
        except Unkept as error:
            raise NotReplayable(
                f"the recorded data holds {error}",
                service="tape",
                hint="call the function with data of the test's own",
            ) from error
        return run.result


def _heard(function: Callable[..., Any], clock: FrozenClock | None) -> Callable[..., Any]:
    """Return a function whose calls are on the tape again, within a block that is not."""
    if inspect.isclass(function) or not callable(function):
        return function
    if inspect.iscoroutinefunction(inspect.unwrap(function)):

        @wraps(function)
        async def acall(*args: Any) -> Any:
            with clock or nullcontext(), heard():
                return await function(*args)

        return acall

    @wraps(function)
    def call(*args: Any) -> Any:
        with clock or nullcontext(), heard():
            return function(*args)

    return call
