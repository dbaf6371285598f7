"""The rows of the streams of a task: appended, dropped and moved behind the fence of a claim.

A row has values that one step, or the agent outside of all steps, has written at once. Rows are
in the order of ``seq``, which only grows. A change of what was written is a row too, a reset:
it says how many values of its stream still count, and all after them are deleted.

The values that a kept step has written belong to its result. Where they cannot stay, since
something before them in the stream is written again, they are hidden until the step is answered
from the store, and are then at the end of the stream: a stream that is read has the order of the
calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from agentnb.core.workflow.claiming import Claimed
    from agentnb.core.workflow.transactions import Transaction

__all__ = ["Batch", "Standing", "StreamRows", "path_of"]

_FENCE = "id = :id and owner = :owner and entry = :entry and state = 'active'"
_HELD = f"select 1 from {{task}} where {_FENCE} {{share}}"
_APPEND = """
insert into {stream} (task_id, seq, name, step, first, number, size, data, attempt, created)
values (:id, :seq, :name, :step, :first, :number, :size, :data, :attempt, {now})
on conflict (task_id, seq) do update set seq = excluded.seq
"""
_ROWS = "select seq, name, step, first, number from {stream} where task_id = :id order by abs(seq)"
_STEPS = "select name from {task_step} where task_id = :id"
_DELETE = "delete from {stream} where task_id = :id and seq = :seq"
_MOVE = """
update {stream} set seq = :to, first = :first where task_id = :id and seq = :seq
"""
_STANDING = """
select name, max(first + number - 1), sum(size) from {stream}
where task_id = :id and seq > 0 group by name
"""
_OLDEST = """
select seq, size from {stream} where task_id = :id and name = :name and seq > 0
order by seq limit 200
"""
_TRIM = """
delete from {stream} where task_id = :id and name = :name and seq > 0 and seq <= :seq
"""


class Batch(NamedTuple):
    """Values of one stream that are written as one row."""

    seq: int
    name: str
    step: str
    first: int
    number: int
    size: int
    data: str


class _Row(NamedTuple):
    seq: int
    name: str
    step: str
    first: int
    number: int


class Standing(NamedTuple):
    """The rows of a task, as far as those that follow have to know.

    Attributes
    ----------
    seq
        The last one that was used.
    streams
        The number of the last value, and the bytes, of each stream.
    hidden
        The names of the steps with hidden rows.
    written
        The names of the steps with rows.
    """

    seq: int
    streams: dict[str, tuple[int, int]]
    hidden: frozenset[str]
    written: frozenset[str]


def path_of(step: str) -> tuple[str, ...]:
    """Return the names of the steps of a row, the outermost first."""
    return tuple(step.split("\n")) if step else ()


class StreamRows:
    """The rows of the streams of one claimed task.

    Each method returns None, and changes nothing, where the claim is no longer the attempt's.

    Parameters
    ----------
    claimed
        The claim; its id, owner and entry are the fence.
    """

    def __init__(self, claimed: Claimed) -> None:
        self._fence = claimed.fence
        self._id = claimed.info.id
        self._attempt = claimed.info.attempt

    def append(self, tx: Transaction, batches: Sequence[Batch]) -> bool:
        """Append rows; safe to repeat."""
        if tx.row(_HELD, **self._fence) is None:
            return False
        for one in batches:
            tx.run(_APPEND, id=self._id, attempt=self._attempt, **one._asdict())
        return True

    def trim(self, tx: Transaction, name: str, over: int) -> int | None:
        """Delete the oldest rows of a stream, some bytes at least, but never the newest.

        Returns how many bytes they had.
        """
        if tx.row(_HELD, **self._fence) is None:
            return None
        last = freed = 0
        found = tx.rows(_OLDEST, id=self._id, name=name)
        for seq, size in found[:-1]:
            if freed >= over:
                break
            last, freed = seq, freed + size
        tx.run(_TRIM, id=self._id, name=name, seq=last)
        return freed

    def enter(self, tx: Transaction) -> Standing | None:
        """Drop what earlier entries wrote without keeping a result, as the agent begins again.

        The rows of kept steps stay at the beginning of a stream, and are hidden behind a gap.
        """
        if tx.row(_HELD, **self._fence) is None:
            return None
        rows, kept = self._read(tx)
        gaps: set[str] = set()

        def is_dropped(row: _Row) -> bool:
            if row.number and not _is_kept(row, kept):
                gaps.add(row.name)
            return row.name in gaps

        self._change(tx, rows, is_dropped, lambda row: _is_kept(row, kept))
        return self.standing(tx)

    def again(self, tx: Transaction, step: str) -> Standing | None:
        """Drop what a step has written, since it is called again; what others wrote stays."""
        if tx.row(_HELD, **self._fence) is None:
            return None
        rows, kept = self._read(tx)
        kept.discard(step)
        self._change(
            tx,
            rows,
            lambda row: bool(row.number) and step in path_of(row.step),
            lambda row: _is_kept(row, kept),
        )
        return self.standing(tx)

    def answer(self, tx: Transaction, step: str) -> Standing | None:
        """Show what a step has written that is answered from the store, at the end."""
        if tx.row(_HELD, **self._fence) is None:
            return None
        rows, _ = self._read(tx)
        shown = [row for row in rows if row.seq < 0 and step in path_of(row.step)]
        self._move(tx, shown, self.standing(tx))
        return self.standing(tx)

    def standing(self, tx: Transaction) -> Standing:
        """Return how the rows stand."""
        rows, _ = self._read(tx, steps=False)
        streams = {name: (int(n), int(size)) for name, n, size in tx.rows(_STANDING, id=self._id)}
        return Standing(
            max((abs(row.seq) for row in rows), default=0),
            streams,
            _names(row for row in rows if row.seq < 0),
            _names(rows),
        )

    def _read(self, tx: Transaction, *, steps: bool = True) -> tuple[list[_Row], set[str]]:
        rows = [_Row(*row) for row in tx.rows(_ROWS, id=self._id)]
        kept = {row[0] for row in tx.rows(_STEPS, id=self._id)} if steps and rows else set()
        return rows, kept

    def _change(
        self,
        tx: Transaction,
        rows: list[_Row],
        is_dropped: Callable[[_Row], bool],
        is_kept: Callable[[_Row], bool],
    ) -> None:
        """Drop rows, hide those of them that are kept, and move what stood behind them."""
        moved: list[_Row] = []
        ends: dict[str, int] = {}
        last: dict[str, int] = {}
        for row in rows:
            if row.seq < 0:
                if not is_kept(row):
                    tx.run(_DELETE, id=self._id, seq=row.seq)
            elif is_dropped(row):
                ends.setdefault(row.name, last.get(row.name, row.first - 1))
                if row.number and is_kept(row):
                    values = {"seq": row.seq, "to": -row.seq, "first": row.first}
                    tx.run(_MOVE, id=self._id, **values)
                else:
                    tx.run(_DELETE, id=self._id, seq=row.seq)
            elif row.name in ends:
                moved.append(row)
            else:
                last[row.name] = row.first + row.number - 1
        if not ends:
            return
        seq = max(abs(row.seq) for row in rows)
        resets = [
            Batch(seq + n, name, "", end + 1, 0, 0, "[]")
            for n, (name, end) in enumerate(ends.items(), 1)
        ]
        self.append(tx, resets)
        streams = {name: (end, 0) for name, end in ends.items()}
        self._move(tx, moved, Standing(seq + len(resets), streams, frozenset(), frozenset()))

    def _move(self, tx: Transaction, rows: Iterable[_Row], standing: Standing) -> None:
        """Move rows to the end of their streams."""
        seq = standing.seq
        ends = {name: n for name, (n, _) in standing.streams.items()}
        for row in rows:
            seq += 1
            if not row.number:  # a reset: its values are dropped anyway
                tx.run(_DELETE, id=self._id, seq=row.seq)
                continue
            first = ends.get(row.name, 0) + 1
            ends[row.name] = first + row.number - 1
            values = {"seq": row.seq, "to": seq, "first": first}
            tx.run(_MOVE, id=self._id, **values)


def _is_kept(row: _Row, kept: set[str]) -> bool:
    return any(name in kept for name in path_of(row.step))


def _names(rows: Iterable[_Row]) -> frozenset[str]:
    return frozenset(name for row in rows for name in path_of(row.step))
