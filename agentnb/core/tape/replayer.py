"""The replaying side of a tape: recorded answers for the same calls, and the first that differs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from agentnb.core.errors import NotReplayable, ReplayDiverged, UsageError, did_you_mean
from agentnb.core.forking import new_lock
from agentnb.core.tape.failures import load_error
from agentnb.core.tape.matching import difference, fits, label, paths_of, without
from agentnb.core.tape.values import Unkept, dump

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from agentnb.core.tape.hook import Operation

__all__ = ["Replayer", "Step"]

T = TypeVar("T")


@dataclass(slots=True)
class Step:
    """A recorded call.

    Attributes
    ----------
    number
        From 1.
    service, operation, arguments
        The call: ``"db"``, ``"query"``, ``{"sql": ..., "params": ...}``.
    at
        Seconds from the begin of the unit.
    concurrent
        Whether it may come in another order than it was recorded in.
    made
        Whether the replay has made it.
    """

    number: int
    service: str
    operation: str
    arguments: dict[str, Any]
    at: float
    concurrent: bool
    made: bool = False
    _record: dict[str, Any] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return label(self.service, self.operation, self.arguments)


class Replayer:
    """Answers the calls of a unit of work from a tape.

    Parameters
    ----------
    records
        The steps of the tape.
    strict
        Whether calls have to come in their order.
    ignore
        Dotted paths of arguments that are not compared.
    full
        The limit at which the recording ended; empty if it did not.
    on_step
        Called with each step that is made.
    """

    replays = True

    def __init__(
        self,
        records: list[dict[str, Any]],
        *,
        strict: bool = True,
        ignore: Iterable[str] = (),
        full: str = "",
        on_step: Callable[[Step], object] = lambda _: None,
    ) -> None:
        self.steps = [_step(number, record) for number, record in enumerate(records, start=1)]
        self.diverged: ReplayDiverged | NotReplayable | None = None
        self._strict = strict
        self._ignore = tuple(ignore)
        self._full = full
        self._on_step = on_step
        self._lock = new_lock()
        self._check_ignored()

    def _check_ignored(self) -> None:
        known = {path for step in self.steps for path in paths_of(step.arguments)}
        for path in self._ignore:
            if path not in known:
                near = did_you_mean(path, sorted(known), "arguments")
                raise UsageError(
                    f"ignore names {path!r:.80}, which no step of the tape has",
                    service="tape",
                    hint=near or "the tape has no arguments",
                )

    @property
    def next(self) -> Step | None:
        """The first step that was not made yet; None after the last."""
        return next((step for step in self.steps if not step.made), None)

    def call(
        self,
        operation: Operation,
        arguments: Any,
        do: Callable[[], T],  # noqa: ARG002 - nothing is called
        redactor: Callable[[str], str],
    ) -> T:
        """Return the recorded answer of a call, or raise its error."""
        return self._replayed(operation, arguments, redactor)  # type: ignore[no-any-return]  # as it was recorded

    async def acall(
        self,
        operation: Operation,
        arguments: Any,
        do: Callable[[], Awaitable[T]],  # noqa: ARG002 - as above
        redactor: Callable[[str], str],
    ) -> T:
        """Return what `call` returns."""
        return self._replayed(operation, arguments, redactor)  # type: ignore[no-any-return]  # as it was recorded

    def _replayed(
        self, operation: Operation, arguments: Any, redactor: Callable[[str], str]
    ) -> Any:
        now = dump(operation.prepare(arguments, str))
        shown = dump(operation.prepare(arguments, redactor), redactor)
        return self._answer(self._find(operation, now, shown), operation)

    def _find(self, operation: Operation, now: dict[str, Any], shown: dict[str, Any]) -> Step:
        """Take the step of a call; raise if the call differs from what was recorded."""
        with self._lock:
            following = self.next
            if following is None:
                raise self._kept(self._more(operation, shown))
            for step in self._allowed(following):
                if self._matches(step, operation, now, shown):
                    step.made = True
                    self._on_step(step)
                    return step
            raise self._kept(self._other(following, operation, now, shown))

    def _allowed(self, following: Step) -> list[Step]:
        """Return the steps that may come now, in their order."""
        rest = [step for step in self.steps[following.number - 1 :] if not step.made]
        if not self._strict:
            return rest
        if not following.concurrent:
            return [following]
        end = next((n for n, step in enumerate(rest) if not step.concurrent), len(rest))
        return rest[:end]

    def _matches(
        self, step: Step, operation: Operation, now: dict[str, Any], shown: dict[str, Any]
    ) -> bool:
        if (step.service, step.operation) != (operation.service, operation.name):
            return False
        recorded = self._compared(step.arguments)
        # A secret that was masked when it was recorded may not be known for one here.
        return fits(recorded, self._compared(now)) or fits(recorded, self._compared(shown))

    def _compared(self, arguments: dict[str, Any]) -> dict[str, Any]:
        for path in self._ignore:
            arguments = without(arguments, path)
        return arguments

    def _other(
        self, step: Step, operation: Operation, now: dict[str, Any], shown: dict[str, Any]
    ) -> ReplayDiverged:
        """Return the error of a call that is not the recorded one."""
        before, after = str(step), label(operation.service, operation.name, shown)
        text = f"step {step.number} went another way: recorded {before}, now {after}"
        hint = "mend the code, or record the tape again if the new way is meant"
        if before == after:
            found = difference(self._compared(step.arguments), self._compared(shown))
            path = found.partition(":")[0]
            text += f" ({found})"
            hint = f'ignore={{"{path}"}} leaves out a value that differs each time; else {hint}'
        rest = self.steps[step.number :]
        later = [one for one in rest if not one.made and self._matches(one, operation, now, shown)]
        if later:
            text += f" (recorded later, as step {later[0].number}; strict=False takes it)"
        return ReplayDiverged(text, service="tape", hint=hint)

    def _more(self, operation: Operation, shown: dict[str, Any]) -> ReplayDiverged | NotReplayable:
        """Return the error of a call behind the last one."""
        after = label(operation.service, operation.name, shown)
        if self._full:
            text = f"{after} cannot be answered: the recording ended at its limit of {self._full}"
            return NotReplayable(text, service="tape", hint="record a shorter unit of work")
        text = f"a step more than was recorded: {after}"
        hint = "no answer is known for it: mend the code, or record the tape again"
        return ReplayDiverged(text, service="tape", hint=hint)

    def _kept(self, error: ReplayDiverged | NotReplayable) -> ReplayDiverged | NotReplayable:
        """Return an error, which is kept: the code under test may swallow it."""
        self.diverged = self.diverged or error
        return error

    def _answer(self, step: Step, operation: Operation) -> Any:
        record = step._record  # noqa: SLF001 - the two are one mechanism
        if "error" in record:
            raise load_error(record["error"])
        if "answer" in record and operation.form is not None:
            try:
                return operation.form.load(record["answer"])
            except (Unkept, LookupError, TypeError, ValueError) as error:
                reason = f"cannot be given back: it holds {error}"
        elif "cut" in record:
            reason = f"was not kept whole: it had more than {record['cut']}"
        else:
            why = record.get("refused") or operation.reason or "it was not kept"
            reason = f"cannot be replayed: {why}"
        raise self._kept(
            NotReplayable(
                f"answer {step.number} ({step}) {reason}",
                service="tape",
                hint="have the code ask for less, or test this call without a tape",
            )
        )

    def finish(self) -> None:
        """Raise the first difference that the code under test swallowed, or a step not made.

        Raises
        ------
        ReplayDiverged, NotReplayable
            The replay differed from what was recorded.
        """
        if self.diverged is not None:
            raise self.diverged
        step = self.next
        if step is None:
            return
        more = sum(not one.made for one in self.steps) - 1
        rest = f", nor were {more} more" if more else ""
        raise ReplayDiverged(
            f"step {step.number} was not made{rest}: {step}",
            service="tape",
            hint="mend the code, or record the tape again if fewer calls are meant",
        )


def _step(number: int, record: dict[str, Any]) -> Step:
    return Step(
        number,
        record["service"],
        record["operation"],
        record["arguments"],
        float(record.get("at_ms", 0.0)) / 1000,
        bool(record.get("concurrent")),
        _record=record,
    )
