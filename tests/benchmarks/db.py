"""What a small query costs through `%db`, at the beginning and after 5,000 of them."""

from __future__ import annotations

import os
import statistics

from rounds import Row, by_turns, compared, jupysql, scratch, shell

SQL = "select 1"
CALLS = 200


def candidates(made):
    """Return what runs the same query in different ways, by name."""
    import sqlalchemy

    hub = made.user_ns["hub"]
    url = os.environ["DATABASE_URL"]
    engine = sqlalchemy.create_engine(url)

    def raw():
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text(SQL)).fetchall()

    found = {
        "SQLAlchemy": raw,
        "%db": lambda: made.run_line_magic("db", SQL),
        "hub.db.query": lambda: hub.db.query(SQL),
    }
    peer = jupysql(made, url)
    if peer:
        found["JupySQL"] = lambda: peer(SQL)
    return found


def timed(made, runs, rounds):
    """Take turns, with the writing of spans, which a thread does later, in our time."""
    tracer = made.user_ns["hub"].tracer

    def batch(call):
        def run():
            for _ in range(CALLS):
                call()
            tracer.flush()

        return run

    found = by_turns({name: batch(call) for name, call in runs.items()}, rounds=rounds)
    return {name: [each / CALLS for each in seconds] for name, seconds in found.items()}


def growth(fresh, later, name):
    """Return how much slower a candidate has become, beside what SQLAlchemy has."""
    ours = statistics.median(later[name]) / statistics.median(fresh[name])
    return ours / (statistics.median(later["SQLAlchemy"]) / statistics.median(fresh["SQLAlchemy"]))


def measure(*, quick):
    """Return the rows of this subject."""
    rounds, many = (5, 1_000) if quick else (25, 5_000)
    with scratch():
        made = shell("agentnb")
        runs = candidates(made)
        others = [name for name in runs if name not in {"SQLAlchemy", "%db"}]
        fresh = timed(made, runs, rounds)
        for name in ("%db", "JupySQL"):
            for _ in range(many if name in runs else 0):
                runs[name]()
        later = timed(made, runs, rounds)
        made.run_line_magic("unload_ext", "agentnb")
    about = {"peer": "SQLAlchemy", "target": 2, "others": others, "unit": "µs"}
    shown = f"JupySQL {growth(fresh, later, 'JupySQL'):.2f}x" if "JupySQL" in runs else ""
    grown = growth(fresh, later, "%db")
    return [
        compared("`%db select 1`, CPU, spans written included", fresh, "%db", **about),
        compared(f"the same after {many:,} queries more", later, "%db", **about),
        Row(f"its growth over {many:,} queries", f"{grown:.2f}x", shown, grown, 1.1),
    ]
