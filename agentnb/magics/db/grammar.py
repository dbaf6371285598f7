"""The verbs and options of ``%db``."""

from __future__ import annotations

from agentnb.magics.grammar import Grammar, Option, Verb

__all__ = ["GRAMMAR"]

# The verbs that take an option of the magic, beside SQL.
_TABLES = ("connect", "use", "list", "rm", "tables", "describe")
_PLACED = (
    *("tables", "describe", "load", "retype", "panel"),
    *("reset", "begin", "commit", "rollback"),
)
_TIMED = ("load", "retype")
CONNECTION = Option(
    ("-c", "--connection"), "use this connection", "NAME", live="connection", verbs=_PLACED
)
GRAMMAR = Grammar(
    "db",
    "SQL at the prompt, on SQLite, PostgreSQL and what SQLAlchemy has a driver for",
    (
        Verb(
            "connect",
            "name a connection and try it",
            ("NAME", "[URL]"),
            (
                Option(("--env",), "take the URL from this variable", "VARIABLE"),
                Option(("--read-only",), "let no statement write"),
            ),
        ),
        Verb("use", "make a connection the one that %db uses", ("NAME",), live=("connection",)),
        Verb("list", "the connections"),
        Verb("rm", "close and forget a connection", ("NAME",), live=("connection",)),
        Verb(
            "tables",
            "the tables and views",
            options=(Option(("--all",), "those of agentnb too, such as agentnb_task"),),
        ),
        Verb("describe", "the columns of a table", ("TABLE",), live=("table",)),
        Verb("reset", "start a new session: settings, temporary tables and locks go"),
        Verb("begin", "open a transaction for the %db cells that follow"),
        Verb("commit", "make what came after begin last"),
        Verb("rollback", "undo what came after begin"),
        Verb(
            "load",
            "write a frame or a .csv, .json, .jsonl or .parquet file into a table",
            ("FRAME|FILE", "TABLE"),
            (
                Option(("--append",), "add to the table if it exists"),
                Option(("--replace",), "replace the table if it exists"),
            ),
            live=("variable", "table"),
        ),
        Verb(
            "retype",
            "make numbers and UTC of what earlier releases stored in SQLite as text",
            ("TABLE", "[COLUMN...]"),
            live=("table",),
        ),
        Verb("panel", "a browser of tables and rows"),
    ),
    options=(
        CONNECTION,
        Option(
            ("-n", "--rows"),
            "rows at most (default: all; a bare line shows 1000)",
            "ROWS",
            int,
            verbs=(),
        ),
        Option(("--all",), "fetch every row, also where the result is only displayed", verbs=()),
        Option(
            ("--as",),
            "give back a frame; of several SELECTs in a cell, a list of frames",
            choices=("rows", "pandas", "polars", "arrow"),
            verbs=_TABLES,
        ),
        Option(("--tx",), "run the cell in one transaction", verbs=()),
        Option(("--explain",), "show the plan, run nothing", verbs=()),
        Option(("--timeout",), "cancel after SECONDS", "SECONDS", float, verbs=_TIMED),
    ),
    free="SQL",
    bare="list",
    examples=(
        "%db select * from task where status = :status",
        "%db df << select * from task where id in (:ids)",
        "%db --as pandas select * from task",
        "%db connect prod --env PROD_DATABASE_URL --read-only",
        "%db load tasks.csv task --replace",
    ),
)
