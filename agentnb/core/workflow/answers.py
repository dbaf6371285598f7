"""Answers that people give to the questions of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.codec import misfit_of
from agentnb.core.errors import NotFoundError, RejectedError, UsageError, did_you_mean
from agentnb.core.moments import moment_of
from agentnb.core.workflow.parking import end
from agentnb.core.workflow.resuming import resume
from agentnb.core.workflow.spec import shown
from agentnb.core.workflow.transactions import plain

if TYPE_CHECKING:
    from agentnb.core.workflow.transactions import Transaction

__all__ = ["answer"]

_STATE = "select state from {task} where id = :id {lock}"
_ASKED = "select kind, state, form, by, ended from {task_wait} where task_id = :id and name = :name"
_NAMES = """
select name from {task_wait} where task_id = :id and kind = 'ask'
  and state = 'open' order by created
"""
_ENDED = {"completed", "failed", "cancelled", "skipped"}


def answer(
    tx: Transaction,
    scope: str,
    workflow: str,
    task: tuple[str, str],
    name: str,
    value: bytes,
    by: str,
) -> dict[str, int]:
    """Answer a question, in a transaction; return the agent of a task that goes on with it.

    Parameters
    ----------
    task
        The id and the name of the task.
    value
        The answer as JSON.

    Raises
    ------
    NotFoundError, RejectedError, UsageError
        There is no such question; it takes no answer; the answer does not fit.
    """
    number, title = task
    state = tx.rows(_STATE, id=number)[0][0]
    if state in _ENDED:
        raise RejectedError(
            f"task {title} of workflow {workflow} takes no answer: it is {state}",
            service="workflow",
            hint=f"workflow.task({title!r}) (%workflow show {workflow} {title}) has its state",
        )
    row = tx.row(_ASKED, id=number, name=plain(str(name)))
    if row is None:
        names = [found[0] for found in tx.rows(_NAMES, id=number)]
        raise NotFoundError(
            f"task {title} of workflow {workflow} has no question {shown(name)}",
            service="workflow",
            hint=did_you_mean(str(name), names) or f"it has: {', '.join(names) or 'none'}",
        )
    kind, state, form, answered_by, ended = row
    _check_open(f"{name!r} of task {title}", kind, state, answered_by, ended)
    _check_fits(f"{name!r} of task {title}", value, form)
    end(tx, number, name, answer=value.decode(), by=plain(by))
    return resume(tx, scope, number, wait=name, by=plain(by))


def _check_open(what: str, kind: str, state: str, by: str | None, ended: float | None) -> None:
    hint = "workflow.waits() (%workflow waits) shows the open questions"
    if kind != "ask":
        raise RejectedError(
            f"wait {what} is no question: its kind is {kind}", service="workflow", hint=hint
        )
    if state != "open":
        moment = moment_of(ended)
        at = "" if moment is None else f" at {moment:%Y-%m-%d %H:%M:%S} UTC"
        how = f"timed out{at}" if state == "late" else f"was answered by {by}{at}"
        raise RejectedError(f"question {what} {how}", service="workflow", hint=hint)


def _check_fits(what: str, value: bytes, form: str | None) -> None:
    if form is None:
        return
    schema: dict[str, Any] = msgspec.json.decode(form)
    misfit = misfit_of(msgspec.json.decode(value), schema)
    if misfit is not None:
        raise UsageError(
            f"the answer to {what} does not fit its form: {misfit}",
            service="workflow",
            hint="workflow.waits() (%workflow waits) has the form",
        )
