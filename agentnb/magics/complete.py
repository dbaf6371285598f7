"""Tab on the line of a magic: verbs, options, live names, and ``:names``."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult

from agentnb.core.errors import UsageError
from agentnb.magics.grammar import words

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.magics.base import Magic
    from agentnb.magics.grammar import Grammar, Option

__all__ = ["complete"]

# A line magic may stand behind an assignment: `rows = %db select ...`.
_LINE = re.compile(
    r"^\s*(?:[\w.\[\]'\"]+(?:\s*,\s*\w+)*\s*=\s*)?%(?P<noun>[a-z]+)[ \t](?P<rest>.*)$"
)
_CELL = re.compile(r"^\s*%%(?P<noun>[a-z]+)(?:[ \t](?P<rest>[^\n]*))?", re.DOTALL)
_LAST_WORD = re.compile(r"[^\s=]*\Z")
_DOTTED = re.compile(r"(?<![\w.])(?P<name>\w+)(?P<dot>\.\w*)?\Z")
# The section of a class's docstring.
_ATTRIBUTES = re.compile(
    r"^Attributes\n-+\n(?P<them>.*?)(?:\n\n\w+\n-+\n|\Z)", re.DOTALL | re.MULTILINE
)
_NAMED = re.compile(r"<<\s*\w*\Z")
_BIND = re.compile(r"(?<![:\w]):(?P<path>(?:[A-Za-z_]\w*\.)*)(?P<start>\w*)\Z")


def complete(
    context: CompletionContext, magic_of: Callable[[str], Magic | None]
) -> SimpleMatcherResult:
    """Return the completions on the line of a magic, or in its cell.

    Parameters
    ----------
    context
        The text, and where the cursor is.
    magic_of
        Returns a magic by its name; None for those that are not agentnb's.
    """
    found = _line_of(context)
    magic = magic_of(found[0]) if found else None
    if found is None or magic is None:
        return SimpleMatcherResult(completions=[], suppress=False)
    _, before, body = found
    grammar = magic.grammar
    if magic.body_is_python and body is not None:
        return _in_scope(magic, body)
    if magic.cell_grammar is not None and context.full_text.lstrip().startswith("%%"):
        grammar = magic.cell_grammar
        before = f"{next(iter(grammar.verbs))} {before}"
    word, names = _candidates(magic, grammar, before, body, context)
    # IPython replaces its own token, which may be only the end of our word.
    cut = len(word) - len(context.token)
    matches = [
        SimpleCompletion(text=name[max(cut, 0) :], type=kind)
        for name, kind in names
        if _begins(name, word, kind) and cut >= 0
    ]
    # Python's own names mean nothing in SQL or after a verb.
    return SimpleMatcherResult(completions=matches, suppress=True)


def _begins(name: str, word: str, kind: str) -> bool:
    """Return whether a name completes a word; those of tables and columns do in any case."""
    if kind in {"table", "column"}:
        return name.lower().startswith(word.lower())
    return name.startswith(word)


def _in_scope(magic: Magic, body: str) -> SimpleMatcherResult:
    """Return the names in scope of a cell's function and their attributes."""
    found = _DOTTED.search(body)
    if found is None:
        return SimpleMatcherResult(completions=[], suppress=False)
    names = magic.in_scope()
    words = list(names)
    if found["dot"]:
        kind = names.get(found["name"])
        words = [f"{found['name']}.{name}" for name in (_members(kind) if kind else ())]
    matches = [
        SimpleCompletion(text=word, type="instance" if found["dot"] else "param")
        for word in words
        if word.startswith(found.group())
    ]
    return SimpleMatcherResult(completions=matches, suppress=bool(found["dot"] and matches))


def _members(kind: type) -> list[str]:
    """Return the public attributes of a class's instances, documented ones included."""
    section = _ATTRIBUTES.search(inspect.getdoc(kind) or "")
    lines = section["them"].splitlines() if section else []
    documented = [name.strip() for line in lines if line[:1].strip() for name in line.split(",")]
    annotated = [name for each in kind.__mro__ for name in vars(each).get("__annotations__", ())]
    return sorted({n for n in (*dir(kind), *annotated, *documented) if not n.startswith("_")})


