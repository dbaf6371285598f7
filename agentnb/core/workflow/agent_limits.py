"""Limits of agents over all workers: a rate, a concurrency or both, kept in the database.

The starts of an agent with a rate are a ring of as many rows: `agent_limit.starts` counts them,
and the next one takes the place of the oldest, which tells when there is room. So each claim
reads one row, and no window of the rate's length has more starts than it allows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from agentnb.core.format import time_of_day
from agentnb.core.work.limits import Limit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.workflow.transactions import Transaction

__all__ = [
    "FULL",
    "OPEN",
    "STARTED",
    "TURN",
    "UNTIL",
    "AgentLimit",
    "count_start",
    "limits_of",
    "remove_limit",
    "set_limit",
]

_OLDEST = """
{agent_start} s where s.scope = l.scope and s.agent = l.agent and s.slot = l.starts {mod} l.rate
  and s.at + l.per > {now}
"""
_ACTIVE = """
(select count(*) from {task} f where f.scope = l.scope and f.agent = l.agent
  and f.state = 'active')
"""
FULL = f"""
exists (select 1 from {{agent_limit}} l where l.scope = :scope and l.agent = AGENT
  and (l.concurrency <= {_ACTIVE} or exists (select 1 from {_OLDEST})))
"""
"""Whether an agent, the name ``AGENT``, may start no task now."""
OPEN = f"""
a as (select a.agent from {{agents}} where not {FULL.replace("AGENT", "a.agent")})
"""
"""The common table of those of the agents that may start a task now."""
UNTIL = f"""
select s.at + l.per - {{now}} from {{agents}} join {{agent_limit}} l
  on l.scope = :scope and l.agent = a.agent join {_OLDEST.replace("where", "on", 1)}
"""
"""In how many seconds the agents whose rates have no room will have."""
TURN = """
select 1 from (select pg_advisory_xact_lock(hashtextextended(
  'agent ' || :scope || ' ' || current_setting('agentnb.agent'), 0))
  where current_setting('agentnb.agent') <> '') x
"""
"""One claim at a time for an agent with a limit, on PostgreSQL."""
_COUNT_START = """
update {agent_limit} as l set starts = l.starts + 1
"""
_NOTE_START = """
insert into {agent_start} (scope, agent, slot, at)
"""
_REPLACE = "on conflict (scope, agent, slot) do update set at = excluded.at"
STARTED = f"""
counted as ({_COUNT_START} from taken where l.scope = :scope and l.agent = taken.agent
  and l.rate is not null returning l.agent, (l.starts - 1) {{mod}} l.rate as slot),
started as ({_NOTE_START} select :scope, agent, slot, {{now}} from counted where true {_REPLACE})
"""
"""The common tables that count the start of a task that was ``taken``, on PostgreSQL."""
_LIMITS = f"""
select l.agent, l.rate, l.per, l.concurrency, {_ACTIVE}, (select s.at + l.per from {_OLDEST})
from {{agent_limit}} l where l.scope = :scope order by l.agent
"""
_SET = """
insert into {agent_limit} as l (scope, agent, rate, per, concurrency, starts)
values (:scope, :agent, :rate, :per, :concurrency, 0)
on conflict (scope, agent) do update set rate = coalesce(excluded.rate, l.rate),
  per = coalesce(excluded.per, l.per),
  concurrency = coalesce(excluded.concurrency, l.concurrency)
"""


class AgentLimit(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """The limit of an agent, and what of it is taken.

    Attributes
    ----------
    agent
        The agent.
    rate, per
        At most this many of its tasks start within this many seconds; or None.
    concurrency
        At most this many of its tasks run at once, or None.
    active
        How many run now.
    until
        When the rate has room again, in seconds since the epoch; None where it has.

    Examples
    --------
    >>> limit = AgentLimit("ask", 60, 60.0, 3, active=3)
    >>> print(limit, limit.reason, sep="; ")
    60 per 60 s, concurrency 3; agent limit 3 of 3
    """

    agent: str
    rate: int | None = None
    per: float | None = None
    concurrency: int | None = None
    active: int = 0
    until: float | None = None

    @property
    def reason(self) -> str:
        """The reason why tasks of the agent wait; empty where there is room."""
        reasons = []
        if self.concurrency is not None and self.active >= self.concurrency:
            reasons.append(f"agent limit {self.active:,} of {self.concurrency:,}")
        if self.until is not None:
            rate = Limit(self.rate, self.per)
            reasons.append(f"agent rate of {rate}: from {time_of_day(self.until)}")
        return "; ".join(reasons)

    def __str__(self) -> str:
        limits = []
        if self.rate is not None:
            limits.append(str(Limit(self.rate, self.per)))
        if self.concurrency is not None:
            limits.append(str(Limit(concurrency=self.concurrency)))
        return ", ".join(limits)


def limits_of(tx: Transaction, scope: str) -> list[AgentLimit]:
    """Return the limits of all agents, by their names."""
    return [AgentLimit(*row) for row in tx.rows(_LIMITS, scope=scope)]


def set_limit(tx: Transaction, scope: str, agent: str, given: Sequence[Limit]) -> None:
    """Set the rate or the concurrency of an agent, or both, in a transaction."""
    rate = next((one for one in given if one.rate is not None), Limit())
    places = next((one for one in given if one.concurrency is not None), Limit())
    _lock(tx, scope, agent)
    values = {"rate": rate.rate, "per": rate.per, "concurrency": places.concurrency}
    tx.run(_SET, scope=scope, agent=agent, **values)
    if rate.rate is not None:
        _resize(tx, scope, agent, rate.rate)


def _lock(tx: Transaction, scope: str, agent: str) -> None:
    """Let no claim of an agent go on beside, on PostgreSQL."""
    if tx.postgres:
        tx.row("select set_config('agentnb.agent', :agent, true)", agent=agent)
        tx.rows(TURN, scope=scope)


def _resize(tx: Transaction, scope: str, agent: str, rate: int) -> None:
    """Give the ring of an agent's starts another size, and keep the latest of them."""
    values = {"scope": scope, "agent": agent}
    sql = "select at from {agent_start} where scope = :scope and agent = :agent order by at desc "
    latest = [row[0] for row in tx.rows(f"{sql} limit :n", n=rate, **values)][::-1]
    tx.run("delete from {agent_start} where scope = :scope and agent = :agent", **values)
    tx.many(
        f"{_NOTE_START} values (:scope, :agent, :slot, :at)",
        [{**values, "slot": slot, "at": at} for slot, at in enumerate(latest)],
    )
    sql = "update {agent_limit} set starts = :n where scope = :scope and agent = :agent"
    tx.run(sql, n=len(latest), **values)


def remove_limit(tx: Transaction, scope: str, agent: str) -> bool:
    """Remove the limit of an agent, in a transaction; return whether it had one."""
    _lock(tx, scope, agent)
    found = 0
    for table in ("agent_start", "agent_limit"):
        sql = f"delete from {{{table}}} where scope = :scope and agent = :agent"
        found = tx.run(sql, scope=scope, agent=agent)
    return bool(found)


def count_start(tx: Transaction, scope: str, agent: str) -> None:
    """Count the start of a task for its agent's rate, in a transaction of SQLite."""
    sql = f"{_COUNT_START} where scope = :scope and agent = :agent and rate is not null"
    row = tx.row(f"{sql} returning (starts - 1) {{mod}} rate", scope=scope, agent=agent)
    if row is not None:
        sql = f"{_NOTE_START} values (:scope, :agent, :slot, {{now}}) {_REPLACE}"
        tx.run(sql, scope=scope, agent=agent, slot=row[0])
