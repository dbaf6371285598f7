"""Running the SQL of a line or a cell, and saying what was meant when it fails."""

from __future__ import annotations

import keyword
import re
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import (
    NotFoundError,
    QueryRejected,
    TableNotFound,
    UsageError,
    did_you_mean,
)
from agentnb.magics.grammar.words import is_comment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from agentnb.core.db import Session
    from agentnb.core.db.executor import Executor
    from agentnb.core.db.text import Statement
    from agentnb.core.export import Exported
    from agentnb.magics.db.transaction import HeldTransaction
    from agentnb.magics.grammar import Grammar
    from agentnb.magics.grammar.verbs import Option

__all__ = ["assignment", "executor_of", "export", "refuse_late_options", "run", "shaped"]

_ASSIGN = re.compile(r"([^\W\d]\w*)\s*<<\s*")
_OPTION = re.compile(r"--[A-Za-z][\w-]*")
_VALUE = re.compile(r"[ =]\s*\S+")
_LATE = re.compile(r"\s(-[cn]\s+\w+)\s*\Z")
_PLOT_COLUMNS = ("x", "y", "color")
_CONTROL = {"begin", "start", "commit", "end", "rollback", "abort"}
_SQL = (
    *("select", "insert", "update", "delete", "create", "drop", "alter", "with", "explain"),
    *("begin", "commit", "rollback", "pragma", "vacuum", "values", "replace", "from"),
    *("summarize", "pivot", "unpivot", "show"),
)

# No line of a verb has more words after it; longer ones are meant as SQL.
_VERB_WORDS = 3


def assignment(line: str) -> tuple[str | None, str]:
    """Return the name in front of ``<<``, if there is one, and the SQL.

    >>> assignment("tasks << select 1"), assignment("select 1 << 3")
    (('tasks', 'select 1'), (None, 'select 1 << 3'))

    Raises
    ------
    UsageError
        The name is a keyword of Python's.
    """
    found = _ASSIGN.match(line)
    if found is None:
        return None, line
    if keyword.iskeyword(found[1]):
        raise UsageError(
            f"{found[1]} is a keyword of Python and cannot be assigned to",
            service="db",
            hint="choose another name, such as rows << SQL",
        )
    return found[1], line[found.end() :]


def refuse_late_options(line: str, grammar: Grammar, verb: str = "") -> None:
    """Refuse an option behind the SQL, where the database takes it for a comment.

    Raises
    ------
    UsageError
        There is one: what it asks for would be left undone without a word.
    """
    from agentnb.core.db.text import split

    names = [name for option in _options(grammar, verb) for name in option.names]
    for found in _OPTION.finditer(line):
        if found.group() not in names:
            continue
        # A name that binds there stands outside of strings and comments.
        marked = split(f"{line[: found.start()]} :late_option")
        if any(bind.name == "late_option" for statement in marked for bind in statement.binds):
            raise UsageError(
                f"{found.group()} comes after the SQL, where it is a comment",
                service=grammar.noun,
                hint=f"options go first: %{grammar.noun} {_options_first(line, found, grammar)}"
                if not verb
                else f"options go first: %{grammar.noun} {verb} {found.group()} ... SQL",
            )


def _options(grammar: Grammar, verb: str) -> tuple[Option, ...]:
    return (*grammar.options, *(grammar.verbs[verb].options if verb else ()))


def _options_first(line: str, found: re.Match[str], grammar: Grammar) -> str:
    """Return a line with an option that stands behind the SQL put in front of it.

    >>> from agentnb.magics.db.grammar import GRAMMAR
    >>> late = "select 1 --as pandas"
    >>> _options_first(late, _OPTION.search(late), GRAMMAR)
    '--as pandas select 1'
    """
    option = next(one for one in grammar.options if found.group() in one.names)
    value = _VALUE.match(line, found.end()) if option.value or option.choices else None
    end = found.end() if value is None else value.end()
    sql = f"{line[: found.start()].rstrip()} {line[end:].lstrip()}".strip()
    return f"{line[found.start() : end]} {sql}"


def executor_of(session: Session, held: HeldTransaction | None) -> AbstractContextManager[Executor]:
    """Lend what runs the SQL: the transaction that is held, or the session itself."""
    return nullcontext(session) if held is None else held.used()


