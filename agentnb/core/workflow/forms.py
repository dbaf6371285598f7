"""Questions of tasks as people see them: who is asked what, and the fields of the answer."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from agentnb.core.codec import misfit_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "MISSING",
    "Field",
    "OpenWait",
    "answer_of_text",
    "field_of",
    "form_words",
    "open_wait",
    "waits_by_task",
]

MISSING: Final = object()
"""The default of a field that has none, and the value of one that is left empty."""
_DEEPEST = 20
_KINDS = {"string": "text", "number": "number", "integer": "integer", "boolean": "bool"}
_WORDS = {
    "text": "text",
    "number": "number",
    "integer": "whole number",
    "bool": "true or false",
    "date": "date",
    "json": "JSON",
    "object": "object",
}
_MOST_SHOWN = 8
_LONGEST = 300


class OpenWait(NamedTuple):
    """A wait that has no answer yet.

    Attributes
    ----------
    workflow_id, task, name
        Which wait.
    kind
        ``ask``, ``sleep``, ``event`` or ``tasks``.
    question, form, to
        Of a question: its text, the JSON Schema of the answer or None, and who is asked, or None.
    due, since
        When it times out, or None, and when it began; seconds since the epoch.
    error
        Why the last answer did not fit, or None.
    """

    workflow_id: str
    task: str
    name: str
    kind: str
    question: str
    form: dict[str, Any] | None
    to: str | None
    due: float | None
    since: float
    error: str | None

    @property
    def words(self) -> str:
        """The wait in words, such as ``waits for ada: How much?``."""
        if self.kind == "ask":
            asked = one_line(self.question or self.name)
            return f"waits for {one_line(self.to or 'an answer')}: {asked}"
        if self.kind == "sleep":
            at = "" if self.due is None else f" until {_clock(self.due)}"
            return f"sleeps{at}"
        return f"waits for event {self.name}" if self.kind == "event" else "waits for other tasks"


def one_line(text: str) -> str:
    r"""Return a text of others in one printable line that is not too long.

    >>> one_line("How \x1b[31mmuch?\nReally?")
    'How  [31mmuch? Really?'
    """
    line = "".join(sign if sign.isprintable() else " " for sign in text[: _LONGEST + 1])
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def open_wait(row: tuple[Any, ...]) -> OpenWait:
    """Return the wait of a row of `Reader.waits`."""
    workflow, task, name, kind, question, form, addressee, due, since, error = row
    schema = None if form is None else msgspec.json.decode(form)
    return OpenWait(workflow, task, name, kind, question, schema, addressee, due, since, error)


def waits_by_task(waits: Sequence[OpenWait]) -> dict[str, str]:
    """Return what tasks wait for, in words, by their names."""
    found: dict[str, list[str]] = {}
    for one in waits:
        found.setdefault(one.task, []).append(one.words)
    return {task: "; ".join(words) for task, words in found.items()}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an answer.

    Attributes
    ----------
    name, title, about
        Its key, empty for the whole answer; how it is called; and a line about it.
    kind
        ``text``, ``number``, ``integer``, ``bool``, ``choice``, ``date``, ``object``, or ``json``
        for anything else.
    required, nullable
        Whether it must be there, and whether it may be null.
    default
        The value of one that is left empty, or `MISSING`.
    choices
        The values of a choice.
    fields
        Those of an object.
    schema
        Its JSON Schema, with the definitions that it refers to.
    """

    name: str
    title: str
    about: str
    kind: str
    required: bool
    nullable: bool
    default: Any
    choices: tuple[Any, ...]
    fields: tuple[Field, ...]
    schema: dict[str, Any]

    @property
    def optional(self) -> bool:
        """Whether a person may leave it empty."""
        return self.nullable or not self.required

    @property
    def empty(self) -> Any:
        """The value of one that is left empty; `MISSING` where it is left out then.

        Raises
        ------
        ValueError
            It may not be empty.
        """
        if not self.required:
            return MISSING
        if not self.nullable:
            raise ValueError("is missing")
        return None

    @property
    def words(self) -> str:
        """The value that it takes, in words."""
        if self.kind == "choice":
            return " or ".join(json.dumps(one, ensure_ascii=False) for one in self.choices)
        return _WORDS[self.kind]

    def read(self, text: str) -> Any:
        """Return the value that a text is; for one that is left empty, `empty`.

        Raises
        ------
        ValueError
            It is none; the message says what it must be.
        """
        if self.kind == "text":
            # One that is left empty is an empty text only where it would else be its default.
            kept = text or self.default not in (MISSING, None, "")
            return text if kept else self.empty
        if not text.strip():
            return self.empty
        try:
            found = _parsed(self.kind, text.strip())
        except ValueError:
            raise ValueError(f"must be {_an(self.words)}") from None
        return found

    def misfit(self, value: Any) -> str | None:
        """Return why a value does not fit, without the field's name; None if it fits."""
        found = misfit_of(value, self.schema)
        return None if found is None else found.removeprefix("it ")


