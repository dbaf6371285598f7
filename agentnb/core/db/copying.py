"""Results as Arrow data through COPY, on the connection of a session or a transaction.

Source: https://www.postgresql.org/docs/current/sql-copy.html
"""

from __future__ import annotations

import collections
import io
from typing import TYPE_CHECKING, Any

from agentnb.core.db.backend import logger
from agentnb.core.db.effects import calls, locks
from agentnb.core.db.result import ArrowResult
from agentnb.core.db.state import KNOWN
from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agentnb.core.db.backend import Watch
    from agentnb.core.db.bounds import Bounds
    from agentnb.core.db.runner import Runner
    from agentnb.core.db.text import Statement

__all__ = ["fetch"]


def fetch(
    runner: Runner,
    statement: Statement,
    params: Mapping[str, Any],
    bounds: Bounds,
    watch: Watch,
) -> ArrowResult | None:
    """Return a result, or None where the types would differ from the driver's.

    Raises
    ------
    AgentnbError
        As `Executor.query`.
    """
    if runner.backend.kind != "postgresql" or not statement.reads or locks(statement):
        return None
    # What the driver then has to do must not be done twice.
    if not calls(statement.sql) <= KNOWN:
        return None
    try:
        import pyarrow as pa
    except ImportError:
        return None
    with (
        runner.checkout(watch.deadline) as connection,
        runner.span("query", statement.sql, through="copy") as span,
        runner.translated(watch, statement),
        runner.backend.watching(connection, watch),
    ):
        if runner.backend.has_effects(connection, statement):
            span.discard()
            return None  # through a view
        text, values = runner.rendered(statement, params)
        raw: Any = connection.connection.driver_connection
        text = runner.backend.limited(
            statement, raw.cursor().mogrify(text, values or ()), bounds.limit
        )
        with raw.cursor() as cursor:
            cursor.execute(runner.backend.limited(statement, text, -1))
            columns = [(column.name, column.type_code) for column in cursor.description]
            types = [_types(pa).get(code) for _, code in columns]
            if not types or None in types or raw.info.encoding != "utf-8":
                span.discard()
                return None
            with cursor.copy(f"copy ({text}\n) to stdout (format csv)") as copy:
                data = _collected(copy, bounds)
        runner.settle(connection)
    try:
        table = _parsed(data, types, pa)
    except pa.ArrowInvalid as error:  # infinity, BC, another date style
        logger.debug("copy: %s", error)
        return None
    span.note(rows=table.num_rows)
    bounds.check(table.nbytes, table.num_rows)
    limit = bounds.limit
    truncated = limit is not None and table.num_rows > limit
    found = table.slice(0, limit).rename_columns([name for name, _ in columns])
    return ArrowResult(found, statement=statement.sql, truncated=truncated)


def _collected(blocks: Iterable[Any], bounds: Bounds) -> io.BytesIO:
    data = io.BytesIO()
    for rows, block in enumerate(blocks, 1):
        data.write(block)
        try:
            bounds.check(data.tell(), rows)
        except UsageError:
            collections.deque(blocks, maxlen=0)  # a cancel would abort a transaction
            raise
    data.seek(0)
    return data


def _types(pa: Any) -> dict[int, Any]:
    """Return the Arrow type of each type of PostgreSQL whose text form says all."""
    types = dict.fromkeys((20, 21, 23), pa.int64())  # bigint, smallint, integer
    types |= dict.fromkeys((19, 25, 1042, 1043), pa.string())  # name, text, char, varchar
    types |= {16: pa.bool_(), 701: pa.float64(), 1082: pa.date32(), 1114: pa.timestamp("us")}
    return types


def _parsed(data: io.BytesIO, types: list[Any], pa: Any) -> Any:
    from pyarrow import csv

    names = [str(number) for number in range(len(types))]
    if not data.getbuffer().nbytes:
        return pa.table([pa.array([], kind) for kind in types], names)
    return csv.read_csv(
        data,
        read_options=csv.ReadOptions(column_names=names),
        parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            column_types=dict(zip(names, types, strict=True)),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        ),
    )