def run(
    sql: str,
    session: Session,
    held: HeldTransaction | None,
    options: Mapping[str, Any],
    namespace: Mapping[str, Any],
    *,
    many: bool,
    used: bool,
    grammar: Grammar,
) -> Any:
    """Run SQL as the options say.

    Parameters
    ----------
    sql
        One statement, or several where ``many`` is set.
    session, held
        Where, and in which open transaction.
    options
        Of the magic, by key.
    namespace
        Where ``:name`` is looked up.
    many
        Whether the SQL is the body of a cell.
    used
        Whether the result is assigned or passed on, rather than displayed only.
    grammar
        Of the magic: an error's hint has what of it was probably meant.

    Raises
    ------
    UsageError
        Options that exclude each other, or a BEGIN or COMMIT inside of a transaction.
    AgentnbError
        As `Executor.query`.
    """
    from agentnb.core.db.text import split

    statements = split(sql, session.access.backend.syntax)
    shape = options.get("as", "rows")
    if "all" in options and "rows" in options:
        raise UsageError(
            "--all and --rows exclude each other", service="db", hint="give one of them"
        )
    given: dict[str, Any] = {"limit": options.get("rows")}
    if not used and shape == "rows" and not {"all", "rows"} & options.keys():
        given["preview"] = session.rows
    if "timeout" in options:
        given["timeout"] = options["timeout"]
    if "tx" in options or held is not None:
        _refuse_control(statements, held, tx="tx" in options)
    if "plot" in options or "kind" in options:
        with executor_of(session, held) as executor, _with_hint(sql, grammar, namespace):
            return _plotted(executor, statements, options, namespace)
    if "explain" in options:
        with executor_of(session, held) as executor, _with_hint(sql, grammar, namespace):
            return shaped(executor.explain(sql, namespace), shape)
    single = len(statements) == 1 or not many
    if session.access.backend.takes_frames:
        given["frames"] = namespace
    inside = _transaction(session) if "tx" in options else executor_of(session, held)
    with inside as executor, _with_hint(sql, grammar, namespace):
        if single:
            return shaped(executor.query(sql, namespace, arrow=shape != "rows", **given), shape)
        return shaped(executor.script(sql, namespace, **given), shape)


def _plotted(
    executor: Executor,
    statements: Sequence[Statement],
    options: Mapping[str, Any],
    namespace: Mapping[str, Any],
) -> Any:
    """Return the plot of the one query that there is."""
    others = options.keys() & {"as", "rows", "all", "tx", "explain"}
    columns = [one.strip() for one in str(options.get("plot", "")).split(",")]
    if "plot" not in options or not all(columns) or len(columns) > len(_PLOT_COLUMNS):
        raise UsageError(
            "--plot takes one to three names of columns, with commas",
            service="db",
            hint="%db --plot day,eur,city SQL, and --kind bar for another form",
        )
    if others or len(statements) != 1:
        raise UsageError(
            f"--plot draws the rows of one query, without --{min(others)}"
            if others
            else f"--plot draws the rows of one query, got {len(statements)} statements",
            service="db",
            hint="%db --plot day,eur SQL",
        )
    named: dict[str, Any] = dict(zip(_PLOT_COLUMNS, columns, strict=False))
    if executor.access.backend.takes_frames:
        named["frames"] = namespace
    if "timeout" in options:
        named["timeout"] = options["timeout"]
    return executor.plot(statements[0].sql, params=namespace, kind=options.get("kind"), **named)


def export(
    sql: str,
    path: str,
    session: Session,
    held: HeldTransaction | None,
    options: Mapping[str, Any],
    namespace: Mapping[str, Any],
    grammar: Grammar,
) -> Exported:
    """Write the rows of a query, or of a result or frame of the notebook, to a file.

    Parameters
    ----------
    sql
        The query, or ``<< NAME``.
    path
        The file.
    session, held, options, namespace, grammar
        As in `run`.
    """
    from agentnb.core.db.exporting import export_source

    form: dict[str, Any] = {
        "overwrite": "force" in options,
        "separator": options.get("separator"),
        "spreadsheet": "spreadsheet" in options,
    }
    name = _variable(sql.removeprefix("<<").strip()) if sql.startswith("<<") else ""
    if name and "timeout" not in options:
        if name not in namespace:
            raise NotFoundError(
                f"there is no variable {name!r:.80}",
                service="db",
                hint=did_you_mean(name, namespace) or "%db export FILE << NAME of a result",
            )
        home = session.access.backend.home
        return export_source(namespace[name], path, private=home, **form)
    if not sql or name or " " not in sql.strip():
        word = sql.strip() if sql and not name else "TABLE"
        raise UsageError(
            "--timeout is of a query" if name else "export takes a query, or << and a name",
            service="db",
            hint=f"%db export {path} select * from {word} "
            f"(%db export {path} << NAME for a result of the notebook)",
        )
    if "timeout" in options:
        form["timeout"] = options["timeout"]
    if session.access.backend.takes_frames:
        form["frames"] = namespace
    with executor_of(session, held) as executor, _with_hint(sql, grammar, namespace):
        return executor.export(sql, path, namespace, **form)


