"""An answer's form as widgets: a field for each value, with its error beside it."""

from __future__ import annotations

import datetime as dt
import json
from contextlib import suppress
from html import escape
from typing import TYPE_CHECKING, Any, Final

import ipywidgets

from agentnb.core.format import cut
from agentnb.core.workflow.forms import MISSING, answer_of_text, field_of
from agentnb.panels.base import choice, label, stack, text_box
from agentnb.panels.base.cells import plain

if TYPE_CHECKING:
    from agentnb.core.workflow.forms import Field

__all__ = ["Form"]

_MOST_FIELDS: Final = 40
"""Fields of a form; one with more is a box of JSON."""
_LONGEST: Final = 300
_ROWS = 3
_EXAMPLES = {"integer": "a whole number", "number": "a number"}
_JSON = {"array": 'a list as JSON: ["a", "b"]', "object": 'an object as JSON: {"a": 1}'}


class Form:
    """The widgets of an answer.

    Parameters
    ----------
    schema
        The JSON Schema of the answer; None for any JSON.
    """

    def __init__(self, schema: dict[str, Any] | None) -> None:
        self._schema = schema
        field = field_of(schema)
        self._root: _Input
        if field.kind == "object" and _count(field) <= _MOST_FIELDS:
            self._root = _Group(field, deep=0)
        elif field.kind == "object" or schema is None:
            self._root = _Free(field, schema)
        else:
            self._root = _input_of(field, deep=0)
        self.widget = self._root.widget

    @property
    def inputs(self) -> dict[str, ipywidgets.Widget]:
        """The widgets of the fields by their names, those of an object's as ``place.city``."""
        return dict(self._root.named(""))

    @property
    def errors(self) -> dict[str, str]:
        """The errors that are shown beside the fields, by their names."""
        return {name: text for name, text in self._root.messages("") if text}

    def answer(self) -> Any:
        """Return the answer; `MISSING` if a field has an error, which is then shown beside it."""
        return self._root.value()


class _Input:
    """A field with its label, its widget and its error."""

    def __init__(self, field: Field, control: ipywidgets.Widget) -> None:
        self.field, self.control = field, control
        self.error = label("")
        self.error.add_class("agentnb-field-error")
        self.error.layout.display = "none"
        self._text = ""
        about = label(_short(field.about), dim=True) if field.about else None
        title = label("")
        title.add_class("agentnb-field-title")
        title.value = f"{escape(_short(field.title))}{_optional(field)}"
        parts = [title, control, self.error, *([about] if about else [])]
        self.widget = stack(*parts)
        self.widget.add_class("agentnb-field")

    def value(self) -> Any:
        """Return the value, `MISSING` where it has an error or is left out."""
        self.failed = False
        try:
            value = self.read()
            wrong = None if value is MISSING else self.field.misfit(value)
        except ValueError as error:
            value, wrong = MISSING, str(error)
        self.say(wrong or "")
        self.failed = wrong is not None
        return MISSING if self.failed else value

    failed = False

    def say(self, text: str) -> None:
        """Show an error beside the field, or none."""
        self._text = text
        self.error.value = f'<span role="alert">{escape(_short(text))}</span>' if text else ""
        self.error.layout.display = None if text else "none"

    def read(self) -> Any:
        """Return what the widget has.

        Raises
        ------
        ValueError
            It is not of the field's kind.
        """
        return self.field.read(str(self.control.value))

    def named(self, prefix: str) -> list[tuple[str, ipywidgets.Widget]]:
        """Return the widget by its name."""
        return [(f"{prefix}{self.field.name}", self.control)]

    def messages(self, prefix: str) -> list[tuple[str, str]]:
        """Return the error by its name."""
        return [(f"{prefix}{self.field.name}", self._text)]


