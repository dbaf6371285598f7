"""The files that a statement may reach: DuckDB keeps to its folders, this to what is hidden there.

DuckDB refuses every path outside of ``allowed_directories``, through links as well. Inside of
them it knows no exception, so the home, ``.env`` and the inside of ``.git`` are looked for in the
text of the statement. For that, a path has to be written out or bound. A text counts as a path
wherever it is not known to be a value.
"""

from __future__ import annotations

import glob
import os
import re
from itertools import pairwise
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
    "generate_series", "icu_calendar_names", "json_each",
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
# A text behind one of these is a value, in a query.
_BEFORE_A_VALUE = frozenset({
    "=", "<", ">", "|", "+", "-", "%", "~", "select", "distinct", "where", "having", "and", "or",
    "not", "like", "ilike", "escape", "case", "when", "then", "else", "between", "interval",
    "date", "time", "timestamp", "timestamptz",
})  # fmt: skip
# Settings by which DuckDB reads or writes files by itself.
_SETTINGS = frozenset({
    "enable_logging", "extension_directories", "extension_directory",
    "extension_repository_directory", "home_directory", "log_query_path", "logging_sink",
    "logging_storage", "profile_output", "profiling_output", "secret_directory",
})  # fmt: skip
# Options of COPY that become a part of the names of files.
_NAMES = frozenset({"filename_pattern", "file_extension"})
_TABLES = frozenset({"from", "join", "using", "lateral", "call"})
_CLAUSES = _TABLES | {"select", "where", "having", "qualify", "by", "returning", "on", "set"}
_LITERALS = frozenset({"string", "dollar", "bind", "quoted"})
_FILE_URL = re.compile(r"file:(?://localhost(?=/)|//)?")
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
        paths = list(self._paths(found, everything=everything))
        if everything:
            paths += _texts(values)
        if statement.keyword not in _QUERIES:
            _refuse_settings(names)
            _refuse_unread(found)
        for path in paths:
            self._refuse_hidden(path)
        if "overwrite" in names and statement.keyword not in _QUERIES:
            for path in paths:
                self._refuse_around(path)

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
            if name == "histogram" and not _in_from(found[:at]):
                continue  # the aggregate
            if found[at + 2 : at + 3] == [("other", ")")]:
                continue
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
                kind in {"string", "dollar"} and (everything or before not in _BEFORE_A_VALUE)
            ):
                yield _plain(text)
            before = text.lower()
        yield from _dotted(found)

    def _refuse_hidden(self, path: str) -> None:
        for one in _readings(path):
            self._refuse_matches(one)

    def _absolute(self, path: str) -> str:
        return os.path.join(self._folders[0], path) if self._folders else path  # noqa: PTH118 - it may be a pattern

    def _refuse_matches(self, path: str) -> None:
        pattern = self._absolute(path)
        if not any(mark in path for mark in _WILD):
            self._refuse(pattern, path)
            return
        every = glob.iglob(pattern, recursive=True, include_hidden=True)  # noqa: PTH207 - hidden ones, too
        for number, one in enumerate(every):
            _refuse_many(number, path)
            self._refuse(one, path)

    def _refuse_around(self, path: str) -> None:
        """Refuse to empty a folder in which something hidden is, at any depth."""
        for one in _readings(path):
            number = 0
            for folder, folders, files in os.walk(self._absolute(one)):
                for name in (*folders, *files):
                    number += 1
                    _refuse_many(number, path)
                    self._refuse(os.path.join(folder, name), path)  # noqa: PTH118 - many

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


def _refuse_settings(names: set[str]) -> None:
    if refused := sorted(names & _SETTINGS):
        raise UsageError(
            f"{refused[0]} is not for the statements of a notebook",
            service="db",
            hint="copy (select ...) to 'file.csv' writes a file",
        )


