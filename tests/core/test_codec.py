"""Plain JSON forms and declared types: round trips, refusals and their words."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import functools
import pathlib
import socket
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar

import attrs
import msgspec
import numpy as np
import pandas as pd
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentnb.core.codec import Json, NotJson, check_schema, codec_of, convert, declared, to_json
from agentnb.core.codec.returns import annotation_of
from agentnb.core.codec.walk import Misfit
from agentnb.core.errors import UsageError
from tests.core.typed_cases import CASES, IDS, Aliased, Color, Model, Pair, Point, Struct
from tests.groups import stable_id

if TYPE_CHECKING:
    from collections.abc import Iterable

bounded = settings(max_examples=150, deadline=None, derandomize=True)

texts = st.text(st.characters(codec="utf-8"), max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | texts
    | st.floats(allow_nan=False, allow_infinity=False)
)
plain = st.recursive(
    scalars,
    lambda some: st.lists(some, max_size=4) | st.dictionaries(texts, some, max_size=4),
    max_leaves=20,
)
offsets = st.integers(-14 * 60, 14 * 60).map(lambda m: dt.timezone(dt.timedelta(minutes=m)))
TYPED: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(),
    float: st.floats(allow_nan=False),
    bytes: st.binary(max_size=9),
    dt.date: st.dates(),
    dt.datetime: st.datetimes(timezones=st.none() | offsets),
    dt.time: st.times(),
    dt.timedelta: st.timedeltas(dt.timedelta(-(10**6)), dt.timedelta(10**6)),
    decimal.Decimal: st.decimals(allow_nan=False),
    uuid.UUID: st.uuids(),
    pathlib.PurePosixPath: texts.map(pathlib.PurePosixPath),
    complex: st.complex_numbers(allow_nan=False, allow_infinity=False),
    Color: st.just(Color.RED),
    Pair: st.builds(Pair, st.integers(), texts),
    Point: st.builds(Point, st.integers(), st.floats(allow_nan=False)),
    Model: st.builds(Model, x=st.integers(), tags=st.lists(texts, max_size=3)),
    Struct: st.builds(Struct, st.integers(), st.datetimes(timezones=offsets) | st.none()),
    Any: plain,
}


def nested(kind, values):
    """Return the type and values of it, or of containers of it."""
    hashable = kind not in {Model, Point, Struct, Any}
    found = [
        (kind, values),
        (list[kind], st.lists(values, max_size=4)),
        (tuple[kind, int], st.tuples(values, st.integers())),
        (dict[str, kind], st.dictionaries(texts, values, max_size=4)),
        (kind | None, st.none() | values),
    ]
    return found + ([(set[kind], st.sets(values, max_size=4))] if hashable else [])


@st.composite
def typed_values(draw):
    kind = draw(st.sampled_from(list(TYPED)))
    whole, values = draw(st.sampled_from(nested(kind, TYPED[kind])))
    return whole, draw(values)


@bounded
@given(typed_values())
def test_a_value_of_a_declared_type_comes_back_equal_through_plain_json(case):
    kind, value = case
    data, copy = codec_of(kind).encode(value)
    assert copy == value
    assert type(copy) is type(value)
    assert codec_of(kind).gives_back(value, copy)
    again = convert(msgspec.json.decode(data), kind)
    assert again == value


@bounded
@given(plain)
def test_plain_values_are_kept_as_they_are(value):
    assert msgspec.json.decode(to_json(value)) == value


@bounded
@given(st.lists(st.floats(), max_size=5))
def test_declared_floats_keep_nan_and_infinity_as_texts(values):
    data, copy = codec_of(list[float]).encode(values)
    assert b"null" not in data
    assert list(map(repr, copy)) == list(map(repr, values))


@pytest.mark.parametrize(("kind", "value"), CASES, ids=IDS)
def test_a_type_gives_back_its_value(kind, value):
    codec = codec_of(kind)
    data, copy = codec.encode(value)
    assert (copy, type(copy)) == (value, type(value))
    assert codec.decode(data) == value
    assert not any(word in data for word in (b"tests.core", b"__", b"Model", b"Point"))


class Level(enum.IntEnum):
    HIGH = 3


class Name(str):
    __slots__ = ()

    def __str__(self):
        return "something else"


@dataclasses.dataclass
class Holds:
    when: dt.date
    within: list[tuple[int, ...]]


class Tagged(msgspec.Struct, tag="t", rename="camel"):
    first_name: str
    left_out: int | msgspec.UnsetType = msgspec.UNSET


class Bare(pydantic.BaseModel, arbitrary_types_allowed=True):
    values: np.ndarray


class Around(msgspec.Struct):
    bare: Bare


class Unresolved(msgspec.Struct):
    value: Missing  # noqa: F821 - it is not there


class Loss(pydantic.BaseModel):
    value: float


@attrs.define
class Attrs:
    when: dt.date
    model: Model


@dataclasses.dataclass(eq=False)
class Alone:
    when: dt.date


class Login(pydantic.BaseModel):
    password: pydantic.SecretStr


class Row(msgspec.Struct, array_like=True):
    a: int
    b: dt.date


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ((1, 2), [1, 2]),
        (Pair(1, "b"), [1, "b"]),
        ({3}, [3]),
        (collections.deque([1]), [1]),
        (Model(x=2), {"x": 2, "tags": []}),
        (Aliased(camelCase=1), {"camelCase": 1}),
        (Holds(dt.date(2020, 1, 2), [(1,)]), {"when": "2020-01-02", "within": [[1]]}),
        (Tagged("a"), {"type": "t", "firstName": "a"}),
        (Row(1, dt.date(2020, 1, 2)), [1, "2020-01-02"]),
        (
            Attrs(dt.date(2020, 1, 2), Model()),
            {"when": "2020-01-02", "model": {"x": 1, "tags": []}},
        ),
        (dt.datetime(2020, 1, 2, 3, tzinfo=dt.UTC), "2020-01-02T03:00:00Z"),
        (pd.Timestamp("2020-01-02T03:00:00.5"), "2020-01-02T03:00:00.500000"),
        (dt.time(3, 4), "03:04:00"),
        (decimal.Decimal("1.50"), "1.50"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (pathlib.PurePosixPath("/a"), "/a"),
        (1 + 2j, "1+2j"),
        (b"\xff", "/w=="),
        (bytearray(b"a"), "YQ=="),
        (Color.RED, "red"),
        (Level.HIGH, 3),
        (Name("real"), "real"),
        (np.float64(1.5), 1.5),
        (np.bool_(1), True),
        (np.str_("a"), "a"),
        (np.datetime64("2020-01-02"), "2020-01-02"),
        ({1: 2, Color.RED: 3, dt.date(2020, 1, 2): 4}, {"1": 2, "red": 3, "2020-01-02": 4}),
        (collections.OrderedDict(a=(1,)), {"a": [1]}),
    ],
    ids=repr,
)
def test_every_value_has_its_documented_form(value, form):
    assert msgspec.json.decode(to_json(value)) == form
    assert msgspec.json.decode(to_json({"in": [value]})) == {"in": [form]}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a": [1.0, float("nan")]}, r"^value\['a'\]\[1\] is nan"),
        (Loss(value=float("inf")), r"^value\['value'\] is inf"),
        (object(), "^value is of type object"),
        ([{"line": socket.socket}], r"^value\[0\]\['line'\] is of type type"),
        ({(1, 2): 3}, r"has the key \(1, 2\) of type tuple"),
        ({1: "a", "1": "b"}, "has two keys that become '1'"),
        ({True: 1}, "has the key True"),
        ("\ud800", "text that is not Unicode"),
        ({"\ud800": 1}, "text that is not Unicode"),
        (np.arange(3), "its .tolist"),
        (np.array(3), "its .tolist"),
        (np.longdouble(1.5), "of type longdouble"),
        (pd.NaT, "no exact text"),
        (pd.Timestamp(1), "no exact text"),
        (dt.datetime(2020, 1, 1, tzinfo=dt.timezone(dt.timedelta(seconds=3208))), "no exact text"),
    ],
    ids=stable_id,
)
def test_a_value_without_a_form_is_refused_with_its_path(value, words):
    with pytest.raises(NotJson, match=words):
        to_json(value)


def test_a_value_that_holds_itself_is_refused():
    value: list[Any] = [(1,)]
    value.append(value)
    with pytest.raises(NotJson, match="holds itself"):
        to_json(value)


def test_nan_under_a_type_that_has_no_float_there_is_refused():
    for kind in (dict[str, Any], dict, list[str] | dict[str, str]):
        with pytest.raises((NotJson, Misfit), match="nan"):
            codec_of(kind).encode({"a": float("nan")})


def test_a_copy_that_is_not_equal_is_noticed_and_one_that_never_is_compared_by_its_parts():
    for kind, value, same in (
        (Attrs, Attrs(dt.date(2020, 1, 2), Model()), True),
        (Alone, Alone(dt.date(2020, 1, 2)), True),
        (list[float], [float("nan")], True),
        (dict, {"pair": (1, 2)}, False),
        (Login, Login(password="hunter22"), False),
    ):
        codec = codec_of(kind)
        assert codec.gives_back(value, codec.encode(value)[1]) == same, kind


def test_the_texts_of_nan_make_no_other_text_a_number():
    assert convert(["NaN", 1], list[float])[1] == 1.0
    for wrong in (["NaN", "5"], ["Infinity", True]):
        with pytest.raises(ValueError, match="Expected `float`"):
            convert(wrong, list[float])
    with pytest.raises(ValueError, match="Expected `int`"):
        convert({"a": 1, "when": "NaN"} | {"a": "NaN"}, Struct)


class Sized(Protocol):
    size: int


T = TypeVar("T")


@pytest.mark.parametrize(
    "kind",
    [
        Unresolved,
        socket.socket,
        list[socket.socket],
        pd.DataFrame,
        np.ndarray,
        len,
        lambda: 1,
        Model | socket.socket,
    ],
)
def test_a_type_that_no_json_becomes_is_refused(kind):
    with pytest.raises(UsageError, match="is not a schema"):
        check_schema(kind, "queue")
    with pytest.raises(UsageError, match="is not a type that a result can have"):
        declared(print, kind, "queue")


def text() -> list[Model]: ...
async def coroutine() -> Model | None: ...
def unknown() -> Missing: ...  # noqa: F821 - it is not there
def anything() -> Any: ...
def nothing() -> None: ...
def abstract() -> Iterable[int]: ...
def generic(_: T) -> T: ...
def protocol() -> Sized: ...


class Caller:
    def __call__(self) -> dict[str, int]: ...

    def method(self) -> int: ...


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (text, list[Model]),
        (coroutine, Model | None),
        (Caller(), dict[str, int]),
        (Caller().method, int),
        (Model, Model),
        (functools.partial(text), list[Model]),
        *((one, None) for one in (unknown, anything, nothing, abstract, generic, protocol)),
        (lambda: 1, None),
        (len, None),
    ],
)
def test_a_return_annotation_is_resolved_or_counts_as_none(function, kind):
    assert annotation_of(function) == kind


def union() -> str | socket.socket: ...
def optional() -> socket.socket | None: ...


def test_a_union_with_types_that_json_has_declares_none_and_another_is_refused():
    from agentnb.core.git import GitManager

    assert declared(union, None, "queue") is declared(GitManager.commit, None, "queue") is None
    for function, returns in ((optional, None), (print, str | socket.socket)):
        with pytest.raises(UsageError, match="is not a type that a result can have"):
            declared(function, returns, "queue")
    with pytest.raises(UsageError) as caught:
        declared(optional, None, "queue")
    assert "lambda: f(...).name" in caught.value.hint


class Price(enum.Enum):
    LOW = decimal.Decimal("1.50")


class Read(enum.Enum):
    LOW = decimal.Decimal("1.50")

    @classmethod
    def _missing_(cls, value):
        return next((one for one in cls if str(one.value) == value), None)


class Priced(pydantic.BaseModel):
    price: Price


def path() -> str | pathlib.Path: ...


@pytest.mark.parametrize("kind", [
    Price, list[Price], Price | None, Priced, enum.Enum("Day", {"A": dt.date(2026, 1, 1)}),
    enum.Enum("Pairs", {"A": (1, 2)}), str | dt.date, list[str | decimal.Decimal],
    dict[str, bytes | uuid.UUID], str | pathlib.Path | None, Annotated[str | bytes, "x"],
    str | Color,
])  # fmt: skip
def test_a_type_whose_values_would_come_back_as_text_is_refused(kind):
    for name in ("returns", "schema", "type"):
        with pytest.raises(UsageError, match=r"a text of JSON may be a|JSON has no"):
            check_schema(kind, "queue", name)


@pytest.mark.parametrize(("kind", "value"), [
    (Read, Read.LOW), (dt.date | None, dt.date(2026, 1, 1)), (str | Level, Level.HIGH),
    (int | decimal.Decimal, decimal.Decimal("1.5")), (str | int | None, "1"), (Model | str, "x"),
    (dt.date | dt.datetime, dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
])  # fmt: skip
def test_a_type_that_the_text_of_json_tells_apart_gives_back_its_values(kind, value):
    check_schema(kind, "queue")
    assert codec_of(kind).encode(value)[1] == value


def test_an_annotation_with_such_a_union_declares_none():
    assert declared(path, None, "queue") is None


class Wide(Model):
    extra: int = 5


class Both(pydantic.BaseModel):
    one: Model | None = None
    many: list[Model] = []


@pytest.mark.parametrize("value", [
    Both(one=Wide()), Both(many=[Wide()]), {"one": Wide()}, {"many": [Model(), Wide()]},
])  # fmt: skip
def test_a_subclass_within_a_model_is_refused_where_its_fields_would_be_lost(value):
    json = Json("queue", "the data", limit=1000, setting="X")
    with pytest.raises(UsageError, match="cannot be sent as Both"):
        json.encode(value, Both)
    assert json.encode(Both(one=Model(), many=[Model()]), Both)


def test_pydantic_is_not_imported_by_types_without_it():
    code = (
        "import sys, datetime; from agentnb.core.codec import codec_of, to_json;"
        "codec_of(dict[str, datetime.date]).encode({'a': datetime.date(2020, 1, 1)});"
        "to_json((1, 2)); assert 'pydantic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_class_that_a_validator_makes_is_a_type():
    array = Annotated[
        np.ndarray,
        pydantic.BeforeValidator(np.array),
        pydantic.PlainSerializer(lambda values: values.tolist()),
    ]

    class Holder(pydantic.BaseModel, arbitrary_types_allowed=True):
        values: array

    data, copy = codec_of(list[Holder]).encode([Holder(values=[1, 2])])
    assert data == b'[{"values":[1,2]}]'
    assert sum(copy[0].values) == 3

    for kind in (Bare, list[Bare], Around):
        with pytest.raises(UsageError, match="JSON has no ndarray"):
            check_schema(kind, "queue")


@dataclasses.dataclass
class Tree:
    value: int
    below: list[Tree] = dataclasses.field(default_factory=list)


def test_a_type_that_holds_itself_is_a_type():
    tree = Tree(1, [Tree(2), Tree(3, [Tree(4)])])
    assert codec_of(Tree).encode(tree)[1] == tree
    assert codec_of(list[Tree] | None).encode([tree])[1] == [tree]


def test_a_misfit_shows_no_value():
    class Login(pydantic.BaseModel):
        age: int

    with pytest.raises(ValueError, match="age") as caught:
        convert({"age": "hunter22"}, Login)
    assert "hunter22" not in str(caught.value)


def test_a_sender_s_value_loses_nothing_by_its_schema():
    class More(Model):
        extra: int = 5

    json = Json("queue", "the job's data", limit=1000, setting="LIMIT")
    assert json.encode([Model(), {"x": 3}], list[Model]) == b'[{"x":1,"tags":[]},{"x":3}]'
    with pytest.raises(UsageError, match="cannot be sent as Model"):
        json.encode(More(), Model)
    with pytest.raises(UsageError, match="1,002 bytes; 1,000 are allowed"):
        json.encode("x" * 1000)


@pytest.mark.parametrize("value", [
    Login(password="hunter22"),
    [{"deep": Login(password="hunter22")}],
], ids=["model", "within"])  # fmt: skip
def test_a_secret_of_a_model_is_refused_rather_than_sent_as_its_mask(value):
    with pytest.raises(NotJson, match="a Login with a secret, which it masks") as caught:
        to_json(value)
    assert "hunter22" not in str(caught.value)
    assert to_json(Login(password="")) == b'{"password":""}'
    assert to_json(Model(tags=["**********"])) == b'{"x":1,"tags":["**********"]}'