class _Group(_Input):
    """The fields of an object."""

    def __init__(self, field: Field, *, deep: int) -> None:
        self._inputs = [_input_of(one, deep=deep + 1) for one in field.fields]
        control = stack(*(one.widget for one in self._inputs))
        control.add_class("agentnb-fields")
        super().__init__(field, control)
        self._first = [widget.value for _, widget in self.named("")]
        if not deep:  # the question is its title
            self.widget = stack(control, self.error)

    def value(self) -> Any:
        """Return the object; one that may be left out is so while nothing of it was filled in."""
        self.failed = False
        untouched = self._first == [widget.value for _, widget in self.named("")]
        if untouched and self.field.optional and self.field.name:
            for one in (self, *self._inputs):
                one.say("")
            return self.field.empty
        found = {}
        for one in self._inputs:
            value = one.value()
            self.failed = self.failed or one.failed
            if value is not MISSING:
                found[one.field.name] = value
        if self.failed:
            self.say("")
            return MISSING
        wrong = self.field.misfit(found)
        self.say(wrong or "")
        self.failed = wrong is not None
        return MISSING if self.failed else found

    def named(self, prefix: str) -> list[tuple[str, ipywidgets.Widget]]:
        within = f"{prefix}{self.field.name}." if self.field.name else prefix
        return [pair for one in self._inputs for pair in one.named(within)]

    def messages(self, prefix: str) -> list[tuple[str, str]]:
        within = f"{prefix}{self.field.name}." if self.field.name else prefix
        return [
            *super().messages(prefix),
            *(pair for one in self._inputs for pair in one.messages(within)),
        ]


class _Free(_Input):
    """Any JSON, or the text itself where that fits."""

    def __init__(self, field: Field, schema: dict[str, Any] | None) -> None:
        self._schema = schema
        super().__init__(field, _box(field, "JSON, or text", rows=_ROWS))

    def read(self) -> Any:
        text = str(self.control.value)
        if not text.strip():
            raise ValueError("is missing")
        return answer_of_text(text, self._schema)


class _Check(_Input):
    """A box to check, which has its title beside it."""

    def __init__(self, field: Field, control: ipywidgets.Checkbox) -> None:
        super().__init__(field, control)
        self.widget.children = self.widget.children[1:]

    def read(self) -> Any:
        return bool(self.control.value)


class _Choice(_Input):
    """A list to choose one of; the empty one is none of them."""

    def __init__(self, field: Field, choices: tuple[Any, ...]) -> None:
        self._values = {_shown(one): one for one in choices}
        begin = [] if field.default in choices and not field.nullable else [""]
        known = field.default is not MISSING and _shown(field.default) in self._values
        value = _shown(field.default) if known else None
        options = [*begin, *self._values]
        control = choice(options, value=value, tooltip=_short(field.title))
        super().__init__(field, control)

    def read(self) -> Any:
        return (
            self._values.get(str(self.control.value), MISSING)
            if self.control.value
            else (self.field.empty)
        )


class _Date(_Input):
    """A day of a calendar, whose title is its own label."""

    def __init__(self, field: Field, control: ipywidgets.DatePicker) -> None:
        super().__init__(field, control)
        self.widget.children = self.widget.children[1:]

    def read(self) -> Any:
        day = self.control.value
        return self.field.empty if day is None else day.isoformat()


def _input_of(field: Field, *, deep: int) -> _Input:
    if field.kind == "object" and deep <= 1:
        return _Group(field, deep=deep)
    if field.kind == "bool" and (field.default in (True, False) or not field.optional):
        title = _short(field.title)
        box = ipywidgets.Checkbox(value=field.default is True, description=title, indent=False)
        box.add_class("agentnb-check")
        return _Check(field, box)
    if field.kind in {"choice", "bool"}:
        return _Choice(field, field.choices or (True, False))
    if field.kind == "date":
        title = f"{escape(_short(field.title))}{_optional(field)}"
        picker = ipywidgets.DatePicker(description=title, description_allow_html=True)
        with suppress(ValueError, TypeError):
            picker.value = dt.date.fromisoformat(field.default)
        picker.add_class("agentnb-text")
        return _Date(field, picker)
    if field.kind in {"json", "object"}:
        example = _JSON.get(str(field.schema.get("type")), "JSON")
        return _Input(field, _box(field, example, rows=_ROWS))
    return _Input(field, _box(field, _EXAMPLES.get(field.kind, ""), rows=1))


def _box(field: Field, example: str, *, rows: int) -> Any:
    value = field.default
    if value is MISSING or value is None:
        text = ""
    else:
        text = value if field.kind == "text" and isinstance(value, str) else _shown(value)
    made = text_box(placeholder=example, value=text, tooltip=_short(field.title), rows=rows)
    made.layout.flex = "0 0 auto"
    return made


def _optional(field: Field) -> str:
    return ' <span class="agentnb-dim">(optional)</span>' if field.optional and field.name else ""


def _count(field: Field) -> int:
    return sum(1 + _count(one) for one in field.fields)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _short(text: str) -> str:
    return cut(plain(text), _LONGEST)
