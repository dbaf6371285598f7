"""The JSON Schema of a question's answer as fields that a person fills in."""

from __future__ import annotations

import dataclasses
import datetime as dt  # noqa: TC003 - the models need it
import enum
from typing import Annotated, Literal

import msgspec
import pydantic
import pytest

from agentnb.core.codec import codec_of
from agentnb.core.workflow.forms import MISSING, OpenWait, answer_of_text, field_of, form_words


class Size(enum.Enum):
    SMALL = "small"
    BIG = "big"


class Place(pydantic.BaseModel):
    city: str
    zip: int | None = None


class Order(pydantic.BaseModel):
    title: str = pydantic.Field(description="In a few words")
    eur: Annotated[int, pydantic.Field(ge=1, le=100)]
    share: float = 0.5
    urgent: bool = False
    size: Size = Size.SMALL
    kind: Literal["a", "b", 3]
    day: dt.date | None = None
    place: Place
    tags: list[str] = []
    more: dict[str, int] | None = None


@dataclasses.dataclass
class Plain:
    title: str
    size: Literal["s", "m"] = "s"
    day: dt.date | None = None


class Needs(msgspec.Struct):
    n: int | None
    note: str = "a"


class Struct(msgspec.Struct):
    n: int
    inner: Plain


def fields(form):
    return {one.name: one for one in field_of(codec_of(form).schema()).fields}


def test_each_type_has_its_kind_of_field():
    found = fields(Order)
    kinds = "text integer number bool choice choice date object json json"
    assert [one.kind for one in found.values()] == kinds.split()
    assert [name for name, one in found.items() if one.required] == [
        "title",
        "eur",
        "kind",
        "place",
    ]
    assert found["title"].about == "In a few words"
    assert found["size"].choices == ("small", "big")
    assert found["kind"].choices == ("a", "b", 3)
    assert found["share"].default == 0.5
    assert (found["day"].nullable, found["day"].default) == (True, None)
    assert [(one.name, one.kind, one.nullable) for one in found["place"].fields] == [
        ("city", "text", False),
        ("zip", "integer", True),
    ]
    assert [one.kind for one in fields(Plain).values()] == ["text", "choice", "date"]
    assert [one.kind for one in fields(Struct).values()] == ["integer", "object"]


def test_an_answer_that_is_no_object_is_one_field():
    kinds = {
        str: "text",
        int: "integer",
        bool: "bool",
        Literal["yes", "no"]: "choice",
        list[int]: "json",
        int | str: "json",
        dict[str, int]: "json",
        Size: "choice",
    }
    for form, kind in kinds.items():
        assert field_of(codec_of(form).schema()).kind == kind


def test_a_text_is_read_as_its_field_or_refused_in_words():
    found = fields(Order)
    assert found["eur"].read(" 7 ") == 7
    assert found["share"].read("1e2") == 100.0
    assert found["day"].read("2030-01-02") == "2030-01-02"
    assert found["tags"].read('["a"]') == ["a"]
    assert found["share"].read("") is MISSING
    assert fields(Needs)["n"].read("") is None
    assert fields(Needs)["note"].read("") == ""  # else it would be its default
    for name, text, said in (
        ("eur", " ", "is missing"),
        ("title", "", "is missing"),
        ("eur", "7.5", "must be a whole number"),
        ("eur", "many", "must be a whole number"),
        ("share", "inf", "must be a number"),
        ("share", "nan", "must be a number"),
        ("day", "tomorrow", "must be a date"),
        ("tags", "[1", "must be JSON"),
        ("tags", "NaN", "must be JSON"),
    ):
        with pytest.raises(ValueError, match=said):
            found[name].read(text)
    assert found["eur"].misfit(0) == "must be at least 1, got 0"
    assert found["eur"].misfit(5) is None
    assert "must be" in found["place"].misfit({"city": 5}) or "city" in found["place"].misfit({})


def test_schemas_that_nobody_would_write_make_a_field_of_json_or_of_nothing():
    loop = {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}
    for odd in (
        loop,
        {"$ref": "#/$defs/none"},
        {"type": "object", "properties": []},
        {"type": ["string", "integer"]},
        {"enum": []},
        {"anyOf": [{"type": "null"}]},
        {"anyOf": "x"},
        {"$defs": 7},
    ):
        assert field_of(odd).kind == "json"
        assert form_words(odd)
    assert [one.kind for one in field_of({"type": "object", "properties": {"a": True}}).fields] == [
        "json"
    ]
    deep = {"type": "object", "properties": {"a": {"type": "string"}}}
    for _ in range(5):
        deep = {"type": "object", "properties": {"a": deep}}
    assert field_of(deep).fields[0].fields[0].kind == "object"


def test_a_form_in_words_is_short():
    assert form_words(codec_of(Plain).schema()) == (
        'title: text, size: "m" or "s" (optional), day: date (optional)'
    )
    wide = {"type": "object", "properties": {f"n{n}": {"type": "string"} for n in range(20)}}
    assert form_words(wide).endswith("n7: text (optional), and 12 more")


def test_a_text_of_a_line_is_json_where_that_fits():
    assert answer_of_text("[1]", None) == [1]
    assert answer_of_text("hello", None) == "hello"
    assert answer_of_text("NaN", None) == "NaN"
    assert answer_of_text("true", {"type": "string"}) == "true"
    assert answer_of_text("5", {"type": "integer"}) == 5
    assert answer_of_text("x", {"type": "integer"}) == "x"


def test_a_wait_in_words_names_the_one_who_is_asked():
    wait = OpenWait("w", "plan", "budget", "ask", "How much?", None, "ada", None, 0.0, None)
    assert wait.words == "waits for ada: How much?"
    assert wait._replace(to=None, question="").words == "waits for an answer: budget"
    assert wait._replace(kind="sleep").words == "sleeps"
