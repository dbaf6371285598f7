"""100,000 rows to a DataFrame, on SQLite and PostgreSQL."""

from __future__ import annotations

import importlib.util
import os
from time import perf_counter

from rounds import by_turns, compared, jupysql, postgres, scratch, shell

COUNT = 100_000
SQL = "select id, name, state, attempts, score, created from task"
STATES = ("ready", "running", "done")
PANDAS = "pandas.read_sql"
SESSION = "a session with a temporary table"


def fill(db):
    """Make the table."""
    db.execute(
        "create table task (id integer primary key, name text, state text, attempts integer, "
        "score double precision, created text)"
    )
    rows = (
        {
            "id": number,
            "name": f"task-{number}",
            "state": STATES[number % 3],
            "attempts": number % 7,
            "score": number / 3,
            "created": f"2026-01-01 {number % 24:02}:{number % 60:02}",
        }
        for number in range(COUNT)
    )
    db.load(list(rows), "task", if_exists="append")


def candidates(made, db, url):
    """Return what makes the same frame in different ways, by name."""
    import pandas as pd
    import sqlalchemy

    engine = sqlalchemy.create_engine(url)

    def with_pandas():
        with engine.connect() as connection:
            return pd.read_sql(sqlalchemy.text(SQL), connection)

    found = {
        PANDAS: with_pandas,
        "df": lambda: db.query(SQL, limit=None).df(),
        "df, arrow=True": lambda: db.query(SQL, limit=None, arrow=True).df(),
    }
    session = db.session()
    session.execute("create temp table mine (n integer)")
    found[SESSION] = lambda: session.query(SQL, arrow=True).df()
    if importlib.util.find_spec("polars"):
        import polars as pl

        def with_polars():
            with engine.connect() as connection:
                return pl.read_database(SQL, connection)

        found["polars.read_database"] = with_polars
        found["pl, arrow=True"] = lambda: db.query(SQL, limit=None, arrow=True).pl()
    peer = jupysql(made, url)
    if peer:
        found["JupySQL"] = lambda: peer(SQL).DataFrame()
    for name, call in found.items():
        assert call().shape == (COUNT, 6), name
    return found


def on(where, db, url, made, rounds):
    """Return the rows for one kind of database."""
    fill(db)
    runs = candidates(made, db, url)
    found = by_turns(runs, rounds=rounds, clock=perf_counter)
    others = [name for name in ("polars.read_database", "JupySQL") if name in runs]
    what = f"{COUNT:,} rows x 6 of {where} to "
    rows = [
        compared(f"{what}pandas: `.df()`", found, "df", PANDAS, target=1.0, others=others),
        compared(f"{what}pandas: `arrow=True`", found, "df, arrow=True", PANDAS, target=0.4),
        compared(f"{what}pandas: `arrow=True` in {SESSION}", found, SESSION, PANDAS, target=1.0),
    ]
    if "pl, arrow=True" in runs:
        about = {"target": 0.4, "others": others[:1]}
        name = f"{what}polars: `arrow=True`"
        rows.append(compared(name, found, "pl, arrow=True", PANDAS, **about))
    return rows


def measure(*, quick):
    """Return the rows of this subject."""
    rounds = 3 if quick else 15
    with scratch() as folder, postgres(folder) as server:
        made = shell("agentnb")
        hub = made.user_ns["hub"]
        rows = on("SQLite", hub.db, os.environ["DATABASE_URL"], made, rounds)
        if server:
            url = server.replace("postgresql://", "postgresql+psycopg://")
            db = hub.databases.connect("server", url)
            rows += on("PostgreSQL", db, url, made, rounds)
        made.run_line_magic("unload_ext", "agentnb")
    return rows