def _refuse_unread(found: Sequence[tuple[str, str]]) -> None:
    """Refuse COPY, ATTACH and IMPORT where they reach files that are not written out.

    The texts of a path may be put together in parentheses, and ``import database`` runs the
    statements of a file.
    """
    depth, copies = 0, False
    for at, (kind, text) in enumerate(found):
        word = text.lower() if kind == "word" else ""
        _, following = found[at + 1] if at + 1 < len(found) else ("", "")
        depth += (text == "(") - (text == ")") if kind == "other" else 0
        copies = copies or word == "copy"
        if (word, following.lower()) == ("import", "database") or word == "import_database":
            raise UsageError(
                "IMPORT DATABASE runs the statements of files, which cannot be looked at",
                service="db",
                hint="run its schema.sql and load.sql by script(...) (%%db)",
            )
        if copies and depth == 0 and word in {"from", "to"} and following == "(":
            raise _unread("COPY", "copy t to 'x.csv', or copy t to :path")
        if word == "attach" and not _names_a_file(found[at + 1 :]):
            raise _unread("ATTACH", "attach 'x.duckdb' as x, or attach :path as x")
        if word in _NAMES and not _is_a_name(found[at + 1 :]):
            raise UsageError(
                f"{word} has to be a name that is written out, without /",
                service="db",
                hint=f"{word} 'part_{{i}}'",
            )


def _unread(statement: str, hint: str) -> UsageError:
    return UsageError(
        f"the path of {statement} has to be written out or bound", service="db", hint=hint
    )


def _names_a_file(found: Sequence[tuple[str, str]]) -> bool:
    """Return whether the words behind ATTACH begin with a path that is written out."""
    rest = list(found)
    while rest and rest[0][1].lower() in {"or", "replace", "database", "if", "not", "exists"}:
        del rest[0]
    following = rest[1][1].lower() if len(rest) > 1 else "as"
    return bool(rest) and rest[0][0] in _LITERALS and following in {"as", "(", ";"}


def _is_a_name(found: Sequence[tuple[str, str]]) -> bool:
    """Return whether an option of COPY has a text, which leads to no other folder."""
    given = (
        found[0] if found[:1] != [("cast", ":=")] and found[:1] != [("other", "=")] else found[1]
    )
    return given[0] == "string" and not {"/", "\\"} & set(_plain(given[1]))


def _refuse_many(number: int, path: str) -> None:
    if number >= _MOST:
        raise UsageError(
            f"{path!r:.200} stands for more than {_MOST:,} files",
            service="db",
            hint="write a narrower pattern, such as 'data/*.csv'",
        )


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


def _dotted(found: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield names with dots between them, which are the path of a file where no table is found.

    >>> list(_dotted([("quoted", '"./"'), ("other", "."), ("quoted", '"git/config"')]))
    ['./.git/config']
    """
    parts: list[str] = []
    for kind, text in (*found, ("", "")):
        if parts and parts[-1] != "." and text == ".":
            parts.append(text)
        elif kind in {"word", "quoted"} and (not parts or parts[-1] == "."):
            parts.append(_plain(text))
        else:
            if len(parts) > 1:
                yield "".join(parts)
            parts = [_plain(text)] if kind in {"word", "quoted"} else []


def _texts(values: Iterable[Any]) -> list[str]:
    """Return the texts among values and in them.

    >>> _texts(["a", ["b", {"c": "d"}], 1])
    ['a', 'b', 'd']
    """
    found: list[str] = []
    for value in values:
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found += _texts(value)
        elif isinstance(value, dict):
            found += _texts(value.values())
    return found


def _in_from(before: Sequence[tuple[str, str]]) -> bool:
    """Return whether what follows some tokens is a table, and no value."""
    depth = 0
    for kind, text in reversed(before):
        depth += (text == ")") - (text == "(") if kind == "other" else 0
        if depth < 0:
            return False
        if depth == 0 and kind == "word" and text.lower() in _CLAUSES:
            return text.lower() in _TABLES
    return True


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
