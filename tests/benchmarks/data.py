"""SQL over frames by DuckDB, plots of all rows, and grids."""

from __future__ import annotations

import os
import statistics
from time import perf_counter

import numpy as np
import pandas as pd
from rounds import Row, by_turns, compared, scratch

from agentnb.core.db import Database
from agentnb.core.grid import Sort, View, open_grid

TOUCHED = """
    select range as id, ['Oslo', 'Rome', 'Paris', 'Berlin'][1 + cast(hash(range) % 4 as integer)]
            as city,
        -ln(1 - random()) * 100 as amount,
        timestamp '2026-01-01' + to_seconds(cast(hash(range) % 25920000 as integer)) as at,
        case when range % 3 > 0 then 'n' || range % 1000000 end as note
    from range({count})
"""
GROUPED = "select g, sum(v) as total from df group by g order by g"
NATIVE, OURS = "DuckDB's own client", "agentnb"


def measure(*, quick=False):
    """Return the rows."""
    import duckdb

    rounds = 3 if quick else 9
    random = np.random.default_rng(1)
    count = 1_000_000 if quick else 10_000_000
    df = pd.DataFrame({"g": random.integers(0, 1_000, count), "v": random.random(count)})
    wide = df.head(1_000_000).assign(t="some text", n=1, at=pd.Timestamp("2026-01-01"), w=0.5)
    with scratch(), duckdb.connect() as native, Database("duckdb:///:memory:") as ours:
        native.register("df", df)
        found = by_turns(
            {
                NATIVE: lambda: native.execute(GROUPED).fetchall(),
                OURS: lambda: ours.query(GROUPED, frames={"df": df}),
            },
            rounds=rounds,
            clock=perf_counter,
        )
        rows = [
            compared(f"a group-by over a frame of {count:,} rows", found, OURS, NATIVE, target=1.3)
        ]
        ours.execute("create table wide as from wide", frames={"wide": wide})
        native.register("given", wide)
        native.execute("create table wide as from given")
        found = by_turns(
            {
                NATIVE: lambda: native.sql("from wide").df(),
                OURS: lambda: ours.query("from wide", arrow=True).df(),
            },
            rounds=rounds,
            clock=perf_counter,
        )
        what = "1,000,000 rows of 6 columns into pandas"
        rows.append(compared(what, found, OURS, NATIVE, target=1.5))
        rows += _exported(ours, native, wide.head(100_000), rounds)
        ours.execute("create table t as from df", frames={"df": df})
        rows.append(_plotted(ours, count, rounds))
        ours.execute("drop table t")
        rows += _touched(ours, count, rounds)
    return rows


def _exported(ours, native, few, rounds):
    """Return the rows of tables that are written to files."""
    found = by_turns(
        {
            NATIVE: lambda: native.execute("copy wide to 'native.parquet'").fetchall(),
            OURS: lambda: ours.export("from wide", "ours.parquet", overwrite=True),
        },
        rounds=rounds,
        clock=perf_counter,
    )
    what = "1,000,000 rows of 6 columns to a Parquet file"
    rows = [compared(what, found, OURS, NATIVE, target=3.0)]
    result = ours.query("from few", frames={"few": few})
    frame = result.df()
    found = by_turns(
        {
            "pandas": lambda: frame.to_csv("pandas.csv", index=False),
            OURS: lambda: result.to_csv("ours.csv", overwrite=True),
        },
        rounds=rounds,
        clock=perf_counter,
    )
    what = "100,000 rows of 6 columns to a CSV file"
    return [*rows, compared(what, found, OURS, "pandas", target=1.5)]


def _plotted(database, count, rounds):
    """Return the row of a histogram."""
    seconds = []
    for _ in range(rounds):
        began = perf_counter()
        database.plot("from t", "v")._repr_mimebundle_()
        seconds.append(perf_counter() - began)
    middle = statistics.median(seconds)
    what = f"a histogram of {count:,} rows, drawn"
    return Row(what, f"{middle * 1000:.0f} ms", "", middle, 0.3, "s")


def _touched(database, count, rounds):
    """Return the rows of a grid: its opening, its slowest sort, and its memory."""
    result = database.query(TOUCHED.format(count=count), arrow=True, max_bytes=4 * 10**9)
    with open_grid(result) as warm:
        warm.summaries()
    before, opened = _resident(), []
    for _ in range(max(1, rounds // 3)):
        began = perf_counter()
        with open_grid(result) as grid:
            grid.page(View())
            page = perf_counter() - began
            grid.summaries()
            opened.append((perf_counter() - began, page))
            grown = _resident() - before
    sorted_in = []
    with open_grid(result) as grid:
        for column in range(len(grid.columns)):
            for descending in (False, True):
                seconds = []
                for _ in range(rounds):
                    began = perf_counter()
                    grid.page(View(Sort(column, descending)))
                    seconds.append(perf_counter() - began)
                sorted_in.append(statistics.median(seconds))
                grown = max(grown, _resident() - before)
    what = f"a grid over {count:,} rows of 5 columns"
    whole, page = map(statistics.median, zip(*opened, strict=True))
    least, most = min(sorted_in), max(sorted_in)
    first = f"the first page {page * 1000:.0f} ms"
    fastest = f"the fastest column {least * 1000:.0f} ms"
    return [
        Row(f"{what}, opened with its summaries", f"{whole * 1000:.0f} ms", first, whole, 1.5, "s"),
        Row(f"{what}, sorted by its slowest column", f"{most * 1000:.0f} ms", fastest, most, 0.3,
            "s"),
        Row(f"{what}, what it adds to the process", f"{grown:.0f} MB", "", grown, 50, "MB"),
    ]  # fmt: skip


def _resident():
    """Return the megabytes of this process."""
    with open("/proc/self/statm") as file:  # noqa: PTH123 - a line of the kernel's
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
