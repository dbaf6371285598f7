"""The schedules of workflows: kept in the database, fired by the workers of agents."""

from __future__ import annotations

import datetime as dt
from time import monotonic
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.errors import AgentnbError, UnavailableError
from agentnb.core.format import clock
from agentnb.core.keywords import refuse_unknown
from agentnb.core.outage import OutageTracker
from agentnb.core.work.schedules.policy import Missed, Overlap, Plan, plan
from agentnb.core.work.schedules.schedule import (
    Schedule,
    ScheduleInfo,
    check_policies,
    check_schedule_name,
    schedule_table,
    there_is_none,
)
from agentnb.core.work.schedules.timing import Timing, timing
from agentnb.core.workflow.deadlines import seconds_of
from agentnb.core.workflow.spec import Task

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from zoneinfo import ZoneInfo

    from agentnb.core.callthreads import CallThreads
    from agentnb.core.codec import Json
    from agentnb.core.table import Table
    from agentnb.core.trace import Tracer
    from agentnb.core.workflow.creating import Creator
    from agentnb.core.workflow.transactions import Transaction, Transactions
    from agentnb.core.workflow.workflow import Workflow

__all__ = ["WorkflowSchedules", "next_firing", "table"]

_AGAIN_SECONDS = 30.0
_COLUMNS = "name, spec, revision, due, paused, fired, last, last_id, error"
_OF = "scope = :scope and name = :name"
_ALL = f"select {_COLUMNS} from {{schedule}} where scope = :scope order by name"
_ONE = f"select {_COLUMNS} from {{schedule}} where {_OF}"
_DUE = f"select {_COLUMNS} from {{schedule}} where scope = :scope and due <= {{now}} order by due"
_SAVE = """
insert into {schedule} as s (scope, name, spec, revision, due, paused, fired)
values (:scope, :name, :spec, 1, :due, 0, 0)
on conflict (scope, name) do update set spec = excluded.spec,
  revision = s.revision + 1, error = null,
  due = case s.paused when 1 then null else excluded.due end
where s.spec <> excluded.spec
"""
_PAUSE = f"update {{schedule}} set paused = 1, due = null where {_OF}"
_RESUME = f"update {{schedule}} set paused = 0, due = :due where {_OF} and paused = 1"
_REMOVE = f"delete from {{schedule}} where {_OF}"
# Each time fires once: by the one transaction that finds it due, and sets the next.
_TURN = f"""
update {{schedule}} set due = :following
where {_OF} and revision = :revision and due = :due
"""
_FIRED = f"""
update {{schedule}} set fired = fired + 1, last = :time, last_id = :id, error = null
where {_OF} and revision = :revision
"""
_FAILED = f"update {{schedule}} set error = :error where {_OF} and revision = :revision"
_RUNS = "select 1 from {workflow} where id = :id and state = 'active'"
_NEXT = "select min(due) - {now} from {schedule} where scope = :scope"
_LATER = f"{_NEXT} and due > {{now}}"


class TaskSpec(msgspec.Struct, omit_defaults=True):
    """A task as a schedule keeps it."""

    name: str
    agent: str
    data: msgspec.Raw
    needs: tuple[str, ...] = ()
    priority: int = 0
    delay: float = 0.0
    approval: bool = False
    attempts: int | None = None
    timeout: float | None = None


class Spec(msgspec.Struct, omit_defaults=True):
    """A schedule as it is kept: its times, and the workflows that it makes."""

    timing: Timing
    tasks: list[TaskSpec]
    data: msgspec.Raw
    max_parallel: int | None = None
    correlation_id: str | None = None
    missed: Missed = "latest"
    overlap: Overlap = "allow"
    deadline: float | None = None


class _Row(msgspec.Struct, frozen=True):
    """A row of the table."""

    name: str
    raw: str
    revision: int
    due: float | None
    paused: int
    fired: int
    last: float | None
    last_id: str | None
    error: str | None

    @property
    def spec(self) -> Spec:
        return msgspec.json.decode(self.raw, type=Spec)


