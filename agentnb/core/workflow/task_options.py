"""The options of a task that was made are changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.errors import RejectedError, UsageError
from agentnb.core.ranges import seconds, whole
from agentnb.core.workflow.outbox import note
from agentnb.core.workflow.spec import MOST_ATTEMPTS, Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentnb.core.workflow.agents import Agent
    from agentnb.core.workflow.transactions import Transaction

__all__ = ["OPTIONS", "change", "checked"]

OPTIONS = ("attempts", "backoff", "timeout", "priority", "delay")
_OF_AGENT = ("attempts", "backoff", "timeout")
_ENDED = {"completed", "failed", "cancelled", "skipped"}
_TO_BE_DELAYED = {"blocked", "approval", "delayed", "skipped"}
_DELAY = "delay = :delay, due = case when state = 'delayed' then {now} + :delay else due end"


def checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that are given, if each is what it may be; None is that of the agent.

    Raises
    ------
    UsageError
        One is not, or there is none.
    """
    if not given:
        raise UsageError(
            f"no option is given: {', '.join(OPTIONS)}",
            service="workflow",
            hint='workflow.set("plan", attempts=5) (%workflow set WORKFLOW plan --attempts 5)',
        )
    found = dict(given)
    for name in ("priority", "delay"):  # an agent has none
        if name in found and found[name] is None:
            found[name] = 0
    values = {name: value for name, value in found.items() if value is not None}
    if "backoff" in values:
        found["backoff"] = seconds("backoff", values.pop("backoff"), service="workflow", zero=True)
    task = Task("task", **values)
    return found | {name: getattr(task, name) for name in values}


def change(
    tx: Transaction,
    scope: str,
    workflow: str,
    task: tuple[Any, ...],
    given: Mapping[str, Any],
    agent: Agent,
) -> None:
    """Change options of a task, given as id, name and state, for its attempts to come.

    Raises
    ------
    UsageError
        As many attempts were begun.
    RejectedError
        It is completed, or has a delay to come no longer.
    """
    number, name, state, *_ = task
    if state == "completed":
        raise RejectedError(
            f"task {name} of workflow {workflow} is completed: its options are of no use",
            service="workflow",
            hint="workflow.tasks (%workflow show) lists the tasks and their states",
        )
    if "delay" in given and state not in _TO_BE_DELAYED:
        raise RejectedError(
            f"task {name} of workflow {workflow} cannot be delayed: it is {state}",
            service="workflow",
            hint="workflow.pause() (%workflow pause) keeps it waiting",
        )
    if given.get("attempts") is not None:
        _check_attempts(tx, number, state, given["attempts"])
    sets: list[str] = []
    values: dict[str, Any] = {}
    for option, value in given.items():
        own = option in _OF_AGENT and value is None
        values[option] = getattr(agent, option) if own else value
        sets.append(_DELAY if option == "delay" else f"{option} = :{option}")
        if option in _OF_AGENT:
            sets.append(f"own_{option} = {int(not own)}")
    tx.run(f"update {{task}} set {', '.join(sets)} where id = :id", id=number, **values)
    note(tx, scope, workflow, "TASK_CHANGED", task_id=number, task=name, **values)


def _check_attempts(tx: Transaction, number: str, state: str, attempts: int) -> None:
    """Refuse fewer attempts than a task that has not ended has begun, and one more."""
    row = tx.row("select attempt from {task} where id = :id", id=number)
    begun = 0 if row is None or state in _ENDED else int(row[0])
    hint = f"attempt {begun} was begun, and keeps its own options: attempts={begun + 1} is one more"
    most = MOST_ATTEMPTS
    whole("attempts", attempts, service="workflow", least=begun + 1, most=most, hint=hint)