def _variable(text: str) -> str:
    """Return the name that a text is, without the comment behind it."""
    name, _, rest = text.partition(" ")
    return name if is_comment(rest.strip()) else text


def _refuse_control(
    statements: Iterable[Statement], held: HeldTransaction | None, *, tx: bool
) -> None:
    """Refuse what would end or open a transaction behind the back of the one that is open."""
    if tx and held is not None:
        raise UsageError(
            "--tx inside of a transaction that %db begin opened",
            service="db",
            hint="%db commit or %db rollback first, or leave --tx away",
        )
    for statement in statements:
        # `rollback to a_savepoint` stays inside.
        if statement.keyword in _CONTROL and "to" not in statement.words:
            raise UsageError(
                f"{statement.keyword.upper()} inside of a transaction that "
                + ("--tx opens and ends" if tx else "%db begin opened"),
                service="db",
                hint=f"leave {statement.keyword.upper()} away"
                if tx
                else "end it with %db commit or %db rollback",
            )


@contextmanager
def _transaction(session: Session) -> Iterator[Executor]:
    """Run a block in a transaction of its own, whose error says that nothing was kept."""
    try:
        with session.transaction() as transaction:
            yield transaction
    except QueryRejected as error:
        error.advise("the transaction was rolled back: nothing of this cell was kept")
        raise


@contextmanager
def _with_hint(sql: str, grammar: Grammar, namespace: Mapping[str, Any]) -> Iterator[None]:
    """Run a block whose error says what was probably meant."""
    from agentnb.core.db.duck.frames import named_as

    try:
        yield
    except TableNotFound as error:
        name = error.message.rpartition(": ")[2]
        if (frame := named_as(name, namespace)) is not None:
            error.hint = f"{frame} is a frame of this notebook: %db -c duck {' '.join(sql.split())}"
        raise
    except QueryRejected as error:
        raise _with_verb(error, sql, grammar) from error.__cause__


def _with_verb(error: QueryRejected, sql: str, grammar: Grammar) -> QueryRejected:
    """Return the error with what was probably meant as its hint: a verb, a word, an option."""
    from agentnb.core.db.text import split

    statements = split(sql)
    if error.hint or len(statements) != 1:
        return error
    if late := _LATE.search(sql):
        hint = f"options go first: %{grammar.noun} {late[1]} SQL"
        return QueryRejected(error.message, service="db", hint=hint)
    word = statements[0].keyword
    short = len(statements[0].sql.split()) <= _VERB_WORDS + 1
    verb = grammar.verbs.get(word) if short else None
    if verb is not None:
        hint = f"the verb is: %{grammar.noun} {verb.usage}"
    elif word in _SQL:
        return error
    else:
        near = did_you_mean(word, [*(grammar.verbs if short else ()), *_SQL])
        if near is None:
            return error
        hint = near
    return QueryRejected(error.message, service="db", hint=hint)


def shaped(result: Any, shape: str) -> Any:
    """Return a result as rows or as a frame of a library; of several with rows, a list of frames.

    Statements that return no rows have no frame.
    """
    if shape == "rows":
        return result
    if isinstance(result, list):
        with_rows = [one for one in result if one.returns_rows]
        if len(with_rows) > 1:
            return [shaped(one, shape) for one in with_rows]
        if not with_rows:
            return result
        result = with_rows[0]
    convert = {"pandas": "df", "polars": "pl", "arrow": "arrow"}[shape]
    if not getattr(result, "returns_rows", True):
        return result
    if getattr(result, "truncated", False):
        print(result.note)  # noqa: T201 - a frame cannot say it
    return getattr(result, convert)()
