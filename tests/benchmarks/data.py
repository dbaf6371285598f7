"""SQL over frames by DuckDB, and plots of all rows."""

from __future__ import annotations

import statistics
from time import perf_counter

import numpy as np
import pandas as pd
from rounds import Row, by_turns, compared, scratch

from agentnb.core.db import Database

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
        ours.execute("create table t as from df", frames={"df": df})
        rows.append(_plotted(ours, count, rounds))
    return rows


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
