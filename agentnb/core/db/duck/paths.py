"""The paths in the text of a statement: each text that DuckDB may take for one.

A path has to be written out or bound, so that it can be read here: where DuckDB takes an
expression, nothing else is let through. A text counts as a path wherever it is not known to be a
value.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from agentnb.core.db.syntax import DUCKDB
from agentnb.core.db.text import tokens
from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agentnb.core.db.text import Statement

    Tokens = Sequence[tuple[str, str]]

__all__ = ["Paths", "in_from", "paths_of", "plain"]

# They run SQL that is given as text or in files, reach memory or programs, change the grammar, or
# write a log of all statements.
_REFUSED = frozenset({
    "query", "json_execute_serialized_sql", "import_database", "enable_logging",
    "arrow_scan", "arrow_scan_dumb", "pandas_scan", "python_arrow_scan", "python_map_function",
    "add_grammar_extension", "remove_grammar_extension", "create_external_resource",
    "register_external_resource", "register_external_resource_type",
})  # fmt: skip
# Functions of tables whose arguments are values and may be computed.
_OF_VALUES = frozenset({
    "generate_series", "json_each", "json_tree", "range", "repeat", "repeat_row", "summary",
    "test_all_types", "test_vector_types", "unnest",
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
# Options of COPY that become a part of the names of files.
_NAMES = frozenset({"filename_pattern", "file_extension"})
_TABLES = frozenset({"from", "join", "using", "lateral", "call"})
_CLAUSES = _TABLES | {"select", "where", "having", "qualify", "by", "returning", "on", "set"}
_TEXTS = frozenset({"string", "dollar", "bind"})
_SPACE = frozenset({"space", "comment"})
_ESCAPES = re.compile(rb"''|\\([0-7]{1,3}|x[0-9a-fA-F]{1,2}|.)", re.DOTALL)
_CONTROLS = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}


class Paths(NamedTuple):
    """The texts of a statement that may be paths.

    Parameters
    ----------
    texts
        They, and those that are bound.
    names
        The words and names of the statement, in lower case.
    empties
        True where the statement may empty the folders that it names.
    """

    texts: list[str]
    names: frozenset[str]
    empties: bool


def paths_of(statement: Statement, values: Iterable[Any], functions: frozenset[str]) -> Paths:
    """Return the texts of a statement that may be paths.

    Parameters
    ----------
    statement
        The statement.
    values
        Those that are bound to it.
    functions
        The names of DuckDB's table functions; any one may reach files, unless it is known here.

    Raises
    ------
    UsageError
        A path is put together in the statement, or other statements are in texts of it.
    """
    found = [(kind, text) for kind, text, _ in tokens(statement.sql, DUCKDB) if kind not in _SPACE]
    names = [plain(text).lower() if kind in {"word", "quoted"} else "" for kind, text in found]
    _refuse_statements(found, names)
    query = statement.keyword in _QUERIES
    reads = False
    for what, rest in _openings(found, names, functions - _OF_VALUES, query=query):
        reads = True
        if what in _NAMES:
            _refuse_folder(what, rest)
        elif not _is_written(rest, quoted=what.isupper()):
            raise UsageError(
                f"the path of {what} has to be written out or bound",
                service="db",
                hint=_HINTS.get(what, f"{what[:-1]}'x.csv'), or {what[:-1]}:path)"),
            )
    everything = reads or not query
    paths = [*_written(found, everything=everything), *_dotted(found)]
    paths += _texts(values) if everything else []
    if any("\0" in path for path in paths):
        raise UsageError(
            "a path with a NUL in it",  # DuckDB checks all of it, and opens what is before
            service="db",
            hint="remove the NUL: text.replace(chr(0), '')",
        )
    return Paths(paths, frozenset(names), not query and "overwrite" in names)


_HINTS = {
    "COPY": "copy t to 'x.csv', or copy t to :path",
    "ATTACH": "attach 'x.duckdb' as x, or attach :path as x",
}


def _refuse_statements(found: Tokens, names: Sequence[str]) -> None:
    """Refuse what runs other statements or hides them, which cannot be looked at."""
    for (kind, text), (_, following) in pairwise(found):
        if kind == "string" and text[:1] in "eE" and following[:1] == "'":  # one text, for DuckDB
            raise UsageError(
                "a text behind E'...' continues it",
                service="db",
                hint="write both as one: E'...'",
            )
    for (name, (_, following)), after in zip(
        zip(names[:-1], found[1:], strict=True), names[1:], strict=True
    ):
        if (name, after) == ("import", "database") or (name in _REFUSED and following == "("):
            raise UsageError(
                f"{name.upper()} is not for the statements of a notebook",
                service="db",
                hint="write the SQL itself: hub.db.script(...) (%%db) runs several statements",
            )


def _openings(
    found: Tokens, names: Sequence[str], functions: frozenset[str], *, query: bool
) -> Iterator[tuple[str, Tokens]]:
    """Yield each place where DuckDB takes a path as an expression: what takes it, and the rest."""
    depth, copies = 0, False
    for at, ((kind, text), name) in enumerate(zip(found, names, strict=True)):
        rest = found[at + 1 :]
        depth += (text == "(") - (text == ")") if kind == "other" else 0
        if name in functions and rest[:1] == [("other", "(")]:
            aggregate = name == "histogram" and not in_from(found[:at])
            if not aggregate and rest[1:2] != [("other", ")")]:
                yield f"{name}()", rest[1:]
        if query or kind != "word":
            continue
        copies = copies or name == "copy"
        if copies and depth == 0 and name in {"from", "to"}:
            yield "COPY", rest
        elif name == "attach":
            words = {"or", "replace", "database", "if", "not", "exists"}
            skipped = next((n for n, one in enumerate(rest) if one[1].lower() not in words), 0)
            yield "ATTACH", rest[skipped:]
        elif name in _NAMES:
            yield name, rest


def _is_written(rest: Tokens, *, quoted: bool) -> bool:
    """Return whether an expression is a text, a bound value, or a list of these.

    >>> _is_written([("string", "'x'"), ("other", ")")], quoted=False)
    True
    >>> _is_written([("string", "'x'"), ("other", "|"), ("string", "'y'")], quoted=False)
    False
    """
    allowed = _TEXTS | {"quoted"} if quoted else _TEXTS
    depth, wants = 0, True
    for kind, text in rest:
        if wants and kind in allowed:
            wants = False
        elif wants and text == "[":
            depth += 1
        elif not wants and depth and text in {",", "]"}:
            depth, wants = depth - (text == "]"), text == ","
        else:
            return not wants and not depth and (kind == "word" or text in {")", ",", "(", ";"})
    return not wants and not depth


def _refuse_folder(option: str, rest: Tokens) -> None:
    """Refuse an option of COPY that may lead to another folder."""
    kind, text = next((one for one in rest if one[1] not in {"=", ":="}), ("", ""))
    if kind != "string" or {"/", "\\"} & set(plain(text)):
        raise UsageError(
            f"{option} has to be a name that is written out, without /",
            service="db",
            hint=f"{option} 'part_{{i}}'",
        )


def _written(found: Tokens, *, everything: bool) -> Iterator[str]:
    """Yield the texts and quoted names that may be paths; in a query, values are none.

    >>> list(_written([("word", "from"), ("string", "'a'"), ("string", "'b'")], everything=True))
    ['a', 'b', 'ab']
    """
    joined: list[str] = []
    for (_, before), (kind, text) in pairwise([("", ""), *found]):
        texts = kind in {"string", "dollar"}
        if kind == "quoted" or (texts and (everything or before.lower() not in _BEFORE_A_VALUE)):
            yield plain(text)
        joined = [*joined, plain(text)] if kind == "string" else []
        if len(joined) > 1:  # DuckDB 1 takes them for one, where a line ends between them
            yield "".join(joined)


def _dotted(found: Tokens) -> Iterator[str]:
    """Yield names with dots between them, which are the path of a file where no table is found.

    >>> list(_dotted([("quoted", '"./"'), ("other", "."), ("quoted", '"git/config"')]))
    ['./.git/config']
    """
    parts: list[str] = []
    for kind, text in (*found, ("", "")):
        if parts and parts[-1] != "." and text == ".":
            parts.append(text)
        elif kind in {"word", "quoted"} and (not parts or parts[-1] == "."):
            parts.append(plain(text))
        else:
            if len(parts) > 1:
                yield "".join(parts)
            parts = [plain(text)] if kind in {"word", "quoted"} else []


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


def in_from(before: Tokens) -> bool:
    """Return whether what follows some tokens is a table, and no value."""
    depth = 0
    for kind, text in reversed(before):
        depth += (text == ")") - (text == "(") if kind == "other" else 0
        if depth < 0:
            return False
        if depth == 0 and kind == "word" and text.lower() in _CLAUSES:
            return text.lower() in _TABLES
    return True


def plain(text: str) -> str:
    """Return the text of a literal or a name without its marks.

    >>> plain("'it''s'"), plain('"a b"'), plain("$$x$$"), plain("word")
    ("it's", 'a b', 'x', 'word')
    """
    if text[:1] in {"'", '"', "`"}:
        return text[1:-1].replace(text[0] * 2, text[0])
    if text[:1] == "$" and (tag := text.find("$", 1)) > 0:
        return text[tag + 1 : -tag - 1]
    if text[:1] in "eE" and text[1:2] == "'":
        return _ESCAPES.sub(_unescaped, text[2:-1].encode()).decode("utf-8", "replace")
    return text


def _unescaped(found: re.Match[bytes]) -> bytes:
    r"""Return what an escape of ``E'...'`` stands for: in DuckDB, most letters for themselves.

    >>> plain(r"E'a\.\142\x63\\'"), plain(r"E'\303\xa9\v\u'")
    ('a.bc\\', 'évu')
    """
    code = found[1]
    if code is None:
        return b"'"
    if code[:1] in b"01234567":
        return bytes([int(code, 8) & 255])
    if len(code) == 1:
        return _CONTROLS.get(code, code)
    return bytes([int(code[1:], 16)])