def _line_of(context: CompletionContext) -> tuple[str, str, str | None] | None:
    """Return noun, the text up to the cursor, and None or the cell's body up to the cursor."""
    lines = context.full_text.split("\n")
    here = lines[context.cursor_line][: context.cursor_position]
    cell = _CELL.match(context.full_text)
    if cell is not None and context.cursor_line > 0:
        body = "\n".join([*lines[1 : context.cursor_line], here])
        return cell["noun"], cell["rest"] or "", body
    if cell is not None:
        start = _CELL.match(here)
        return (start["noun"], start["rest"], None) if start and start["rest"] is not None else None
    line = _LINE.match(here)
    return (line["noun"], line["rest"], None) if line else None


def _candidates(
    magic: Magic, grammar: Grammar, before: str, body: str | None, context: CompletionContext
) -> tuple[str, list[tuple[str, str]]]:
    text = before if body is None else body
    if bind := _BIND.search(text):
        return bind.group(), _bound(magic, bind)
    if body is not None:
        word = _sql_word(body)
        return word, magic.free_names(body[: len(body) - len(word)], word, context.full_text)
    last = _LAST_WORD.search(before)
    word = last.group() if last else ""
    try:
        done, rest = words(before[: len(before) - len(word)])
    except UsageError:
        done, rest = [], None
    if rest is not None:
        return word, []
    return _after(magic, grammar, [one.text for one in done], word, before, context)


def _after(
    magic: Magic,
    grammar: Grammar,
    done: list[str],
    word: str,
    before: str,
    context: CompletionContext,
) -> tuple[str, list[tuple[str, str]]]:
    verb = next((grammar.verbs[text] for text in done if text in grammar.verbs), None)
    options = (*grammar.options, *(verb.options if verb else ()))
    by_name = {name: option for option in options for name in option.names}
    plain, waiting = _plain(done, by_name)
    if waiting is not None:
        values = waiting.choices or tuple(magic.live(waiting.live, word))
        return word, [(value, "value") for value in values]
    if word.startswith("-"):
        taken = grammar.options_of(verb) if verb else grammar.options
        return word, [(name, "option") for option in taken for name in option.names]
    if plain[:1] == ["help"]:
        return word, [(name, "verb") for name in grammar.verbs]
    if verb is not None and plain and plain[0] == verb.name:
        at = len(plain) - 1
        if verb.free and at >= len(verb.arguments):
            if _NAMED.search(before):
                return word, [(name, "value") for name in magic.live("variable", word)]
            word = _sql_word(before)
            return word, magic.free_names(before[: len(before) - len(word)], word, before)
        if verb.repeats:
            at = min(at, len(verb.arguments) - 1)
        kinds = [verb.live[at]] if at < len(verb.live) else []
        return word, [
            (name, kind if kind == "table" else "value")
            for kind in kinds
            for name in magic.live_after(kind, word, before)
        ]
    if not plain:
        names = [(name, "verb") for name in grammar.verbs]
        return word, names + (magic.free_names("", word, "") if grammar.free else [])
    word = _sql_word(before)
    return word, magic.free_names(before[: len(before) - len(word)], word, context.full_text)


def _plain(done: list[str], by_name: dict[str, Option]) -> tuple[list[str], Option | None]:
    """Return the words that are no options, and the option that still waits for its value."""
    plain: list[str] = []
    waiting: Option | None = None
    for text in done:
        if waiting is not None:
            waiting = None
        elif (option := by_name.get(text)) is not None:
            waiting = option if option.value or option.choices else None
        elif not text.startswith("-"):
            plain.append(text)
    return plain, waiting


def _sql_word(text: str) -> str:
    found = re.search(r"[\w.\"]*\Z", text)
    return found.group() if found else ""


def _bound(magic: Magic, bind: re.Match[str]) -> list[tuple[str, str]]:
    user: dict[str, Any] = magic.extension.shell.user_ns
    path = [part for part in bind["path"].split(".") if part]
    if not path:
        hidden = magic.extension.shell.user_ns_hidden
        names = [name for name in user if not name.startswith("_") and name not in hidden]
        return [(f":{name}", "value") for name in names if not callable(user[name])]
    value = user.get(path[0])
    for step in path[1:]:
        value = value.get(step) if isinstance(value, dict) else getattr(value, step, None)
    # dir() alone runs nothing of the object's.
    inner = [str(key) for key in value] if isinstance(value, dict) else dir(value)
    return [(f":{bind['path']}{name}", "value") for name in inner if not name.startswith("_")]
