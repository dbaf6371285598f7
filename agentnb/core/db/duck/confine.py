"""The files that a statement may reach: DuckDB keeps to its folders, this to what is hidden there.

DuckDB refuses every path outside of ``allowed_directories``, through links as well. Inside of
them it knows no exception and no change once it runs, so the home, ``.env`` and the inside of
``.git`` are looked for here, among the paths of each statement and of the views and macros that
a file of DuckDB brings along.
"""

from __future__ import annotations

import os
import re
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentnb.core.db.duck.paths import paths_of
from agentnb.core.db.syntax import DUCKDB
from agentnb.core.db.text import scan
from agentnb.core.errors import PathEscape, UsageError
from agentnb.core.hidden import Hidden

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agentnb.core.db.text import Statement

__all__ = ["Confinement"]

_FUNCTIONS = (
    "select distinct function_name from duckdb_functions() "
    "where function_type in ('table', 'table_macro', 'pragma')"
)
# What runs without being in the statement: of which database, by which name, and its SQL.
_VIEWS = "select database_name, view_name, sql from duckdb_views() where not internal"
_MACROS = (
    "select database_name, function_name, 'create macro ' || macro_definition "
    "from duckdb_functions() where macro_definition is not null and not internal"
)
_TRIGGERS = "select database_name, table_name, sql from duckdb_triggers()"
_STORES = frozenset({"view", "macro", "function", "trigger"})
_FILE_URL = re.compile(r"file:(?://localhost(?=/)|//)?", re.IGNORECASE)
_WILD = frozenset("*?[")
_MOST = 100_000
_known_functions: set[str] = set()


class Confinement:
    """Decides which files statements may name.

    Parameters
    ----------
    root
        DuckDB's connection.
    folders
        The folders that DuckDB may reach.
    home
        The home, or None.
    """

    def __init__(self, root: Any, folders: Sequence[Path], home: Path | None) -> None:
        self._root = root
        self._folders = [folder.resolve() for folder in folders]
        self._home = None if home is None else home.resolve()
        self._hidden = [Hidden.below(folder, home) for folder in self._folders]
        if not _known_functions:  # no extension adds any
            _known_functions.update(name for (name,) in root.execute(_FUNCTIONS).fetchall())
        self._functions = frozenset(_known_functions)
        self._stored_names: set[str] = set()
        self._stored_paths: set[str] = set()

    def check(self, statement: Statement, values: Iterable[Any]) -> None:
        """Refuse a statement that may reach what is hidden.

        Parameters
        ----------
        statement
            The statement.
        values
            Those that are bound to it.

        Raises
        ------
        PathEscape
            It names a file of what is hidden.
        UsageError
            A path is put together in the statement, so that it cannot be read here.
        """
        found = paths_of(statement, values, self._functions)
        # Those of views and macros may be links by now.
        stored = self._stored_paths if self._stored_names & found.names else ()
        for path in (*found.texts, *stored):
            for one in self._matches(path, below=found.empties):
                self._refuse(one, path)

    def ran(self, statement: Statement, native: Any, root: Any = None) -> None:
        """Look at the views, macros and triggers that a statement may have brought along.

        Parameters
        ----------
        statement
            The statement, which has run.
        native
            Its connection.
        root
            The root, which is asked instead where the connection has a result to give.

        Raises
        ------
        UsageError
            As in `check_stored`.
        """
        stores = statement.keyword in {"create", "alter"} and _STORES & statement.words
        if stores or statement.keyword == "attach":
            with nullcontext(native) if root is None else root.cursor() as asked:
                self.check_stored(asked)

    def check_stored(self, native: Any) -> None:
        """Refuse databases whose views, macros or triggers may reach what is hidden.

        They are detached; one that is the connection's own is not to be opened.

        Parameters
        ----------
        native
            A connection of the root.

        Raises
        ------
        UsageError
            There is one.
        """
        triggers = [_TRIGGERS] if "duckdb_triggers" in self._functions else []  # since DuckDB 2
        for query in (_VIEWS, _MACROS, *triggers):
            for database, name, sql in native.execute(query).fetchall():
                statement = scan(sql, DUCKDB)
                try:
                    self.check(statement, ())
                except UsageError as error:
                    quoted = '"' + database.replace('"', '""') + '"'
                    with suppress(Exception):  # the connection's own stays
                        native.execute(f"detach {quoted}")
                    raise error.within(f"{name} of {database}") from error
                self._stored_names.add(name.lower())
                self._stored_paths.update(paths_of(statement, (), self._functions).texts)

    def _matches(self, path: str, *, below: bool) -> Iterator[str]:
        """Yield the files that DuckDB may take a text for, and those below them on demand."""
        number = 0
        for one in _readings(path):
            found = [one]
            if _WILD & set(one):
                with self._root.cursor() as cursor:  # by DuckDB's own rules
                    sql = "select file from glob($1) limit $2"
                    found += [name for (name,) in cursor.execute(sql, [one, _MOST + 1]).fetchall()]
            for name in found:
                yield name
                number += 1
                for folder, folders, files in os.walk(name) if below else ():
                    yield from (os.path.join(folder, entry) for entry in (*folders, *files))  # noqa: PTH118 - many
                    number += len(folders) + len(files)
                if number > _MOST:
                    raise UsageError(
                        f"{path!r:.200} stands for more than {_MOST:,} files",
                        service="db",
                        hint="write a narrower pattern, such as 'data/*.csv'",
                    )

    def _refuse(self, one: str, written: str) -> None:
        try:
            real = Path(one).resolve()
        except (OSError, ValueError, RuntimeError):
            return  # no file has this name
        if self._home is not None and real.is_relative_to(self._home):
            raise _hidden(written, real.name)
        for folder, hidden in zip(self._folders, self._hidden, strict=True):
            if real.is_relative_to(folder):
                name = hidden.find(real.relative_to(folder).parts)
                if name is not None:
                    raise _hidden(written, name)


def _readings(path: str) -> Iterator[str]:
    """Yield the paths that DuckDB may take a text for.

    >>> list(_readings("file://localhost/a.csv")), list(_readings("a.csv"))
    (['file://localhost/a.csv', '/a.csv'], ['a.csv'])
    """
    yield path
    if found := _FILE_URL.match(path):
        path = path[found.end() :]
        yield path
    if path.startswith("~"):
        yield os.path.expanduser(path)  # noqa: PTH111 - it may be a pattern


def _hidden(written: str, name: str) -> PathEscape:
    return PathEscape(
        f"{written!r:.200} reaches {name}, which is hidden",
        service="db",
        hint="the home, .env and the inside of .git are not for SQL; "
        "write a narrower pattern, such as 'data/*.csv'",
    )
