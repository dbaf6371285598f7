"""The files that a statement may reach: DuckDB keeps to its folders, this to what is hidden there.

DuckDB refuses every path outside of ``allowed_directories``, through links as well. Inside of
them it knows no exception, so the home, ``.env`` and the inside of ``.git`` are looked for in the
text of the statement. For that, a path has to be written out or bound.
"""

from __future__ import annotations

import glob
import os
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentnb.core.db.syntax import DUCKDB
from agentnb.core.db.text import tokens
from agentnb.core.errors import PathEscape, UsageError
from agentnb.core.hidden import Hidden

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agentnb.core.db.text import Statement

__all__ = ["Confinement"]

# They run SQL that is given as text, or read memory by its address.
_REFUSED = frozenset({
    "query", "json_execute_serialized_sql", "arrow_scan", "arrow_scan_dumb", "pandas_scan",
    "python_arrow_scan", "python_map_function", "register_external_resource",
    "register_external_resource_type", "create_external_resource",
})  # fmt: skip
# Table functions that reach no file; each one that is not known here is taken for one that does.
_HARMLESS = frozenset({
    "checkpoint", "collations", "database_list", "database_size", "force_checkpoint", "functions",
    "generate_series", "histogram", "histogram_values", "icu_calendar_names", "json_each",
    "json_tree", "metadata_info", "pg_timezone_names", "platform", "pragma_collations",
    "pragma_database_size", "pragma_metadata_info", "pragma_platform", "pragma_show",
    "pragma_storage_info", "pragma_table_info", "pragma_user_agent", "pragma_version",
    "range", "repeat", "repeat_row", "show", "show_databases", "show_tables",
    "show_tables_expanded", "storage_info", "summary", "table_info", "test_all_types",
    "test_vector_types", "unnest", "user_agent", "version",
})  # fmt: skip
# Statements that name files only behind FROM and in functions.
_QUERIES = frozenset({
    "select", "with", "from", "values", "table", "insert", "update", "delete", "merge", "create",
    "describe", "summarize", "pivot", "unpivot", "show", "begin", "commit", "rollback", "",
})  # fmt: skip
_BEFORE_A_FILE = frozenset({"from", "join", ",", "(", "describe", "summarize", "table", "pivot"})
_WILD = "*?["
_MOST = 100_000
_SPACE = {"space", "comment"}


class Confinement:
    """Decides which files statements may name.

    Parameters
    ----------
    folders
        The folders that DuckDB may reach, the working directory of relative paths first.
    home
        The home, or None.
    functions
        Names of DuckDB's table functions, those that reach files among them.
    """

    def __init__(
        self, folders: Sequence[Path], home: Path | None, functions: Iterable[str]
    ) -> None:
        self._folders = [folder.resolve() for folder in folders]
        self._home = None if home is None else home.resolve()
        self._hidden = [Hidden.below(folder, home) for folder in self._folders]
        self._functions = frozenset(functions) - _HARMLESS

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
        found = [
            (kind, text) for kind, text, _ in tokens(statement.sql, DUCKDB) if kind not in _SPACE
        ]
        names = {_plain(text).lower() for kind, text in found if kind in {"word", "quoted"}}
        if refused := sorted(names & _REFUSED & self._called(found)):
            raise UsageError(
                f"{refused[0]}() is not for the statements of a notebook",
                service="db",
                hint="write the SQL itself",
            )
        reads = self._called(found) & self._functions
        if reads:
            self._refuse_computed(found)
        if "file_search_path" in names:
            raise UsageError(
                "file_search_path is not for the statements of a notebook",
                service="db",
                hint="write the folder in front of the name of the file",
            )
        everything = bool(reads) or statement.keyword not in _QUERIES
        for path in self._paths(found, everything=everything):
            self._refuse_hidden(path)
        if everything:
            for value in values:
                for path in value if isinstance(value, (list, tuple)) else [value]:
                    if isinstance(path, str):
                        self._refuse_hidden(path)

    def _called(self, found: Sequence[tuple[str, str]]) -> set[str]:
        """Return the names in front of a parenthesis, in lower case."""
        return {
            _plain(text).lower()
            for (kind, text), (_, following) in pairwise(found)
            if kind in {"word", "quoted"} and following == "("
        }

    def _refuse_computed(self, found: Sequence[tuple[str, str]]) -> None:
        """Refuse a function that reaches files and whose path is not written out or bound."""
        for at, (kind, text) in enumerate(found[:-1]):
            if kind not in {"word", "quoted"} or found[at + 1][1] != "(":
                continue
            name = _plain(text).lower()
            if name in self._functions and not _is_literal(found[at + 2 :]):
                raise UsageError(
                    f"the path of {name}() has to be written out or bound",
                    service="db",
                    hint=f"{name}('x.csv'), or {name}(:path)",
                )

    def _paths(self, found: Sequence[tuple[str, str]], *, everything: bool) -> Iterator[str]:
        """Yield what may be the path of a file."""
        before = ""
        for kind, text in found:
            if kind == "quoted" or (
                kind in {"string", "dollar"} and (everything or before in _BEFORE_A_FILE)
            ):
                yield _plain(text)
            before = text.lower()

    def _refuse_hidden(self, path: str) -> None:
        if path.startswith("file:"):
            path = path.removeprefix("file:").removeprefix("//")
        pattern = os.path.join(self._folders[0], path) if self._folders else path  # noqa: PTH118 - it may be a pattern
        if not any(mark in path for mark in _WILD):
            self._refuse(pattern, path)
            return
        every = glob.iglob(pattern, recursive=True, include_hidden=True)  # noqa: PTH207 - hidden ones, too
        for one in islice(every, _MOST):
            self._refuse(one, path)

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


def _is_literal(found: Sequence[tuple[str, str]]) -> bool:
    """Return whether a first argument is a text, a bound value or a list of these."""
    depth, apart = 0, True
    seen = False
    for kind, text in found:
        if text in {")", ","} and depth == 0:
            return seen
        if text in "[]":
            depth += 1 if text == "[" else -1
        elif text == ",":
            apart = True
        elif kind in {"string", "dollar", "bind"} and apart:
            seen, apart = True, False
        else:
            return False
    return False


def _plain(text: str) -> str:
    """Return the text of a literal or a name without its marks.

    >>> _plain("'it''s'"), _plain('"a b"'), _plain("$$x$$"), _plain("word")
    ("it's", 'a b', 'x', 'word')
    """
    if text[:1] in {"'", '"', "`"}:
        return text[1:-1].replace(text[0] * 2, text[0])
    if text[:1] == "$" and (tag := text.find("$", 1)) > 0:
        return text[tag + 1 : -tag - 1]
    if text[:1] in "eE" and text[1:2] == "'":
        return text[2:-1].encode().decode("unicode_escape", "replace")
    return text


def _hidden(written: str, name: str) -> PathEscape:
    return PathEscape(
        f"{written!r:.200} reaches {name}, which is hidden",
        service="db",
        hint="the home, .env and the inside of .git are not for SQL; "
        "write a narrower pattern, such as 'data/*.csv'",
    )
