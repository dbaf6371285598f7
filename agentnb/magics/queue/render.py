"""The views of ``%queue``: one job with its details, or many as a table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agentnb.core.format import clock, duration, short
from agentnb.core.table import Column, Table
from agentnb.core.work.identity import describe
from agentnb.magics.detail import DetailView

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from agentnb.core.queue import Job
    from agentnb.core.queue.overview import QueueOverview
    from agentnb.core.queue.snapshot import JobSnapshot

__all__ = ["JobView", "jobs", "limits"]

_LONGEST = 2000
_BAR = 10


class JobView(DetailView):
    """A job whole, as it was when it was looked at.

    Attributes
    ----------
    job
        The job.
    seen
        The snapshot that is shown.
    log
        The lines of its log, the last 100.
    """

    kind = "job"

    def __init__(self, job: Job) -> None:
        self.job = job
        self.seen = job.seen or job.snapshot()
        self.log = job.logs(marks=True)

    @property
    def rows(self) -> list[tuple[str, str]]:
        """The properties of the job, by name."""
        job, seen = self.job, self.seen
        failure = seen.failure
        rows = [
            ("job", job.id),
            ("queue", job.queue.name),
            ("state", _state(seen)),
            ("attempt", f"{seen.attempt} of {job.options.attempts}"),
            ("data", short(job.raw, _LONGEST)),
        ]
        rows += self._origin()
        rows += [(name, clock(when)) for name, when in self._times() if when is not None]
        if seen.started and seen.finished and seen.finished >= seen.started:
            rows.append(("took", duration((seen.finished - seen.started).total_seconds())))
        if (progress := seen.fields.get("progress")) is not None:
            rows.append(("progress", progress_bar(progress)))
        if (result := seen.fields.get("result")) is not None:
            rows.append(("result", short(result, _LONGEST)))
        if seen.unkept is not None:
            rows.append(("result", str(seen.unkept)))
        if failure is not None:
            what = "error" if seen.state == "failed" else f"error of attempt {failure.attempt}"
            rows.append((what, failure.error))
        if seen.state == "delayed" and (why := job.queue.why_waiting()):
            rows.append(("waits", why))
        elif seen.state != "delayed" and (reason := job.reason):
            rows.append(("waits", reason))
        return rows

    def _origin(self) -> list[tuple[str, str]]:
        """How it was added, and by whom it runs."""
        job = self.job
        known = [
            ("priority", str(job.options.priority or "")),
            ("key", job.options.key),
            ("trace", (job.trace_id or "")[:8]),
            ("correlation", job.correlation_id),
            ("worker", self.seen.worker and describe(self.seen.worker)),
        ]
        return [(name, value) for name, value in known if value]

    def _times(self) -> list[tuple[str, dt.datetime | None]]:
        import datetime as dt

        seen, due = self.seen, None
        if seen.state == "delayed":
            due = dt.datetime.fromtimestamp(seen.score / 1000, dt.UTC)
        return [
            ("added", seen.created),
            ("due", due),
            ("started", seen.started),
            ("ended", seen.finished),
        ]

    @property
    def traceback(self) -> str:
        """The traceback of its latest failure."""
        failure = self.seen.failure
        return failure.traceback if failure is not None else ""

    @property
    def blocks(self) -> list[tuple[str, str]]:
        """Its traceback and its log."""
        return [("traceback", self.traceback.rstrip()), ("log", "\n".join(self.log))]


def jobs(found: list[Job], reasons: Mapping[str, str], *, empty: str, note: str = "") -> Table:
    """Return jobs as a table, with the limits that keep some waiting."""
    rows: list[tuple[Any, ...]] = []
    for job in found:
        seen = job.seen or job.snapshot()
        rows.append(
            (
                job.id,
                _state(seen),
                f"{seen.attempt} of {job.options.attempts}",
                short(job.raw, _LONGEST),
                progress_bar(seen.fields.get("progress")),
                _outcome(seen) or _waits(seen, reasons.get(job.id, "")),
                seen.created,
            )
        )
    columns: tuple[str | Column, ...] = (
        "job",
        Column("state", "state"),
        "attempt",
        "data",
        "progress",
        "outcome",
        Column("added", "time"),
    )
    if not any(row[4] for row in rows):
        columns = (*columns[:4], *columns[5:])
        rows = [(*row[:4], *row[5:]) for row in rows]
    return Table(columns, rows, empty=empty, note=note)


def progress_bar(progress: bytes | None) -> str:
    """Return a job's progress: a number is percent, and drawn.

    >>> progress_bar(b"40")
    '████░░░░░░ 40 %'
    >>> progress_bar(b'"half"'), progress_bar(None)
    ('half', '')
    """
    if progress is None:
        return ""
    try:
        value = json.loads(progress)
    except ValueError:
        return short(progress, _LONGEST)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 100:  # noqa: PLR2004 - percent
        full = round(_BAR * value / 100)
        return f"{'█' * full}{'░' * (_BAR - full)} {value:g} %"
    return value if isinstance(value, str) else short(progress, _LONGEST)


def limits(found: Sequence[QueueOverview]) -> Table:
    """Return the limits of queues as a table."""
    rows = [
        (one.queue.name, str(limit), one.counts["active"], one.counts.waiting)
        for one in found
        for limit in one.limits
    ]
    name = found[0].queue.name if len(found) == 1 else "QUEUE"
    of = f"queue {name}" if len(found) == 1 else "no queue"
    has = "has no limit" if len(found) == 1 else "has a limit"
    return Table(
        ("queue", "limit", "active", "waiting"),
        rows,
        empty=f"{of} {has}: hub.queue({name!r}).limit(10, per=60) "
        f"(%queue limit {name} 10 --per 60, or --concurrency 4)",
    )


def _waits(seen: JobSnapshot, reason: str) -> str:
    return reason if seen.state in {"waiting", "paused"} else ""


def _state(seen: JobSnapshot) -> str:
    return "done, not kept" if seen.unkept is not None else seen.state


def _outcome(seen: JobSnapshot) -> str:
    if seen.unkept is not None:
        return str(seen.unkept)
    result = seen.fields.get("result")
    if result is not None:
        return short(result, _LONGEST)
    return seen.failure.error if seen.failure is not None else ""
