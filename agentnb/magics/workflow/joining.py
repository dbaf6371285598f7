"""The transaction of ``%db begin`` that a workflow of a cell is made in."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from agentnb.core.errors import NotFoundError, UsageError
from agentnb.magics.base import Message

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

    from agentnb.core.db import Transaction
    from agentnb.core.db.transaction import TransactionRunner
    from agentnb.core.workflow import Orchestrator, Task
    from agentnb.magics.extension import Extension
    from agentnb.magics.grammar import Call

__all__ = ["check_no_schedule", "make_within", "open_transaction"]


class OpenTransaction(Protocol):
    """A transaction that ``%db`` holds open between cells."""

    @property
    def runner(self) -> TransactionRunner:
        """The runner of its statements."""

    def used(self) -> AbstractContextManager[Transaction]:
        """Lend the transaction to a cell."""


def open_transaction(
    extension: Extension, workflows: Orchestrator
) -> tuple[str, OpenTransaction] | None:
    """Return the connection and the transaction of ``%db begin`` that can take a workflow."""
    from agentnb.core.workflow.within import is_on

    for magic in extension.loaded:
        # One that was rolled back meanwhile is told of by its next use, which this is.
        for name, held in getattr(magic, "held", {}).items():
            # One of a connection that only reads takes no workflow, and stands in the way of none.
            if is_on(held.runner, workflows.database) and not held.runner.backend.read_only:
                return name, held
    return None


def make_within(
    place: tuple[str, OpenTransaction],
    call: Call,
    workflows: Orchestrator,
    tasks: Iterable[Task],
    given: dict[str, Any],
) -> Message:
    """Make the workflow of a cell in the transaction of ``%db begin``.

    Raises
    ------
    UsageError
        The cell would also work on it, which nobody sees before the commit.
    """
    name, held = place
    if "run" in call.options:
        raise UsageError(
            f"--run cannot see the workflow: the transaction of {name} is open",
            service="workflow",
            hint="make it without --run; then %db commit, and %workflow run",
        )
    with held.used() as transaction:
        made = workflows.create(call.arguments[0], tasks, transaction=transaction, **given)
        with suppress(NotFoundError):  # nobody sees one that this transaction has made
            if "key" in given:
                earlier = workflows.get(made.id)
                return Message(
                    f"key {earlier.key} is workflow {earlier.id} ({earlier.state}), which was made "
                    f"before the open transaction of {name}: nothing was made"
                )
    return Message(
        f"workflow {made.id} is made within the open transaction of {name}: "
        "%db commit makes it last, %db rollback undoes it"
    )


def check_no_schedule(place: tuple[str, OpenTransaction] | None) -> None:
    """Refuse to make a schedule while the transaction of ``%db begin`` is open.

    Raises
    ------
    UsageError
        It is open: the schedule would not belong to it.
    """
    if place is not None:
        raise UsageError(
            f"a schedule does not belong to the open transaction of {place[0]}",
            service="workflow",
            hint="%db commit or %db rollback first, then this cell again",
        )
