"""Idempotency keys: one workflow for each, even if it fails or is pruned, until they expire."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.errors import RejectedError, UsageError
from agentnb.core.ranges import text
from agentnb.core.workflow.spec import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.workflow.transactions import Transaction

__all__ = ["KEY_TTL", "Input", "Record", "check_key", "find", "record"]

KEY_TTL = 604_800.0
"""Seconds that a key is kept: 7 days."""
_LONGEST = 500
_MOST_SHOWN = 3
_VALID = "(k.created >= {now} - :ttl or w.state = 'active')"
_FIND = f"""
select k.workflow_id, k.digest, w.name, w.state from {{workflow_key}} k
left join {{workflow}} w on w.id = k.workflow_id
where k.scope = :scope and k.key = :key and {_VALID}
"""
_DROP = f"""
delete from {{workflow_key}} where scope = :scope and key = :key and not exists (
  select 1 from {{workflow_key}} k left join {{workflow}} w on w.id = k.workflow_id
  where k.scope = :scope and k.key = :key and {_VALID})
"""
_RECORD = """
insert into {workflow_key} (scope, key, workflow_id, digest, created)
values (:scope, :key, :workflow, :digest, {now})
on conflict (scope, key) do nothing
"""
_TASKS = """
select name, agent, data, needs, priority, delay, approval,
  case own_attempts when 1 then attempts end, case own_timeout when 1 then timeout end
from {task} where workflow_id = :id order by place
"""
_OPTIONS = ("priority", "delay", "approval", "attempts", "timeout")


class Input:
    """The input that a workflow is made from, in a form that can be compared.

    Parameters
    ----------
    name, data, max_parallel
        As `Orchestrator.create` takes them, the data as JSON.
    tasks
        Of each task the name, the agent, the data and the needs as JSON, and the options that
        the task sets itself: priority, delay, approval, attempts, timeout.
    deadline
        The deadline as it was given, as text; None for none.
    """

    def __init__(
        self,
        name: str,
        data: str,
        max_parallel: int | None,
        tasks: Sequence[tuple[Any, ...]],
        deadline: str | None = None,
    ) -> None:
        self.name = name
        self.deadline = deadline
        self._rest = {"data": data, "max_parallel": max_parallel}
        self.tasks = [tuple(task) for task in tasks]

    @property
    def digest(self) -> str:
        """The digest that is kept with the key."""
        whole: list[Any] = [self.name, self._rest, self.tasks]
        if self.deadline is not None:  # digests of those without one stay as they were
            whole.append(self.deadline)
        return hashlib.sha256(msgspec.json.encode(whole)).hexdigest()

    def difference(self, made: Input) -> str:
        """Return the first differences to the input of a workflow that was made, both sides."""
        if made.name != self.name:
            return f"its name is {made.name}, here {self.name}"
        for word, value in self._rest.items():
            if made._rest[word] != value:
                return f"its {word} is {shown(made._rest[word])}, here {shown(value)}"
        there, here = [_line(task) for task in made.tasks], [_line(task) for task in self.tasks]
        if there == here:
            return f"its deadline is another one, here {self.deadline or 'none'}"
        return f"it has {_listed(there, here)}; here {_listed(here, there)}"


@dataclass(frozen=True, slots=True)
class Record:
    """A key that was used: the workflow made with it, None for name and state if it is pruned."""

    workflow: str
    digest: str | None
    name: str | None
    state: str | None

    def check(self, tx: Transaction, key: str, asked: Input) -> None:
        """Refuse other input than that of the workflow that was made with the key.

        Raises
        ------
        UsageError
            It is other input.
        RejectedError
            The workflow was pruned.
        """
        if self.digest is not None and self.digest != asked.digest:
            known = f"workflow {self.name} ({self.workflow})" if self.name else self.workflow
            row = tx.row(
                "select name, data, max_parallel from {workflow} where id = :id", id=self.workflow
            )
            why = "which was pruned"
            if row is not None:
                why = asked.difference(
                    Input(row[0], row[1], row[2], tx.rows(_TASKS, id=self.workflow))
                )
            raise UsageError(
                f"key {shown(key)} was used for {known} with other input: {why}",
                service="workflow",
                hint=f"use another key for other tasks; hub.workflows.get({self.workflow!r}) is "
                "the one that was made",
            )
        if self.state is None:
            raise RejectedError(
                f"key {shown(key)} was used for workflow {self.workflow}, which was pruned",
                service="workflow",
                hint="use another key; AGENTNB_KEY_TTL sets how many seconds a key is kept",
            )


def check_key(key: Any) -> None:
    """Refuse what cannot be a key.

    Raises
    ------
    UsageError
        It is no printable text of 1 to 500 characters.
    """
    if key is None:
        return
    hint = f"text that names the work, of at most {_LONGEST} characters"
    if isinstance(key, str):
        text("key", key, service="workflow", hint=hint)
    if not isinstance(key, str) or not key.isprintable() or not 0 < len(key) <= _LONGEST:
        raise UsageError(
            f"key must be printable text of 1 to {_LONGEST} characters, got {shown(key)}",
            service="workflow",
            hint=hint,
        )


def find(tx: Transaction, scope: str, key: str, ttl: float) -> Record | None:
    """Return the record of a key that has not expired."""
    row = tx.row(_FIND, scope=scope, key=key, ttl=ttl)
    return None if row is None else Record(*row)


def record(
    tx: Transaction, scope: str, key: str, workflow: str, digest: str, *, ttl: float
) -> Record | None:
    """Record a key for a workflow in the transaction that makes it; return None.

    A key that somebody else has recorded meanwhile is returned instead.
    """
    tx.run(_DROP, scope=scope, key=key, ttl=ttl)
    if tx.run(_RECORD, scope=scope, key=key, workflow=workflow, digest=digest):
        return None
    return find(tx, scope, key, ttl)


def _line(task: tuple[Any, ...]) -> str:
    """Return a task as a line of ``%%workflow``."""
    name, agent, data, needs, *options = task
    words = [f"{name}:"]
    words += [agent] if agent != name else []
    words += [data] if data != "null" else []
    listed = msgspec.json.decode(needs)
    words += [f"<- {', '.join(listed)}"] if listed else []
    marks = zip(_OPTIONS, options, strict=True)
    words += [f"!{word}={value:g}" for word, value in marks if value]
    return " ".join(words).removesuffix(":")


def _listed(lines: list[str], others: list[str]) -> str:
    """Return the lines that the others have not, in short."""
    only = [line for line in lines if line not in others] or lines
    more = f" and {len(only) - _MOST_SHOWN} more" if len(only) > _MOST_SHOWN else ""
    return ", ".join(shown(line) for line in only[:_MOST_SHOWN]) + more
