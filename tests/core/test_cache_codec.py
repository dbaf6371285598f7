"""What is stored comes back equal, or storing it is an error."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import sys
import uuid
import zlib
from collections import OrderedDict
from typing import TypedDict

import pytest
from hypothesis import HealthCheck, given, settings

from agentnb.core.cache.codec import LIMIT, Codec
from agentnb.core.db.result import Result
from agentnb.core.errors import UsageError
from agentnb.core.table import Table
from tests.core.shapes import Colour, Level, Model, Plain, Point, Struct, Task, Words
from tests.core.test_codec_tagged import ANY, written
from tests.groups import stable_id


class Typed(TypedDict):
    n: int


PLAIN = [
    *(None, True, False, 0, -1, 2**64, -(2**70), 0.1, -0.0, 1e308, 1.0),
    *("", "text", "ünï 🦀", "line\nline", "\x00", "\x01Bx", "null", "true", "123", "1.5", "-"),
    *('{"a": 1}', "[1]", '"quoted"', " 1 ", "NaN", "1e999", '"\\ud800"', "{broken", "nothing"),
    *([], {}, [[]], {"": ""}, {"a": [1, {"b": None}]}, ["1", 1, 1.0], b"", b"\x00\xff", b"Z"),
]
TAGGED = [
    *((1, 2), [(1, 2)], {"a": (1,)}, {1: "a"}, {1, 2}, frozenset({1})),
    *(float("nan"), [float("nan")], float("inf"), {"a": float("-inf")}),
    *(dt.datetime(2026, 1, 1), dt.date(2026, 1, 1), decimal.Decimal("1.5")),
    *(uuid.UUID(int=1), Colour.RED, [Colour.RED], {Colour.RED: 1}, [Level.LOW], Level.LOW),
    *(OrderedDict(a=1), [OrderedDict(a=1)], Point(1, 2), bytearray(b"x")),
    *([b"nested"], Task("x", dt.datetime(2026, 1, 1)), Struct(1), Model(n=1), 1j, range(3)),
    *({None: 1}, {True: 1}, {"rows": [(1, 2)] * 2000}, Table(("a",), [(1,)] * 3000)),
]
UNSTORABLE = [
    object(),
    lambda: 1,
    "\ud800",
    {"a": object()},
    Codec,
    Words("x"),
    Plain(),
    [Plain()],
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


@pytest.mark.parametrize("value", TAGGED, ids=lambda value: repr(value)[:40])
def test_a_value_that_json_would_change_comes_back_equal_and_of_its_type(codec, value):
    data, copy = codec.encode_and_decode(value)
    for back in (codec.decode(data), copy):
        assert repr(back) == repr(value)
        assert type(back) is type(value)


@given(ANY)
@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # a codec has no state
)
def test_any_nested_value_comes_back_equal_and_of_its_type(codec, value):
    data, copy = codec.encode_and_decode(value)
    assert written(codec.decode(data)) == written(copy) == written(value)


@pytest.mark.parametrize("value", UNSTORABLE, ids=lambda value: type(value).__name__)
def test_a_value_without_an_exact_form_is_refused(codec, value):
    with pytest.raises(UsageError, match="the value cannot be stored") as caught:
        codec.encode(value)
    assert caught.value.__cause__ is not None


def test_an_error_says_where_in_a_value_the_culprit_is(codec):
    with pytest.raises(
        UsageError, match=r"type tests\.core\.shapes\.Plain .*at \['a'\]\[1\]"
    ) as caught:
        codec.encode({"a": [1, Plain()]})
    assert "dataclasses" in caught.value.hint


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
        (float("inf"), float),
        ({"a": float("-inf")}, dict[str, float]),
        (b"x", bytes),
        (Model(n=1), Model),
        (1j, complex),
    ],
    ids=repr,
)
def test_a_type_says_what_to_decode_to(codec, value, kind):
    data, copy = codec.encode_and_decode(value, kind)
    assert codec.decode(data, kind) == copy == value
    assert type(copy) is type(value)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        *(("text", int), (1, float), ({"n": "x"}, Struct), ((1, 2), list[int]), (b"x", int)),
        *((Struct(1), Task), ({1, 2}, dict), (1j, int), (Plain(), Plain)),
    ],
    ids=stable_id,
)
def test_a_value_that_is_not_of_its_type_is_refused(codec, value, kind):
    with pytest.raises(UsageError):
        codec.encode(value, kind)


def test_what_is_stored_is_checked_against_the_type_asked_for(codec):
    for data in (b'{"n":"x"}', b"bare text", codec.encode(b"bytes"), b"\xff"):
        with pytest.raises(UsageError, match="the stored value is not of the type"):
            codec.decode(data, Struct)
    with pytest.raises(UsageError, match="the stored value is not of the type"):
        codec.decode(b"{}", object().__class__.__class__)


def test_a_value_with_its_type_is_read_as_another_type_where_it_fits(codec):
    data = codec.encode([Struct(1), Struct(2)])
    assert codec.decode(data, list[Struct]) == [Struct(1), Struct(2)]
    assert codec.decode(codec.encode((1, 2)), tuple[int, int]) == (1, 2)
    assert codec.decode(codec.encode({"a": (1,)}), dict[str, tuple[int, ...]]) == {"a": (1,)}
    for kind in (int, Task, dict[str, int], Plain):
        with pytest.raises(UsageError, match="the stored value is not of the type"):
            codec.decode(data, kind)


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


@pytest.mark.parametrize("mark", [b"Z", b"P", b"A", b"L", b"T", b"V", b"W"])
def test_damaged_data_is_an_agentnb_error(codec, mark):
    with pytest.raises(UsageError, match="cannot be decoded"):
        codec.decode(b"\x01" + mark + b"garbage")


def test_a_value_that_is_cut_off_or_unpacks_without_an_end_is_an_error(codec):
    small = Codec(limit=1000)
    bomb = zlib.compress(b"[" + b"1," * 100_000 + b"1]")
    for data in (
        b"\x01Z" + bomb,
        b"\x01W\x00" + bomb,
        b"\x01Z" + bomb[:-5],
        b"\x01V",
        b"\x01W\xff",
    ):
        with pytest.raises(UsageError, match="cannot be decoded"):
            small.decode(data)
    tagged = codec.encode({"rows": [(1, 2)] * 2000})
    with pytest.raises(UsageError, match="cannot be decoded"):
        codec.decode(tagged[:-1])


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


def test_a_tagged_value_says_what_it_is_to_those_who_list_keys(codec):
    assert codec.preview(codec.encode((1, 2)), whole=True) == "<tuple>"
    assert codec.preview(codec.encode(Task("x")), whole=True) == "<Task>"
    assert codec.preview(codec.encode({"a": (1,) * 9000}), whole=False) == "<dict>"
    assert codec.preview(codec.encode(b"x"), whole=True) == "<bytes>"
    assert codec.preview(b"\x01V", whole=True) == "<value>"


def test_a_large_tagged_value_is_compressed_unless_others_have_to_read_it():
    value = [("the same words again",)] * 5000
    assert len(Codec().encode(value)) < 5000 < len(Codec(plain=True).encode(value))


def test_a_result_comes_back_as_a_result(codec):
    result = Result(["n"], [(1,), (2,)], statement="select n", rowcount=2, truncated=True)
    back = codec.decode(codec.encode(result))
    assert type(back) is Result
    assert (back, back.scalar(), back.truncated, back.rowcount) == (result, 1, True, 2)
    assert repr(back) == repr(result)


def test_a_table_of_release_0_1_0_is_read():
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"a": [1, 2]}).replace_schema_metadata({"note": "two"})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    back = Codec().decode(b"\x01T" + sink.getvalue().to_pybytes())
    assert (back, back.note) == (Table(("a",), [(1,), (2,)]), "two")


def test_a_table_comes_back_with_its_note(codec):
    table = Table(("a", "b"), [(1, "x"), (None, "y")], note="the first two")
    back = codec.decode(codec.encode(table))
    assert back == table
    assert back.note == "the first two"
