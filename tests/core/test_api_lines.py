"""The decoders of streams, against a plain reading of the whole text."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentnb.core.api.lines import Event, EventDecoder, LineDecoder, TooLong

BOUNDED = settings(max_examples=200, deadline=None, derandomize=True)
LIMIT = 10_000

_names = st.sampled_from(["data", "event", "id", "retry", "data ", "", "other", "Data"])
_values = st.text(alphabet="ab 1é\0:\ufeff", max_size=5)
_fields = st.builds("{}{}{}".format, _names, st.sampled_from([":", ": ", ":  ", ""]), _values)
_lines = st.one_of(st.just(""), st.just("data: x"), st.just(":ping"), _fields)
_ends = st.sampled_from(["\n", "\r", "\r\n"])
_streams = st.builds(
    lambda bom, lines, rest: ("\ufeff" if bom else "") + "".join(map("".join, lines)) + rest,
    st.booleans(),
    st.lists(st.tuples(_lines, _ends), max_size=12),
    st.sampled_from(["", "data: cut", "x"]),
)


def cut(data, places):
    """Return the parts of some bytes, cut at these places."""
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


def read_whole(text):
    """Read events from a whole text, in the words of the standard."""
    found, data, kind, last, given_id = [], "", "", "", ""
    text = text.removeprefix("\ufeff")
    for line in re.split("\r\n|\n|\r", text)[:-1]:
        if not line:
            given_id = last
            if data:
                found.append((data.removesuffix("\n"), kind or "message", given_id))
            data = kind = ""
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            value = value[1:] if value[:1] == " " else value
            if name == "data":
                data += f"{value}\n"
            elif name == "event":
                kind = value
            elif name == "id" and "\0" not in value:
                last = value
    return found


@BOUNDED
@given(_streams, st.lists(st.integers(0, 500), max_size=8))
def test_events_are_those_of_the_whole_text_however_it_is_cut(text, places):
    decoder = EventDecoder(LIMIT)
    found = [one for part in cut(text.encode(), places) for one in decoder.feed(part)]
    assert [(one.data, one.event, one.id) for one in found] == read_whole(text)


@BOUNDED
@given(_streams)
def test_events_that_come_byte_by_byte_are_the_same(text):
    decoder = EventDecoder(LIMIT)
    found = [one for byte in text.encode() for one in decoder.feed(bytes([byte]))]
    assert [(one.data, one.event, one.id) for one in found] == read_whole(text)


@BOUNDED
@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=6))
def test_lines_are_those_of_the_whole_however_it_is_cut(data, places):
    decoder = LineDecoder(LIMIT)
    found = [line for part in cut(data, places) for line in decoder.feed(part)]
    found += decoder.end()
    whole = re.split(b"\r\n|\n|\r", data)
    whole[0] = whole[0].removeprefix(b"\xef\xbb\xbf")
    last = [] if data[-1:] in {b"\r", b"\n", b""} else whole[-1:]
    assert found == [line.decode("utf-8", "replace") for line in [*whole[:-1], *last]]


def test_an_event_is_given_with_the_byte_that_ends_it():
    decoder = EventDecoder(LIMIT)
    assert list(decoder.feed(b"data: one\r")) == []
    assert list(decoder.feed(b"\r")) == [Event("one")]  # the LF of a CRLF may follow, and may not
    assert list(decoder.feed(b"\ndata: two\n\n")) == [Event("two")]


def test_an_id_stays_until_the_next_one_and_a_wait_is_kept():
    decoder = EventDecoder(LIMIT)
    text = b"id: 7\ndata\n\ndata: b\n\nid\nid: a\0b\ndata: c\n\nretry: 1500\nretry: soon\nid: 9\n\n"
    assert list(decoder.feed(text)) == [Event("", id="7"), Event("b", id="7"), Event("c")]
    assert (decoder.last_id, decoder.retry_ms) == ("9", 1500)
    list(decoder.feed("retry: ٣\n\n".encode()))
    assert decoder.retry_ms == 1500


@pytest.mark.parametrize(
    ("text", "unfinished"),
    [(b"data: a\n\n", False), (b": x\n", False), (b"data: b\n", True), (b"data: b", True)],
)
def test_an_event_that_is_cut_off_is_dropped_and_noted(text, unfinished):
    decoder = EventDecoder(LIMIT)
    list(decoder.feed(text))
    assert list(decoder.end()) == []
    assert decoder.unfinished is unfinished


def test_what_comes_before_a_line_that_is_too_long_is_given():
    decoder, found = LineDecoder(10), []
    with pytest.raises(TooLong, match="a line of more than 10 bytes"):
        found.extend(decoder.feed(b"0123456789\nabc\n01234567890"))
    assert found == ["0123456789", "abc"]


def test_an_event_of_many_lines_is_bounded_as_a_whole():
    decoder = EventDecoder(100)
    with pytest.raises(TooLong, match="an event of more than 100 bytes"):
        for _ in range(100):
            list(decoder.feed(b"data: 0123456789\n"))
    decoder = EventDecoder(100)
    for _ in range(100):
        list(decoder.feed(b"data: 0123456789\n\n"))
