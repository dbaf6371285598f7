"""What is stored comes back equal, or storing it is an error."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import json
import sys
import uuid
from collections import OrderedDict, namedtuple
from typing import TypedDict

import msgspec
import pytest

from agentnb.core.cache.codec import LIMIT, Codec
from agentnb.core.errors import UsageError
from agentnb.core.table import Table


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Words(str):
    __slots__ = ()


Point = namedtuple("Point", "x y")  # noqa: PYI024 - the untyped kind that people write


@dataclasses.dataclass
class Task:
    name: str
    due: dt.datetime


class Struct(msgspec.Struct):
    n: int


class Typed(TypedDict):
    n: int


PLAIN = [
    *(None, True, False, 0, -1, 2**64, -(2**70), 0.1, -0.0, 1e308, 1.0),
    *("", "text", "ünï 🦀", "line\nline", "\x00", "\x01Bx", "null", "true", "123", "1.5", "-"),
    *('{"a": 1}', "[1]", '"quoted"', " 1 ", "NaN", "1e999", '"\\ud800"', "{broken", "nothing"),
    *([], {}, [[]], {"": ""}, {"a": [1, {"b": None}]}, ["1", 1, 1.0], b"", b"\x00\xff", b"Z"),
]
CHANGING = [
    *((1, 2), [(1, 2)], {"a": (1,)}, {1: "a"}, {1, 2}, frozenset({1})),
    *(float("nan"), [float("nan")], float("inf"), {"a": float("-inf")}),
    *(dt.datetime(2026, 1, 1), dt.date(2026, 1, 1), decimal.Decimal("1.5")),
    *(uuid.UUID(int=1), Colour.RED, [Colour.RED], {Colour.RED: 1}, [Level.LOW], Level.LOW),
    *(OrderedDict(a=1), [OrderedDict(a=1)], Point(1, 2), bytearray(b"x")),
    *([b"nested"], Task("x", dt.datetime(2026, 1, 1)), Struct(1)),
]
UNSTORABLE = [
    object(),
    {None: 1},
    {True: 1},
    lambda: 1,
    1j,
    "\ud800",
    {"a": object()},
    Codec,
    range(3),
    Words("x"),
]


@pytest.fixture(params=[False, True], ids=["prefixed", "plain"])
def codec(request):
    return Codec(plain=request.param)


@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_a_plain_value_comes_back_equal_and_of_its_type(codec, value):
    data, copy = codec.encode_and_decode(value)
    for back in (codec.decode(data), copy):
        assert repr(back) == repr(value)
        assert type(back) is type(value)


@pytest.mark.parametrize("value", CHANGING, ids=repr)
def test_a_value_that_would_change_is_refused(codec, value):
    with pytest.raises(UsageError, match=r"would come back|JSON has not") as caught:
        codec.encode(value)
    assert "type=" in caught.value.hint


@pytest.mark.parametrize("value", UNSTORABLE, ids=lambda value: type(value).__name__)
def test_a_value_that_json_cannot_hold_is_refused(codec, value):
    with pytest.raises(UsageError, match="cannot be stored"):
        codec.encode(value)


def test_a_value_that_contains_itself_is_refused(codec):
    loop = []
    loop.append(loop)
    with pytest.raises(UsageError, match="cannot be stored"):
        codec.encode(loop)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ((1, "a"), tuple[int, str]),
        ([(1, 2)], list[tuple[int, int]]),
        ({1: "a"}, dict[int, str]),
        ({1, 2}, set[int]),
        (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime),
        (decimal.Decimal("1.50"), decimal.Decimal),
        (Colour.RED, Colour),
        (Task("x", dt.datetime(2026, 1, 1)), Task),
        (Struct(1), Struct),
        ({"n": 1}, Typed),
        ("text", str),
        ("123", str),
        (None, int | None),
    ],
    ids=repr,
)
def test_a_type_says_what_to_decode_to(codec, value, kind):
    data, copy = codec.encode_and_decode(value, kind)
    assert codec.decode(data, kind) == copy == value
    assert type(copy) is type(value)


@pytest.mark.parametrize(
    ("value", "kind"),
    [("text", int), (1, float), ({"n": "x"}, Struct), (float("nan"), float), ((1, 2), list[int])],
    ids=repr,
)
def test_a_value_that_is_not_of_its_type_is_refused(codec, value, kind):
    with pytest.raises(UsageError):
        codec.encode(value, kind)


def test_what_is_stored_is_checked_against_the_type_asked_for(codec):
    for data in (b'{"n":"x"}', b"bare text", codec.encode(b"bytes"), b"\xff"):
        with pytest.raises(UsageError, match="not of the type asked for"):
            codec.decode(data, Struct)
    with pytest.raises(UsageError, match="not of the type asked for"):
        codec.decode(b"{}", object().__class__.__class__)


def test_a_bare_string_can_be_asked_for_as_text_or_a_date(codec):
    assert codec.decode(codec.encode("text"), str) == "text"
    assert codec.decode(b"2026-01-01", dt.date) == dt.date(2026, 1, 1)


def test_text_stands_without_quotes_where_nobody_takes_it_for_json(codec):
    assert codec.encode("plain text") == b"plain text"
    assert codec.encode("nothing") == b"nothing"
    for text in ("123", "null", "NaN", "1e999", '"\\ud800"', " 1", ""):
        assert json.loads(codec.encode(text)) == text


def test_what_a_stranger_wrote_is_read_as_text(codec):
    assert codec.decode(b"caf\xe9") == "caf\udce9"
    assert codec.decode(b"\x01stranger") == "\x01stranger"


@pytest.mark.parametrize("mark", [b"Z", b"P", b"A", b"L", b"T"])
def test_damaged_data_is_an_error_of_ours(codec, mark):
    with pytest.raises(UsageError, match="cannot be read"):
        codec.decode(b"\x01" + mark + b"garbage")


def test_large_values_are_compressed_unless_others_have_to_read_them():
    value = {"rows": ["the same words again"] * 5000}
    small = Codec().encode(value)
    assert len(small) < 5000
    assert Codec().decode(small) == value
    assert json.loads(Codec(plain=True).encode(value)) == value
    text = "again and again " * 1000
    assert len(Codec().encode(text)) < 1000
    assert Codec().decode(Codec().encode(text)) == text


@pytest.mark.parametrize("value", ["x" * 1001, b"x" * 1001, ["x" * 999], list(range(500))])
def test_a_value_over_the_limit_is_refused(codec, value):
    small = Codec(plain=codec._plain, limit=1000)
    with pytest.raises(UsageError, match=r"1,000 at most"):
        small.encode(value)


def test_a_value_of_600_mb_is_refused_before_it_is_copied():
    import resource

    value = bytes(600 * 1024 * 1024)  # zeros that nobody touches take no memory
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UsageError, match="629,145,600 bytes"):
        Codec().encode(value)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert used * (1 if sys.platform == "darwin" else 1024) < LIMIT // 4


def test_a_table_of_ours_comes_back_with_its_note(codec):
    table = Table(("a", "b"), [(1, "x"), (None, "y")], note="the first two")
    back = codec.decode(codec.encode(table))
    assert back == table
    assert back.note == "the first two"