def field_of(schema: dict[str, Any] | None) -> Field:
    """Return the field of a whole answer, by its JSON Schema; None is any JSON.

    >>> form = {"type": "object", "properties": {"eur": {"type": "integer"}}, "required": ["eur"]}
    >>> [(one.name, one.kind, one.required) for one in field_of(form).fields]
    [('eur', 'integer', True)]
    """
    schema = schema or {}
    definitions = schema.get("$defs")
    return _field("", schema, definitions if isinstance(definitions, dict) else {}, required=True)


def form_words(schema: dict[str, Any] | None) -> str:
    """Return an answer's form in short words.

    >>> form_words({"type": "object", "properties": {"eur": {"type": "integer"}}})
    'eur: whole number (optional)'
    >>> form_words({"enum": ["yes", "no"]}), form_words(None)
    ('"yes" or "no"', 'any JSON')
    """
    if not schema:
        return "any JSON"
    field = field_of(schema)
    if field.kind != "object":
        return field.words
    words = [
        f"{one.name}: {one.words}{' (optional)' if one.optional else ''}"
        for one in field.fields[:_MOST_SHOWN]
    ]
    more = len(field.fields) - _MOST_SHOWN
    return ", ".join([*words, *([f"and {more} more"] if more > 0 else [])])


def answer_of_text(text: str, schema: dict[str, Any] | None) -> Any:
    """Return the answer that a text is: JSON, or the text itself where that fits the form better.

    >>> answer_of_text('{"eur": 5}', None), answer_of_text("yes", {"enum": ["yes", "no"]})
    ({'eur': 5}, 'yes')
    >>> answer_of_text("7", {"type": "string"})
    '7'
    """
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text
    if schema and misfit_of(value, schema) is not None and misfit_of(text, schema) is None:
        return text
    return value


def _field(name: str, schema: Any, definitions: Mapping[str, Any], *, required: bool) -> Field:
    given = schema if isinstance(schema, dict) else {}
    found, nullable = _without_null(_referred(given, definitions), definitions)
    kind, choices = _kind_of(found)
    fields: tuple[Field, ...] = ()
    if kind == "object":
        wanted = found.get("required") or ()
        fields = tuple(
            _field(str(key), one, definitions, required=key in wanted)
            for key, one in found["properties"].items()
        )
    about = {**found, **given}
    return Field(
        name,
        str(about.get("title") or name or "Answer"),
        str(about.get("description") or ""),
        kind,
        required,
        nullable,
        about.get("default", MISSING),
        choices,
        fields,
        {**given, "$defs": dict(definitions)},
    )


def _kind_of(schema: dict[str, Any]) -> tuple[str, tuple[Any, ...]]:
    if "const" in schema:
        return "choice", (schema["const"],)
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return "choice", tuple(schema["enum"])
    kind = schema.get("type")
    if kind == "string" and schema.get("format") == "date":
        return "date", ()
    if kind == "object" and isinstance(schema.get("properties"), dict) and schema["properties"]:
        return "object", ()
    known = _KINDS.get(kind) if isinstance(kind, str) else None
    return known or "json", ()


def _referred(schema: dict[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema that another refers to."""
    for _ in range(_DEEPEST):
        if "$ref" not in schema:
            return schema
        target = definitions.get(str(schema["$ref"]).rpartition("/")[2])
        rest = {key: one for key, one in schema.items() if key != "$ref"}
        schema = {**(target if isinstance(target, dict) else {}), **rest}
    return {}


def _without_null(
    schema: dict[str, Any], definitions: Mapping[str, Any]
) -> tuple[dict[str, Any], bool]:
    """Return a schema without its null, and whether it takes null."""
    kinds = schema.get("type")
    if isinstance(kinds, list) and "null" in kinds:
        rest = [kind for kind in kinds if kind != "null"]
        return {**schema, "type": rest[0] if len(rest) == 1 else rest}, True
    choices = schema.get("anyOf") or schema.get("oneOf")
    if not isinstance(choices, list):
        return schema, False
    rest = [one for one in choices if not (isinstance(one, dict) and one.get("type") == "null")]
    nullable = len(rest) < len(choices)
    if len(rest) == 1 and isinstance(rest[0], dict):
        return _referred(rest[0], definitions), nullable
    return {}, nullable


def _parsed(kind: str, text: str) -> Any:
    if kind == "integer":
        return int(text)
    if kind == "number":
        found = float(text)
        if found - found != 0:
            raise ValueError(text)
        return int(text) if text.lstrip("+-").isdecimal() else found
    if kind == "date":
        return dt.date.fromisoformat(text).isoformat()
    return json.loads(text, parse_constant=_refuse)


def _refuse(word: str) -> Any:
    raise ValueError(word)


def _an(words: str) -> str:
    return words if words == "JSON" or " or " in words else f"a {words}"


def _clock(seconds: float) -> str:
    from agentnb.core.format import clock

    return clock(seconds)