@refuse_unknown("workflow")
class WorkflowSchedules:
    """The schedules of one orchestrator.

    Parameters
    ----------
    transactions, scope
        The database.
    creator
        Makes workflows.
    json
        Encodes values.
    tracer, log
        Where spans and log lines go.
    threads
        The threads of awaited calls.
    made
        Called with the tasks that could run, by agents, after a workflow was made.
    find
        Returns a workflow by its id.
    """

    service = "workflow"

    def __init__(
        self,
        transactions: Transactions,
        scope: str,
        creator: Creator,
        json: Json,
        *,
        tracer: Tracer,
        log: logging.LoggerAdapter[Any],
        threads: CallThreads,
        made: Callable[[dict[str, int]], object],
        find: Callable[[str], Workflow],
    ) -> None:
        self._transactions = transactions
        self._scope = scope
        self._creator = creator
        self._json = json
        self._tracer = tracer
        self._log = log
        self._threads = threads
        self._made = made
        self._find = find
        self._put_off: dict[tuple[str, int], float] = {}
        self._outage = OutageTracker(
            log, "the schedules of workflows cannot be read", "schedules fire again"
        )

    # Making and changing

    def schedule(  # noqa: PLR0913 - keyword-only ones, each documented
        self,
        name: str,
        cron: str | None = None,
        tasks: Iterable[Task | Mapping[str, Any]] = (),
        *,
        every: float | dt.timedelta | None = None,
        tz: str | ZoneInfo | None = None,
        start: dt.datetime | None = None,
        end: dt.datetime | None = None,
        missed: Missed = "latest",
        overlap: Overlap = "allow",
        max_parallel: int | None = None,
        data: Any = None,
        correlation_id: str | None = None,
        deadline: float | dt.timedelta | None = None,
    ) -> Schedule[Workflow]:
        """Make a workflow at each of some times, or replace the schedule that has this name.

        The workers of agents fire it, by the clock of the database: each time once, however many
        there are. Without a worker nothing fires. The same call again changes nothing; another
        one sets the next time anew, and a paused schedule stays paused.

        Parameters
        ----------
        name
            A word, that of its workflows, too.
        cron
            ``"0 2 * * *"``: minute, hour, day, month, weekday; see `Queue.schedule`.
        tasks, max_parallel, data, correlation_id
            As `create` takes them.
        deadline
            Seconds from when each workflow is made until what is left of it is cancelled.
        every, tz, start, end, missed, overlap
            As `Queue.schedule` takes them; a workflow overlaps while it is active.

        Raises
        ------
        UsageError
            It is no time, would never fire, or the tasks cannot be a workflow; nothing was
            changed.

        Examples
        --------
        ``hub.workflows.schedule("report", "0 2 * * *", [Task("collect")], tz="Europe/Berlin")``
        """
        name = check_schedule_name(name, "workflow")
        check_policies(missed, overlap, "workflow")
        with self._transactions.read() as tx:
            now = tx.now()
        times = timing(cron, every, service="workflow", now=now, tz=tz, start=start, end=end)
        given = self._creator.check(
            name, tasks, max_parallel=max_parallel, correlation_id=correlation_id
        )
        spec = Spec(
            times,
            [_task_spec(task, encoded) for task, encoded in given],
            msgspec.Raw(self._json.encode(data)),
            max_parallel,
            correlation_id,
            missed,
            overlap,
            seconds_of(deadline),
        )
        text = msgspec.json.encode(spec).decode()
        with self._transactions.write() as tx:
            changed = tx.run(_SAVE, scope=self._scope, name=name, spec=text, due=times.after(now))
        if changed:
            self._log.info("schedule %s: %s", name, times.text, extra=_stamp(name))
        return self._of(name)

    def schedules(self) -> Table:
        """Return the schedules with their next times, by this machine's clock."""
        return table(self.schedule_infos())

    def schedule_infos(self) -> list[ScheduleInfo]:
        """Return the schedules as the database has them, by their names."""
        return [_info(row) for row in self._rows(_ALL)]

    def get_schedule(self, name: str) -> Schedule[Workflow]:
        """Return a schedule by its name, to pause, resume, trigger or remove it.

        Raises
        ------
        NotFoundError
            There is none.
        """
        self.info(name)
        return self._of(name)

    def unschedule(self, name: str) -> None:
        """Remove a schedule; the workflows that it has made stay.

        Raises
        ------
        NotFoundError
            There is none.
        """
        self.remove(name)

    def _of(self, name: str) -> Schedule[Workflow]:
        return Schedule(self, name, self._threads)

    def _rows(self, sql: str, **values: Any) -> list[_Row]:
        with self._transactions.read() as tx:
            return [_Row(*row) for row in tx.rows(sql, scope=self._scope, **values)]

    def _row(self, name: str) -> _Row:
        rows = self._rows(_ONE, name=check_schedule_name(name, "workflow"))
        if not rows:
            raise self._none(name)
        return rows[0]

    def _none(self, name: str) -> AgentnbError:
        known = [row.name for row in self._rows(_ALL)]
        return there_is_none(name, known, "of workflows", "workflow")

    def info(self, name: str) -> ScheduleInfo:
        """Return a schedule."""
        return _info(self._row(name))

    def set_paused(self, name: str, *, paused: bool) -> None:
        """Pause or resume a schedule."""
        row = self._row(name)
        with self._transactions.write() as tx:
            if paused:
                tx.run(_PAUSE, scope=self._scope, name=name)
            else:
                due = row.spec.timing.after(tx.now())
                tx.run(_RESUME, scope=self._scope, name=name, due=due)
        word = "paused" if paused else "resumed"
        self._log.info("schedule %s is %s", name, word, extra=_stamp(name))

    def remove(self, name: str) -> None:
        """Remove a schedule."""
        name = check_schedule_name(name, "workflow")
        with self._transactions.write() as tx:
            found = tx.run(_REMOVE, scope=self._scope, name=name)
        if not found:
            raise self._none(name)
        self._log.info("schedule %s is removed", name, extra=_stamp(name))

    # Firing

    def trigger(self, name: str) -> Workflow:
        """Make a workflow of a schedule now, out of turn."""
        row = self._row(name)
        with self._transactions.read() as tx:
            now = tx.now()
        number = self._create(row, row.spec, now, None)
        if number is None:
            return self.trigger(name)  # it was replaced meanwhile
        return self._find(number)

    def fire_due(self) -> float | None:
        """Fire the schedules that are due; return the seconds until the next one is, None for none.

        The worker that calls it goes on without schedules where they cannot be read: it never
        raises.
        """
        try:
            with self._transactions.read() as tx:
                now = tx.now()
                rows = [_Row(*row) for row in tx.rows(_DUE, scope=self._scope)]
            for row in rows:
                self._fire(row, now)
            with self._transactions.read() as tx:
                following = next_firing(tx, self._scope, later=True)
        except Exception as error:  # noqa: BLE001 - tasks are done all the same
            self._outage.failed(error)
            return None
        self._outage.succeeded()
        return following

    def _fire(self, row: _Row, now: float) -> int:
        key = (row.name, row.revision)
        if row.due is None or self._put_off.get(key, 0.0) > monotonic():
            return 0
        try:
            spec = row.spec
            planned = plan(spec.timing, row.due, now, spec.missed)
        except (AgentnbError, msgspec.MsgspecError) as error:
            # By a newer agentnb, or of a time zone that this machine lacks: another may do it.
            self._put_off[key] = monotonic() + _AGAIN_SECONDS
            self._log.error(
                "schedule %s cannot fire here: %s", row.name, error, extra=_stamp(row.name)
            )
            return 0
        made = self._make(row, spec, planned)
        if made is None:
            return 0  # another worker was first
        if planned.missed is not None:
            self._say_missed(row.name, planned.missed, len(planned.times), spec.missed)
        return made

    def _make(self, row: _Row, spec: Spec, planned: Plan) -> int | None:
        """Make the workflows of a plan, and return how many; None if another worker was first."""
        due = row.due or 0.0
        if not planned.times:
            with self._transactions.write() as tx:
                return 0 if self._turn(tx, row, due, planned.following) else None
        made = 0
        for time, following in zip(
            planned.times, [*planned.times[1:], planned.following], strict=True
        ):
            try:
                number = self._create(row, spec, time, (due, following))
            except UnavailableError:
                raise
            except AgentnbError as error:
                number = "" if self._give_up(row, due, following, error) else None
            if number is None:
                return made or None
            made += bool(number)
            due = following or due
        return made

    def _turn(self, tx: Transaction, row: _Row, due: float, following: float | None) -> bool:
        """Set the next time, and return whether this one was still due."""
        values = {"name": row.name, "revision": row.revision, "due": due, "following": following}
        return bool(tx.run(_TURN, scope=self._scope, **values))

    def _create(
        self, row: _Row, spec: Spec, time: float, turn: tuple[float, float | None] | None
    ) -> str | None:
        """Make the workflow of a time, and return its id.

        None if the schedule is another by now; empty if the last workflow has not ended.
        """
        left_out = False

        def claim(tx: Transaction, number: str) -> bool:
            nonlocal left_out
            if turn is not None and not self._turn(tx, row, *turn):
                return False
            if turn is not None and spec.overlap == "skip":
                last = tx.row(
                    "select last_id from {schedule} where scope = :scope and name = :name",
                    scope=self._scope,
                    name=row.name,
                )
                if last is not None and tx.row(_RUNS, id=last[0]) is not None:
                    left_out = True
                    return False
            values = {"name": row.name, "revision": row.revision, "time": time, "id": number}
            return bool(tx.run(_FIRED, scope=self._scope, **values))

        tasks = [_task(one) for one in spec.tasks]
        at = dt.datetime.fromtimestamp(time, dt.UTC).isoformat(timespec="seconds")
        with self._tracer.span(
            "schedule", service="workflow", schedule=row.name, workflow_name=row.name
        ) as span:
            if spec.correlation_id is not None:
                span.correlation_id = spec.correlation_id
            made = self._creator.create(
                row.name,
                tasks,
                key=f"{row.name} {at}",
                max_parallel=spec.max_parallel,
                data=msgspec.json.decode(spec.data),
                correlation_id=spec.correlation_id,
                deadline=spec.deadline,
                claim=claim,
            )
            if made is None:
                span.discard()  # another worker has fired it
            else:
                span.note(workflow=made[0])
        if left_out and turn is not None:
            with self._transactions.write() as tx:
                if not self._turn(tx, row, *turn):
                    return None
            line = "schedule %s: a firing is left out, since the last workflow has not ended"
            self._log.warning(line, row.name, extra=_stamp(row.name))
            return ""
        if made is None:
            return None
        number, ready = made
        stamp = _stamp(row.name, workflow=number, scheduled_at=at)
        self._log.info("schedule %s fired", row.name, extra=stamp)
        self._made(ready)
        return number

    def _give_up(self, row: _Row, due: float, following: float | None, error: AgentnbError) -> bool:
        """Note why a firing makes nothing, and go on with the next."""
        with self._transactions.write() as tx:
            if not self._turn(tx, row, due, following):
                return False
            values = {"name": row.name, "revision": row.revision, "error": error.message}
            tx.run(_FAILED, scope=self._scope, **values)
        self._log.error(
            "schedule %s made nothing at %s: %s",
            *(row.name, clock(due), error),
            extra=_stamp(row.name),
        )
        return True

    def _say_missed(self, name: str, first: float, made: int, missed: Missed) -> None:
        fired = {0: "none is made up for", 1: "one is made up for"}
        self._log.warning(
            "schedule %s missed firings since %s: missed=%r, so %s",
            *(name, clock(first), missed),
            fired.get(made, f"the latest {made} are made up for"),
            extra=_stamp(name),
        )


