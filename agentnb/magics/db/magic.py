"""``%db``: SQL at the prompt."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from IPython.core.magic import line_cell_magic, magics_class, needs_local_scope, no_var_expand

from agentnb.core.errors import NotFoundError, QueryRejected, UsageError, did_you_mean
from agentnb.magics.db.grammar import GRAMMAR
from agentnb.magics.noun import Noun

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager

    from agentnb.core.db import Database
    from agentnb.core.db.catalog import Catalog
    from agentnb.core.db.executor import Executor
    from agentnb.core.table import Table
    from agentnb.magics.db.held import Held
    from agentnb.magics.grammar import Call

__all__ = ["DbMagic"]

_ASSIGN = re.compile(r"([A-Za-z_]\w*)\s*<<(?=\s|$)\s*")
_FILE = re.compile(r"\.(csv|jsonl?|ndjson|parquet)\Z", re.IGNORECASE)

# No line of a verb has more words after it; longer ones are meant as SQL.
_VERB_WORDS = 3


@magics_class
class DbMagic(Noun):
    """The magic ``%db`` and ``%%db``."""

    grammar = GRAMMAR

    def __init__(self, extension: Any) -> None:
        super().__init__(extension)
        self.used = "default"
        self.held: dict[str, Held] = {}
        self._names: Catalog | None = None

    @line_cell_magic
    @needs_local_scope
    @no_var_expand
    def db(self, line: str, cell: str | None = None, local_ns: dict[str, Any] | None = None) -> Any:
        """Run SQL: `%db select 1`, `%%db` for several statements. `%db help` tells the rest."""
        return self.call(line, cell, local_ns)

    def reset(self) -> None:
        """Roll back open transactions and use the default connection again."""
        for held in list(self.held.values()):
            held.rollback()
        self.used = "default"

    def status(self, call: Call) -> Table:
        """Return the connections, with the one in use and open transactions marked."""
        return self.do_list(call)

    def free(self, call: Call, cell: str | None, namespace: Mapping[str, Any]) -> Any:
        """Run SQL."""
        sql = call.text
        assign = _ASSIGN.match(sql)
        if assign:
            sql = sql[assign.end() :]
        if cell is not None:
            sql = f"{sql}\n{cell}" if sql else cell
        result = self._run(sql, call, namespace, many=cell is not None)
        if assign is None:
            return result
        self.extension.shell.user_ns[assign[1]] = result
        return None

    def _run(self, sql: str, call: Call, namespace: Mapping[str, Any], *, many: bool) -> Any:
        options = call.options
        name = self._name(call)
        database = self._database(call)
        held = self.held.get(name)
        shape = options.get("as", "rows")
        given = {"limit": None if "all" in options else options.get("rows", database.rows)}
        if "timeout" in options:
            given["timeout"] = options["timeout"]
        try:
            if "explain" in options:
                with _executor(database, held) as executor:
                    return executor.explain(sql, namespace)
            if "tx" in options:
                if held is not None:
                    raise UsageError(
                        "--tx inside of a transaction that %db begin opened",
                        service="db",
                        hint="%db commit or %db rollback first, or leave --tx away",
                    )
                return _shaped(_in_transaction(database, sql, namespace, given), shape)
            with _executor(database, held) as executor:
                if not many or _single(sql):
                    arrow = shape != "rows"
                    return _shaped(executor.query(sql, namespace, arrow=arrow, **given), shape)
                return _shaped(executor.script(sql, namespace, **given), shape)
        except QueryRejected as error:
            raise self._with_verb(error, sql) from error.__cause__

    def _with_verb(self, error: QueryRejected, sql: str) -> QueryRejected:
        """Add the nearest verb to an error of SQL that was a line of ours, misspelt."""
        word, *rest = sql.split() or [""]
        if error.hint or len(rest) > _VERB_WORDS:
            return error
        verb = self.grammar.verbs.get(word)
        if verb is not None:
            hint: str | None = f"the verb is: %db {verb.usage}"
        else:
            hint = did_you_mean(word, [*self.grammar.verbs, "select", "insert", "update"])
        return QueryRejected(error.message, service="db", hint=hint)

    def _name(self, call: Call) -> str:
        return str(call.options.get("connection", self.used))

    def _database(self, call: Call) -> Database:
        return self.hub.databases[self._name(call)]

    def live(self, kind: str) -> Iterable[str]:
        """Return connections, tables or the notebook's variables for Tab."""
        if kind == "connection":
            return self.hub.databases.names()
        if kind == "table":
            return self._catalog().tables()
        hidden = self.extension.shell.user_ns_hidden
        return [n for n in self.extension.shell.user_ns if n[:1] != "_" and n not in hidden]

    def free_names(self, before: str, word: str, text: str) -> list[tuple[str, str]]:
        """Return tables, columns and SQL's words for Tab."""
        from agentnb.magics.db.names import sql_names

        return sql_names(self._catalog(), before, word, text)

    def _catalog(self) -> Catalog:
        from agentnb.core.db.catalog import Catalog

        database = self.hub.databases[self.used]
        if self._names is None or self._names.database is not database:
            self._names = Catalog(database)
        return self._names

    def do_list(self, call: Call) -> Table:  # noqa: ARG002 - verbs share a signature
        """Return the connections."""
        found = self.hub.databases.list()
        rows = []
        for row in found.rows:
            marks = ["in use"] if row[0] == self.used else []
            if row[0] in self.held:
                marks.append("in a transaction")
            rows.append((*row, ", ".join(marks)))
        return type(found)((*found.columns, "state"), rows)

    def do_connect(self, call: Call) -> Table:
        """Name a connection and try it at once."""
        name, *rest = call.arguments
        url = self._url(name, rest, call.options)
        self._end(name)
        database = self.hub.databases.connect(name, url, read_only="read_only" in call.options)
        try:
            database.ping()
        except BaseException:
            self.hub.databases.forget(name)
            raise
        self.used = name
        return self.do_list(call)

    def _url(self, name: str, rest: list[str], options: dict[str, Any]) -> Any:
        from agentnb.core.redact import has_password

        if bool(rest) == ("env" in options):
            raise UsageError(
                "connect takes a URL or --env VARIABLE, one of them",
                service="db",
                hint=f"%db connect {name} --env {name.upper()}_DATABASE_URL",
            )
        if not rest:
            return self.hub.variable(options["env"])
        if has_password(rest[0]):
            raise UsageError(
                "a password on a magic's line would be saved with the notebook",
                service="db",
                hint=f"put the URL into the environment or .env, then: "
                f"%db connect {name} --env VARIABLE",
            )
        return rest[0]

    def do_use(self, call: Call) -> Table:
        """Make a connection the one that %db uses."""
        name = call.arguments[0]
        _ = self.hub.databases[name]
        self.used = name
        return self.do_list(call)

    def do_rm(self, call: Call) -> Table:
        """Close and forget a connection."""
        name = call.arguments[0]
        if name == "default":
            raise UsageError("the default connection stays", service="db")
        _ = self.hub.databases[name]
        self._end(name)
        self.hub.databases.forget(name)
        if self.used == name:
            self.used = "default"
        return self.do_list(call)

    def _end(self, name: str) -> None:
        if held := self.held.get(name):
            held.rollback()

    def do_tables(self, call: Call) -> Table:
        """Return the tables and views."""
        with _executor(self._database(call), self.held.get(self._name(call))) as executor:
            return executor.tables()

    def do_describe(self, call: Call) -> Table:
        """Return the columns of a table."""
        with _executor(self._database(call), self.held.get(self._name(call))) as executor:
            return executor.describe(call.arguments[0])

    def do_begin(self, call: Call) -> str:
        """Open a transaction for the %db cells that follow on this connection."""
        from agentnb.magics.db.held import Held

        name = self._name(call)
        if name in self.held:
            raise UsageError(
                f"{name} is in a transaction already",
                service="db",
                hint="%db commit or %db rollback first",
            )
        database = self._database(call)
        self.held[name] = Held(database, on_end=lambda: self.held.pop(name, None))
        return _Said(f"{name}: transaction open; %db commit makes it last, %db rollback undoes it")

    def do_commit(self, call: Call) -> str:
        """Make what came after begin last."""
        self._held(call).commit()
        return _Said(f"{self._name(call)}: committed")

    def do_rollback(self, call: Call) -> str:
        """Undo what came after begin."""
        self._held(call).rollback()
        return _Said(f"{self._name(call)}: rolled back")

    def _held(self, call: Call) -> Held:
        name = self._name(call)
        held = self.held.get(name)
        if held is None:
            raise UsageError(f"{name} is not in a transaction", service="db", hint="%db begin")
        return held

    def do_load(self, call: Call) -> Any:
        """Write a frame or a file into a table."""
        what, table = call.arguments
        options = call.options
        if "append" in options and "replace" in options:
            raise UsageError("--append and --replace exclude each other", service="db")
        mode: Literal["fail", "append", "replace"] = "fail"
        if "append" in options or "replace" in options:
            mode = "append" if "append" in options else "replace"
        given = {"timeout": options["timeout"]} if "timeout" in options else {}
        with _executor(self._database(call), self.held.get(self._name(call))) as executor:
            return executor.load(self._source(what), table, if_exists=mode, **given)

    def _source(self, what: Any) -> Any:
        user = self.extension.shell.user_ns
        if not isinstance(what, str) or _FILE.search(what):
            return what
        if what in user:
            return user[what]
        raise NotFoundError(
            f"there is no variable and no data file {what!r}",
            service="db",
            hint=did_you_mean(what, [name for name in user if not name.startswith("_")])
            or "name a frame of this notebook, or a .csv, .json, .jsonl or .parquet file",
        )

    def do_panel(self, call: Call) -> Any:
        """Open the panel."""
        return self.hub.panel("db", connection=self._name(call))


class _Said(str):
    """A line of text that shows without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _executor(database: Database, held: Held | None) -> AbstractContextManager[Executor]:
    from contextlib import nullcontext

    return nullcontext(database) if held is None else held.used()


def _in_transaction(
    database: Database, sql: str, namespace: Mapping[str, Any], given: dict[str, Any]
) -> Any:
    try:
        with database.transaction() as transaction:
            return transaction.script(sql, namespace, **given)
    except QueryRejected as error:
        hint = error.hint or "the transaction was rolled back: nothing of this cell was kept"
        raise QueryRejected(error.message, service="db", hint=hint) from error.__cause__


def _single(sql: str) -> bool:
    from agentnb.core.db.text import split

    return len(split(sql)) == 1


def _shaped(result: Any, shape: str) -> Any:
    if shape == "rows":
        return result
    if isinstance(result, list):
        with_rows = [one for one in result if one.returns_rows]
        if not with_rows:
            return result
        result = with_rows[-1]
    convert = {"pandas": "df", "polars": "pl", "arrow": "arrow"}[shape]
    return getattr(result, convert)() if result.returns_rows else result
