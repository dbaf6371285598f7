"""The recording side of a tape: calls and answers in memory, encoded at the end of the unit."""

from __future__ import annotations

import datetime as dt
from importlib import import_module
from time import perf_counter, time
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from agentnb.core.tape.failures import dump_error
from agentnb.core.tape.hook import Operation, muted
from agentnb.core.tape.values import TapeRedactor, dump, masked_again, raw
from agentnb.core.trace.context import context_var

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["BY_HAND", "FLIGHT", "Limits", "Recorder"]

T = TypeVar("T")

_UNFINISHED: Final = {"class": "Unfinished", "message": "the unit ended before the answer came"}


class Limits(NamedTuple):
    """The limits of a tape: bytes of an answer, bytes and steps of all."""

    answer: int
    total: int
    steps: int


BY_HAND = Limits(1_000_000, 50_000_000, 10_000)
FLIGHT = Limits(64_000, 1_000_000, 500)


class _Step:
    """One call; hand-written, since each call while recording makes one."""

    __slots__ = ("arguments", "began", "ended", "error", "held", "kept", "operation", "parent")

    def __init__(self, operation: Operation, arguments: Any) -> None:
        self.operation = operation
        self.arguments = arguments
        around = context_var.get()
        self.parent = 0 if around is None else around.span
        self.ended = 0.0
        self.held: Any = None
        self.kept = False
        self.error: dict[str, Any] | None = None
        self.began = perf_counter()


class Recorder:
    """Records the calls of a unit of work.

    Parameters
    ----------
    unit
        The recorded unit of work: ``{"kind": "job", "id": ..., "data": ...}``.
    limits
        How much is kept.
    redactor
        Masks secrets in the unit and the outcome.
    """

    replays = False

    def __init__(
        self,
        unit: dict[str, Any],
        limits: Limits = BY_HAND,
        redactor: Callable[[str], str] = str,
    ) -> None:
        self.unit = unit
        self._outcome: dict[str, Any] | None = None
        self._limits = limits
        self._redact = TapeRedactor()
        self._redact.add(redactor)
        self._steps: list[_Step] = []
        self._size = 0
        self._full = ""
        self._began, self._wall = perf_counter(), time()

    @property
    def count(self) -> int:
        """The number of steps so far."""
        return len(self._steps)

    def call(
        self,
        operation: Operation,
        arguments: Any,
        do: Callable[[], T],
        redactor: Callable[[str], str],
    ) -> T:
        """Make a call and record it."""
        step = self._begin(operation, arguments, redactor)
        try:
            with muted():
                answer = do()
        except BaseException as error:
            self._failed(step, error)
            raise
        self._done(step, answer)
        return answer

    async def acall(
        self,
        operation: Operation,
        arguments: Any,
        do: Callable[[], Awaitable[T]],
        redactor: Callable[[str], str],
    ) -> T:
        """Await a call and record it."""
        step = self._begin(operation, arguments, redactor)
        try:
            with muted():
                answer = await do()
        except BaseException as error:
            self._failed(step, error)
            raise
        self._done(step, answer)
        return answer

    def _begin(
        self, operation: Operation, arguments: Any, redactor: Callable[[str], str]
    ) -> _Step | None:
        steps = self._steps
        if self._full or len(steps) >= self._limits.steps:
            self._full = self._full or f"{self._limits.steps:,} steps"
            return None
        self._redact.add(redactor)
        step = _Step(operation, arguments)
        steps.append(step)
        return step

    def _failed(self, step: _Step | None, error: BaseException) -> None:
        if step is None:
            return
        step.ended = perf_counter()
        # Dumped here: an error keeps the frames that it went through alive.
        is_error = isinstance(error, Exception)
        step.error = dump_error(error) if is_error else _UNFINISHED

    def _done(self, step: _Step | None, answer: Any) -> None:
        if step is None:
            return
        step.ended = perf_counter()
        form = step.operation.form
        if form is None:
            return
        step.held, size = form.hold(answer)
        if not 0 <= size <= self._limits.answer:
            step.held = None
            return
        self._size += size
        step.kept = True
        if self._size > self._limits.total:
            step.held, step.kept = None, False
            self._full = f"{self._limits.total:,} bytes"

    def succeeded(self, result: Any) -> None:
        """Note the result of the unit."""
        self._outcome = {"result": dump(result, raw)}

    def failed(self, error: BaseException) -> None:
        """Note the error of the unit."""
        self._outcome = {"error": dump_error(error)}

    def document(self) -> dict[str, Any]:
        """Return the tape as plain values."""
        self._document()  # finds the secrets, which may come later than they are used
        return self._document()

    def _document(self) -> dict[str, Any]:
        package = import_module("agentnb")
        redact = self._redact
        concurrent = self._concurrent()
        began = dt.datetime.fromtimestamp(self._wall, dt.UTC)
        found: dict[str, Any] = {
            "recorded_by": f"agentnb {package.__version__}",
            "began": began.isoformat(timespec="microseconds"),
            "unit": dump(self.unit, redact),
            "outcome": masked_again(self._outcome, redact),
        }
        if self._full:
            found["full"] = self._full
        found["steps"] = [self._dumped(step, step.parent in concurrent) for step in self._steps]
        return found

    def _concurrent(self) -> set[int]:
        """Return the parents whose steps overlapped: these come in any order."""
        found: set[int] = set()
        latest: _Step | None = None
        for step in sorted(self._steps, key=lambda one: one.began):
            if latest is not None and (not latest.ended or step.began < latest.ended):
                found |= {latest.parent, step.parent}
            if latest is None or (latest.ended and step.ended > latest.ended) or not step.ended:
                latest = step
        return found

    def _dumped(self, step: _Step, concurrent: bool) -> dict[str, Any]:  # noqa: FBT001 - of one call
        operation = step.operation
        found: dict[str, Any] = {
            "service": operation.service,
            "operation": operation.name,
            "arguments": dump(operation.prepare(step.arguments, self._redact), self._redact),
            "at_ms": round((step.began - self._began) * 1000, 1),
            "ms": round(max(step.ended - step.began, 0.0) * 1000, 1),
        }
        if concurrent:
            found["concurrent"] = True
        if step.error is not None:
            found["error"] = masked_again(step.error, self._redact)
        elif not step.ended:
            found["error"] = _UNFINISHED
        elif operation.form is None:
            found["refused"] = operation.reason
        elif step.kept:
            found["answer"] = operation.form.dump(step.held, self._redact)
        else:
            found["cut"] = f"{self._limits.answer:,} bytes"
        return found
