"""Translate and explain the errors of a running statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from agentnb.core.db.schema import is_internal
from agentnb.core.errors import AgentnbError, DeadlineExceeded, NotFoundError, did_you_mean

if TYPE_CHECKING:
    from agentnb.core.db.backend import Watch
    from agentnb.core.db.runner import Runner
    from agentnb.core.db.text import Statement

__all__ = ["Explained", "Translated"]


class Explained:
    """Adds the nearest names to a missing table, once the connection has been given back."""

    __slots__ = ("runner",)

    def __init__(self, runner: Runner) -> None:
        self.runner = runner

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, NotFoundError) or error.hint is not None:
            return
        named = error.message.rpartition(": ")[2]
        missing = named.rpartition(".")[2]
        try:
            known = self.runner.table_names(internal=is_internal(named))
        except AgentnbError:
            return  # the error that is being explained matters more
        some = f"tables: {', '.join(known[:10])}" if known else "there are no tables yet"
        hint = did_you_mean(missing, known) or some
        error.advise(hint)


class Translated:
    """Turns the driver's errors into ours and logs them; hand-written to cost next to nothing."""

    __slots__ = ("runner", "statement", "watch")

    def __init__(self, runner: Runner, watch: Watch, statement: Statement | None) -> None:
        self.runner = runner
        self.watch = watch
        self.statement = statement

    def __enter__(self) -> Self:
        if self.watch.over:
            seconds = self.watch.deadline.seconds
            raise DeadlineExceeded(
                "the call was cancelled"
                if self.watch.cancelled or seconds is None
                else f"timed out after {seconds:g} s, before the statement began",
                service="db",
                hint="give it longer with timeout= (--timeout)",
            )
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, AgentnbError) or not isinstance(error, Exception):
            return
        ours = self.runner.error_of(error, self.watch, self.statement.sql if self.statement else "")
        if ours is None:
            return
        if not self.watch.cancelled:  # nobody waits for that one
            self.runner.log.error("database error: %s", ours.message)
        raise ours from error
