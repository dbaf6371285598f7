"""The schedules of a queue: kept on the server, fired by the workers of the queue."""

from __future__ import annotations

import hashlib
from math import isinf
from time import monotonic
from typing import TYPE_CHECKING, Any, Unpack

import msgspec

from agentnb.core.errors import AgentnbError
from agentnb.core.keywords import unknown_keyword
from agentnb.core.outage import OutageTracker
from agentnb.core.queue import schedule_scripts as scripts
from agentnb.core.queue.ids import letters, new_id
from agentnb.core.queue.options import DEFAULTS, Message, Options
from agentnb.core.queue.store import fields_of
from agentnb.core.trace import check_correlation_id
from agentnb.core.work.schedules.policy import Missed, Overlap, plan
from agentnb.core.work.schedules.schedule import (
    Schedule,
    ScheduleInfo,
    check_policies,
    check_schedule_name,
    schedule_table,
    there_is_none,
)
from agentnb.core.work.schedules.timing import Timing, timing

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable
    from zoneinfo import ZoneInfo

    from agentnb.core.queue.arguments import ScheduleOptions
    from agentnb.core.queue.job import Job
    from agentnb.core.queue.parts import QueueParts
    from agentnb.core.table import Table

__all__ = ["QueueSchedules", "table"]

_NEVER = "inf"
_AGAIN_SECONDS = 30.0
_GIVEN: dict[str, Any] = {
    "priority": 0,
    "attempts": 3,
    "backoff": None,
    "timeout": None,
    "lifo": False,
    "remove_on_complete": 100,
    "remove_on_fail": 50,
    "result_ttl": None,
    "correlation_id": None,
}


class Spec(msgspec.Struct, omit_defaults=True):
    """A schedule as it is kept: its times, and the jobs that it adds."""

    timing: Timing
    data: msgspec.Raw
    options: Options = DEFAULTS
    missed: Missed = "latest"
    overlap: Overlap = "allow"
    correlation_id: str | None = None