def next_firing(tx: Transaction, scope: str, *, later: bool = False) -> float | None:
    """Return the seconds until the next schedule is due, None for none.

    Parameters
    ----------
    later
        Leave out those that are due already: they cannot fire here.
    """
    row = tx.row(_LATER if later else _NEXT, scope=scope)
    return None if row is None or row[0] is None else float(row[0])


def table(infos: Sequence[ScheduleInfo]) -> Table:
    """Return schedules of workflows as a table."""
    empty = (
        'no schedule yet: hub.workflows.schedule(NAME, "0 2 * * *", TASKS) '
        '(%%workflow NAME --cron "0 2 * * *")'
    )
    return schedule_table(infos, target="tasks", made="workflow", empty=empty)


def _info(row: _Row) -> ScheduleInfo:
    spec = row.spec
    return ScheduleInfo(
        name=row.name,
        target=", ".join(task.name for task in spec.tasks),
        timing=spec.timing,
        missed=spec.missed,
        overlap=spec.overlap,
        paused=bool(row.paused),
        due=row.due,
        fired=row.fired,
        last=row.last,
        last_id=row.last_id,
        error=row.error,
    )


def _task_spec(task: Task, data: bytes) -> TaskSpec:
    return TaskSpec(
        task.name,
        task.agent,
        msgspec.Raw(data),
        tuple(task.needs),
        task.priority,
        float(task.delay),
        task.approval,
        task.attempts,
        None if task.timeout is None else float(task.timeout),
    )


def _task(spec: TaskSpec) -> Task:
    return Task(
        spec.name,
        agent=spec.agent,
        data=msgspec.json.decode(spec.data),
        needs=spec.needs,
        priority=spec.priority,
        delay=spec.delay,
        approval=spec.approval,
        attempts=spec.attempts,
        timeout=spec.timeout,
    )


def _stamp(name: str, **more: Any) -> dict[str, Any]:
    return {"data": {"schedule": name, **more}}
