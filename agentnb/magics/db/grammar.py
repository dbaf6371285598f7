"""The verbs and options of ``%db``."""

from __future__ import annotations

from agentnb.magics.grammar import Grammar, Option, Verb
from agentnb.magics.grammar.values import seconds

__all__ = ["GRAMMAR"]

# The verbs that take an option of the magic, beside SQL.
_TABLES = ("connect", "use", "list", "rm", "tables", "describe", "profile")
_PLACED = (
    *("tables", "describe", "profile", "load", "retype", "export", "panel"),
    *("reset", "begin", "commit", "rollback"),
)
_TIMED = ("export", "load", "profile", "retype")
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
                Option(("--env",), "environment variable with the URL", "VARIABLE"),
                Option(("--read-only",), "refuse statements that write"),
            ),
        ),
        Verb("use", "choose the connection that %db uses", ("NAME",), live=("connection",)),
        Verb("list", "list the connections"),
        Verb("rm", "close and forget a connection", ("NAME",), live=("connection",)),
        Verb(
            "tables",
            "list tables and views",
            options=(Option(("--all",), "also agentnb's own, such as agentnb_task"),),
        ),
        Verb("describe", "list the columns of a table", ("TABLE",), live=("table",)),
        Verb("profile", "summarize the columns of a table", ("TABLE",), live=("table",)),
        Verb("reset", "start a new session, without settings, temporary tables and locks"),
        Verb("begin", "open a transaction for the %db cells that follow"),
        Verb("commit", "commit the transaction"),
        Verb("rollback", "roll the transaction back"),
        Verb(
            "load",
            "load a frame or a .csv, .tsv, .json, .jsonl or .parquet file into a table; default: "
            "one of its name",
            ("FRAME|FILE|URL", "[TABLE]"),
            (
                Option(("--append",), "add to the table if it exists"),
                Option(("--replace",), "replace the table if it exists"),
            ),
            live=("source", "table"),
        ),
        Verb(
            "retype",
            "convert text of earlier releases in SQLite to numbers and UTC times",
            ("TABLE", "[COLUMN...]"),
            live=("table",),
        ),
        Verb(
            "export",
            "write all rows to a .csv, .tsv, .csv.gz, .json, .jsonl or .parquet file",
            ("FILE",),
            (
                Option(("--force",), "replace the file if it exists"),
                Option(("--separator",), "the character between two values of CSV", "CHARACTER"),
                Option(("--spreadsheet",), "CSV for Excel: no text in it is run as a formula"),
            ),
            live=("file",),
            cell=True,
            free="SQL|<< NAME",
            twin="hub.db.export(SQL, FILE), result.to_csv(FILE), .to_json, .to_parquet",
        ),
        Verb("panel", "browse tables and run SQL"),
    ),
    options=(
        CONNECTION,
        Option(
            ("-n", "--rows"),
            "maximum number of rows (default: all; a bare line shows 1000)",
            "ROWS",
            int,
            verbs=(),
        ),
        Option(("--all",), "fetch every row, also of a displayed result", verbs=()),
        Option(
            ("--as",),
            "return a frame; for several SELECTs in a cell, a list of frames",
            choices=("rows", "pandas", "polars", "arrow"),
            verbs=_TABLES,
        ),
        Option(("--tx",), "run the cell in one transaction", verbs=()),
        Option(("--explain",), "show the plan without running", verbs=()),
        Option(("--plot",), "draw all rows: X, X,Y or X,Y,COLOR", "COLUMNS", verbs=()),
        Option(
            ("--kind",),
            "the form of the plot (default: what fits)",
            choices=("line", "bar", "hist", "scatter", "box"),
            verbs=(),
        ),
        Option(("--grid",), "show the rows as a grid to sort and filter", verbs=()),
        Option(("--no-grid",), "show the rows as a plain table", verbs=()),
        Option(("--timeout",), "cancel after SECONDS", "SECONDS", seconds, verbs=_TIMED),
    ),
    free="SQL",
    bare="list",
    examples=(
        "%db select * from task where status = :status",
        "%db df << select * from task where id in (:ids)",
        "%db --as pandas select * from task",
        "%db --plot day,eur select day, eur from sale",
        "%db connect prod --env PROD_DATABASE_URL --read-only",
        "%db load tasks.csv task --replace",
        "%db load https://HOST/tasks.csv",
        "%db export tasks.csv select * from task",
    ),
)