class QueueSchedules:
    """The schedules of one queue.

    Parameters
    ----------
    parts
        The parts of the queue.
    make
        Returns the job of an id and a message.
    """

    service = "queue"

    def __init__(self, parts: QueueParts, make: Callable[[str, bytes], Job]) -> None:
        self._parts = parts
        self._make = make
        self._put_off: dict[tuple[str, str], float] = {}
        self._outage = OutageTracker(
            parts.log, f"the schedules of {parts.name} cannot be read", "schedules fire again"
        )

    # Making and changing

    def save(  # noqa: PLR0913 - as `Queue.schedule`
        self,
        name: str,
        cron: str | None,
        data: Any,
        *,
        every: float | dt.timedelta | None,
        tz: str | ZoneInfo | None,
        start: dt.datetime | None,
        end: dt.datetime | None,
        missed: Missed,
        overlap: Overlap,
        schema: Any,
        default_ttl: float,
        **options: Unpack[ScheduleOptions],
    ) -> Schedule[Job]:
        """Keep a schedule; see `Queue.schedule`."""
        for word in options:
            if word not in _GIVEN:
                hint = "each firing is one job" if word in {"key", "delay"} else ""
                raise unknown_keyword("schedule", word, _GIVEN, "queue", hint)
        given = {**_GIVEN, **options}
        correlation_id = given.pop("correlation_id")
        check_correlation_id(correlation_id, "queue")
        if given["result_ttl"] is None:
            given["result_ttl"] = default_ttl
        name = check_schedule_name(name, "queue")
        check_policies(missed, overlap, "queue")
        store = self._parts.store
        now = store.now() / 1000 + store.clock.offset
        spec = Spec(
            timing(cron, every, service="queue", now=now, tz=tz, start=start, end=end),
            msgspec.Raw(self._parts.json.encode(data, schema)),
            Options.checked(**given, key=None),
            missed,
            overlap,
            correlation_id,
        )
        following = _score(spec.timing.after(now))
        changed = store.run(
            scripts.SAVE,
            [name, msgspec.json.encode(spec), following, store.name, store.names_key],
        )
        if changed:
            self._parts.log.info(
                "schedule %s of %s: %s",
                *(name, store.name, spec.timing.text),
                extra=self._parts.events.stamp(schedule=name),
            )
        return self.get(name)

    def get(self, name: str) -> Schedule[Job]:
        """Return a schedule by its name."""
        return Schedule(self, name, self._parts.threads)

    def infos(self) -> list[ScheduleInfo]:
        """Return all schedules, by their names."""
        _, *found = self._parts.store.run(scripts.LIST, [])
        return sorted((self._info(*one) for one in found), key=lambda one: one.name)

    def info(self, name: str) -> ScheduleInfo:
        """Return a schedule."""
        return self._info(*self._read(name)[1])

    def _read(self, name: str) -> tuple[float, Any]:
        """Return the time and a schedule as the server keeps it."""
        now, *found = self._parts.store.run(scripts.LIST, [check_schedule_name(name, "queue")])
        if not found:
            raise self._none(name)
        return int(now) / 1000, found[0]

    def _none(self, name: str) -> AgentnbError:
        known = [one.name for one in self.infos()]
        return there_is_none(name, known, f"of queue {self._parts.name}", "queue")

    def _info(self, name: bytes, due: bytes, flat: Any) -> ScheduleInfo:
        fields = fields_of(flat)
        spec = msgspec.json.decode(fields["spec"], type=Spec)
        score = float(due)
        last, error = fields.get("last"), fields.get("error")
        return ScheduleInfo(
            name=name.decode(),
            target=self._parts.name,
            timing=spec.timing,
            missed=spec.missed,
            overlap=spec.overlap,
            paused="paused" in fields,
            due=None if isinf(score) else score / 1000,
            fired=int(fields.get("fired", 0)),
            last=None if last is None else int(last) / 1000,
            last_id=None if last is None else fields["last_id"].decode(),
            error=None if error is None else error.decode(),
        )

    def set_paused(self, name: str, *, paused: bool) -> None:
        """Pause or resume a schedule."""
        now, (_, _, flat) = self._read(name)
        spec = msgspec.json.decode(fields_of(flat)["spec"], type=Spec)
        following = _score(spec.timing.after(now))
        if not self._parts.store.run(scripts.PAUSE, [name, int(paused), following]):
            raise self._none(name)
        word = "paused" if paused else "resumed"
        stamp = self._parts.events.stamp(schedule=name)
        self._parts.log.info("schedule %s of %s is %s", name, self._parts.name, word, extra=stamp)

    def remove(self, name: str) -> None:
        """Remove a schedule."""
        if not self._parts.store.run(scripts.REMOVE, [check_schedule_name(name, "queue")]):
            raise self._none(name)
        stamp = self._parts.events.stamp(schedule=name)
        self._parts.log.info("schedule %s of %s is removed", name, self._parts.name, extra=stamp)

    # Firing

    def trigger(self, name: str) -> Job:
        """Add a job of a schedule now, out of turn."""
        while True:
            now, (_, _, flat) = self._read(name)
            fields = fields_of(flat)
            spec = msgspec.json.decode(fields["spec"], type=Spec)
            revision = fields["revision"].decode()
            made = self._fire(
                name, revision, spec, [now], "", _NEVER, overlap="allow", id_=new_id()
            )
            if made:
                return made[0]

    def fire_due(self) -> float | None:
        """Fire the schedules that are due; return the seconds until the next one is, None for none.

        The worker that calls it goes on without its schedules where they cannot be read: it
        never raises.
        """
        try:
            now, later, *due = self._parts.store.run(scripts.DUE, [])
            times = [self._fire_one(int(now) / 1000, *one) for one in due]
        except Exception as error:  # noqa: BLE001 - jobs are processed all the same
            self._outage.failed(error)
            return None
        self._outage.succeeded()
        if later >= 0:
            times.append(later / 1000)
        return min((one - int(now) / 1000 for one in times if one is not None), default=None)

    def _fire_one(
        self, now: float, raw_name: bytes, due: bytes, raw: bytes, number: bytes
    ) -> float | None:
        """Fire a schedule that is due, and return its next time."""
        name, revision = raw_name.decode(), number.decode()
        if self._put_off.get((name, revision), 0.0) > monotonic():
            return None
        try:
            spec = msgspec.json.decode(raw, type=Spec)
            planned = plan(spec.timing, float(due) / 1000, now, spec.missed)
        except (AgentnbError, msgspec.MsgspecError) as error:
            # By a newer agentnb, or of a time zone that this machine lacks: another may do it.
            self._put_off[name, revision] = monotonic() + _AGAIN_SECONDS
            self._parts.log.error(  # noqa: TRY400 - a line, as of a job that fails
                "schedule %s of %s cannot fire here: %s", name, self._parts.name, error
            )
            return None
        made = self._fire(
            name,
            revision,
            spec,
            planned.times,
            due.decode(),
            _score(planned.following),
            overlap=spec.overlap,
        )
        # None: another worker was first.
        if made is not None and planned.missed is not None:
            self._say_missed(name, planned.missed, len(planned.times), spec.missed)
        return planned.following

    def _fire(
        self,
        name: str,
        revision: str,
        spec: Spec,
        times: list[float],
        due: str,
        following: str | int,
        *,
        overlap: Overlap,
        id_: str | None = None,
    ) -> list[Job] | None:
        """Add the jobs of some times; None if the schedule is another by now."""
        options = spec.options
        store = self._parts.store
        arguments: list[Any] = [name, revision, due, following, int(overlap == "skip"), store.name]
        arguments += [options.priority, int(options.lifo), options.attempts]
        messages = {}
        for time in times:
            at = round(time * 1000)
            job_id = id_ or _id_of(store.base, name, revision, at)
            messages[job_id] = self._message(spec, name, at, job_id)
            arguments += [at, job_id, messages[job_id]]
        left_out, *made = store.run(scripts.FIRE, arguments, repeat=False)
        if left_out < 0:
            return None
        if left_out:
            self._parts.log.warning(
                "schedule %s of %s: %d firings are left out, since the last job has not ended",
                *(name, store.name, left_out),
                extra=self._parts.events.stamp(schedule=name),
            )
        jobs = [self._make(one.decode(), messages[one.decode()]) for one in made]
        for job in jobs:
            self._parts.events.fired(job)
        return jobs

    def _message(self, spec: Spec, name: str, at: int, job_id: str) -> bytes:
        with self._parts.tracer.span("schedule", service="queue", queue=self._parts.name) as span:
            span.attributes = {"queue": self._parts.name, "schedule": name, "job": job_id}
            if spec.correlation_id is not None:
                span.correlation_id = spec.correlation_id
            return msgspec.json.encode(
                Message(
                    spec.data,
                    spec.options,
                    span.traceparent,
                    span.correlation_id,
                    schedule=name,
                    scheduled=at,
                )
            )

    def _say_missed(self, name: str, first: float, made: int, missed: Missed) -> None:
        from agentnb.core.format import clock

        fired = {0: "none is made up for", 1: "one is made up for"}
        self._parts.log.warning(
            "schedule %s of %s missed firings since %s: missed=%r, so %s",
            *(name, self._parts.name, clock(first), missed),
            fired.get(made, f"the latest {made} are made up for"),
            extra=self._parts.events.stamp(schedule=name),
        )


def table(infos: Iterable[ScheduleInfo]) -> Table:
    """Return schedules of queues as a table."""
    empty = (
        'no schedule yet: hub.queue(QUEUE).schedule(NAME, "0 2 * * *", DATA) '
        '(%queue schedule NAME "0 2 * * *" QUEUE JSON)'
    )
    return schedule_table(infos, target="queue", made="job", empty=empty)


def _score(moment: float | None) -> str | int:
    return _NEVER if moment is None else round(moment * 1000)


def _id_of(base: str, name: str, revision: str, at: int) -> str:
    """Return the id of the job of a firing: the same, whoever makes it."""
    text = f"{base} {name} {revision} {at}"
    return letters(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]))
