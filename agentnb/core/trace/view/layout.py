"""The layout of a waterfall: its rows, its axis and its heading, whatever writes them down."""

from __future__ import annotations

from functools import cached_property
from time import time
from typing import TYPE_CHECKING, Any, Final

from agentnb.core.format import count, duration
from agentnb.core.trace.view.rows import Row, chosen, rows_of
from agentnb.core.trace.view.timeline import Timeline
from agentnb.core.trace.view.words import label, line, process_words, title
from agentnb.core.trace.view.work_time import WorkTime, extents, work_time

if TYPE_CHECKING:
    from agentnb.core.trace.spans import Process, Span
    from agentnb.core.trace.tree import Trace

__all__ = ["Layout"]

_ROWS = 200
_ONE_BY_ONE = 5_000
_SPANS = 50_000


class Layout:
    """A trace, laid out.

    Parameters
    ----------
    trace
        The trace. Of more than 50,000 spans the first are shown, and a note says so.
    merge
        Whether repeats are merged; above 5,000 spans they always are.
    depth
        How many levels of the tree; None for all.
    limit
        Greatest number of rows.
    now
        The present moment, until which spans are shown that run, in seconds since 1970; default:
        now.
    """

    ROWS: Final = _ROWS

    def __init__(
        self,
        trace: Trace,
        *,
        merge: bool = True,
        depth: int | None = None,
        limit: int | None = _ROWS,
        now: float | None = None,
    ) -> None:
        self.notes = [line(trace.redactor(note), 400) for note in trace.notes]
        total = len(trace.spans)
        if total > _SPANS:
            trace = trace.first(_SPANS)
            self.notes.append(f"the first {_SPANS:,} of {total:,} spans are shown")
        if not merge and len(trace.spans) > _ONE_BY_ONE:
            merge = True
            self.notes.append(
                f"repeats are merged, since there are more than {_ONE_BY_ONE:,} spans"
            )
        self.trace = trace
        self.redactor = trace.redactor
        self._at = extents(trace.spans, time() if now is None else now)
        found = rows_of(trace, merge=merge, depth=depth)
        self.rows = found if limit is None else chosen(found, limit)
        left_out = len(found) - len(self.rows)
        if left_out:
            self.notes.append(f"{left_out:,} of {len(found):,} rows are not shown")

    @cached_property
    def work(self) -> WorkTime:
        """The time by service."""
        return work_time(self.trace, self._at)

    @cached_property
    def timeline(self) -> Timeline:
        """The axis."""
        if not self._at:
            return Timeline(0.0, 0.0, ())
        began = min(began for began, _ in self._at.values())
        ended = max(ended for _, ended in self._at.values())
        return Timeline(began, ended, self.work.idle)

    def bounds(self, row: Row) -> tuple[float, float]:
        """Return the first begin and the last end of a row's spans."""
        return row.span.began, max(self._at[span.span][1] for span in row.spans)

    def extent(self, span: Span) -> tuple[float, float]:
        """Return the begin and the end of a span."""
        return self._at[span.span]

    def seconds(self, span: Span) -> float:
        """Return how long a span took."""
        began, ended = self._at[span.span]
        return ended - began

    def took(self, row: Row) -> str:
        """Return how long a row took; of a merged one the sum."""
        seconds = sum(map(self.seconds, row.spans))
        return f"Σ {duration(seconds)}" if row.merged else duration(seconds)

    def record(self, span: Span) -> dict[str, Any]:
        """Return a span as plain values with its secrets masked."""
        return span.to_dict(self.redactor)

    def label(self, row: Row) -> str:
        """Return what a row did; of a merged one how long each took."""
        if row.merged:
            times = sorted(map(self.seconds, row.spans))
            middle = times[(len(times) - 1) // 2]
            return f"p50 {duration(middle)} max {duration(times[-1])}"
        return label(self.record(row.span))

    def title(self, row: Row) -> str:
        """Return the name of a row."""
        return self.masked(title(row.span))

    def masked(self, text: str) -> str:
        """Return a text with its secrets masked."""
        return self.redactor(text)

    def failure(self, row: Row) -> str:
        """Return how a span failed, in a word or two; empty where it did not."""
        if row.merged:
            return count(row.failures) if row.failures else ""
        if not row.span.failed:
            return ""
        status = (row.span.attributes or {}).get("status")
        outcome = line(self.masked(row.span.outcome), 60)
        return f"{outcome} {status}" if isinstance(status, int) else outcome

    def reason(self, row: Row) -> str:
        """Return the message of a span's error, in one line."""
        if row.merged or not row.span.failed or not row.span.error:
            return ""
        return line(self.masked(row.span.error))

    def places(self, row: Row) -> list[Process | None]:
        """Return the processes of a row if they differ from the one above; else nothing."""
        found = list(dict.fromkeys(span.process for span in row.spans))
        if row.above is None:
            return found if len(found) > 1 else []
        above = {span.process for span in row.above.spans}
        return [] if set(found) == above else found

    @cached_property
    def heading(self) -> list[str]:
        """The facts of the trace: its name, its time, its numbers; those that failed not."""
        spans = self.trace.spans
        roots = self.trace.roots
        name = self.masked(title(roots[0])) if roots else "trace"
        more = f" and {len(roots) - 1:,} more" if len(roots) > 1 else ""
        processes = len({span.process for span in spans})
        retried = sum(span.attempt > 1 for span in spans)
        running = sum(span.outcome == "running" for span in spans)
        facts = [
            name + more,
            duration(self.timeline.ended - self.timeline.began),
            _counted(len(spans), "span"),
            _counted(processes, "process", "processes"),
        ]
        facts += [f"{retried:,} retried"] if retried else []
        facts += [f"{running:,} running"] if running else []
        return facts

    @cached_property
    def failed(self) -> int:
        """The number of spans that failed."""
        return sum(span.failed for span in self.trace.spans)

    @property
    def name(self) -> str:
        """The beginning of the trace's id, as people type it."""
        return f"trace {self.trace.id[:8]}"

    def shares(self) -> list[tuple[str, float, float]]:
        """Return where the time went: labels, seconds, and per cent; waiting is the last."""
        total = sum(self.work.shares.values()) + self.work.waiting
        found = [*self.work.shares.items()]
        waits = self.work.waiting > total / 1000  # less is the rounding of times
        found += [("waiting", self.work.waiting)] if waits else []
        return [
            (line(self.masked(name), 40), took, 100 * took / total)
            for name, took in found
            if total > 0
        ]

    def pills(self, row: Row) -> list[str]:
        """Return the names of a row's processes that are shown beside it."""
        found = self.places(row)
        if len(found) > 1:
            return [f"{len(found):,} processes"]
        return [self.masked(process_words(one)) for one in found]


def _counted(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
