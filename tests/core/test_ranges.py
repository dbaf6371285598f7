"""A number out of its range is refused in one form: NAME must be RANGE, got VALUE."""

from __future__ import annotations

import ast
import math
import re
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import agentnb
from agentnb.core.errors import UsageError
from agentnb.core.ranges import (
    LONGEST,
    OutsideError,
    amount,
    choice,
    read_seconds,
    read_whole,
    seconds,
    text,
    whole,
)
from agentnb.core.websocket import EventServer


class Odd:
    def __repr__(self):
        raise ZeroDivisionError


def refused(check, *values, **options):
    for value in values:
        with pytest.raises(UsageError) as caught:
            check("limit", value, service="cache", hint="limit=5", **options)
        assert (caught.value.service, caught.value.hint) == ("cache", "limit=5")
        yield caught.value.message


def test_a_whole_number_has_a_least_and_perhaps_a_most():
    for value in (1, 1000, np.int64(7)):
        assert whole("limit", value, service="cache", most=1000) == value
        assert type(whole("limit", value, service="cache")) is int
    assert whole("limit", 10**5000, service="cache") == 10**5000
    assert list(refused(whole, 0, -1, 1001, 1.0, *[True], "5", None, math.nan, most=1000)) == [
        f"limit must be 1 to 1,000, got {shown}"
        for shown in ("0", "-1", "1,001", "1.0", "True", "'5'", "None", "nan")
    ]
    assert list(refused(whole, 2, least=3)) == ["limit must be 3 or more, got 2"]
    assert list(refused(whole, 0, 10**5000, Odd(), most=5)) == [
        *("limit must be 1 to 5, got 0", "limit must be 1 to 5, got a value of type int"),
        "limit must be 1 to 5, got a value of type Odd",
    ]


def test_an_amount_may_be_at_either_end():
    for value in (0, 1, 0.5, Fraction(1, 2), np.float32(0.25)):
        assert amount("share", value, service="cache", most=1) == value
    assert list(refused(amount, 1.01, -0.01, math.nan, *[True], "1", most=1)) == [
        f"limit must be 0 to 1, got {shown}" for shown in ("1.01", "-0.01", "nan", "True", "'1'")
    ]
    assert list(refused(amount, -1)) == ["limit must be 0 or more, got -1"]
    assert amount("share", math.inf, service="cache") == math.inf


def test_seconds_are_greater_than_0_or_perhaps_0_and_never_without_an_end():
    assert seconds("timeout", 0, service="cache", zero=True) == 0
    assert seconds("timeout", LONGEST - 1, service="cache") == LONGEST - 1
    assert list(refused(seconds, 0, -1, math.nan, None, "5")) == [
        f"limit must be greater than 0 s, got {shown}"
        for shown in ("0", "-1", "nan", "None", "'5'")
    ]
    assert list(refused(seconds, -1, zero=True)) == ["limit must be 0 s or more, got -1"]
    assert list(refused(seconds, LONGEST, math.inf)) == [
        f"limit must be less than 9,000,000,000 s, got {shown}"
        for shown in ("9,000,000,000", "inf")
    ]


@given(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers())
)
@hypothesis_settings(max_examples=100, deadline=None, derandomize=True)
def test_any_value_is_in_its_range_or_refused(value):
    for check in (whole, amount, seconds):
        message = "limit must be "
        try:
            assert check("limit", value, service="cache") == value
        except UsageError as error:
            message = error.message
        assert message.startswith("limit must be ")


@pytest.mark.parametrize("timeout", ["5", -1, math.nan, True, object()])
def test_a_time_out_that_is_no_number_of_seconds_is_refused_by_every_statement(timeout):
    from agentnb.core.db import Database

    with Database("sqlite://") as db:
        for call in (db.query, db.execute, db.script, lambda *a, **k: list(db.stream(*a, **k))):
            with pytest.raises(UsageError, match="timeout must be greater than 0 s, got"):
                call("select 1", timeout=timeout)
        with pytest.raises(UsageError, match="timeout must be greater than 0 s, got"):
            db.transaction(timeout=timeout).__enter__()


@pytest.mark.parametrize("count", ["5", -1, 1.5, math.nan, True])
def test_a_number_of_rows_that_is_none_is_refused_by_every_statement(count):
    from agentnb.core.db import Database

    with Database("sqlite://") as db:
        for name in ("limit", "max_bytes"):
            with pytest.raises(UsageError, match=f"{name} must be 0 (or more|to [0-9,]+), got"):
                db.query("select 1", **{name: count})
        with pytest.raises(UsageError, match="chunk must be 1 or more, got"):
            list(db.stream("select 1", chunk=count))


@pytest.mark.parametrize("timeout", ["5", -1, math.nan, True])
def test_a_wait_for_a_job_refuses_a_time_out_that_is_no_number_of_seconds(steady_home, timeout):
    from agentnb.core.queue import TaskQueue
    from agentnb.core.redis import RedisClient

    with RedisClient(home=steady_home) as redis, TaskQueue(redis, prefix="ranges") as queues:
        job = queues.get_queue("waits").add(1)
        with pytest.raises(UsageError, match="timeout"):
            job.result(timeout)
        worker = queues.get_queue("waits").work(lambda job: job.data)
        with pytest.raises(UsageError, match="timeout"):
            worker.drain(timeout=timeout)
        with pytest.raises(UsageError, match="timeout"):
            worker.stop(timeout)
        assert worker.stop(5)


def test_a_refused_value_always_has_a_hint_that_can_be_pasted():
    for check, value, hint in (
        (whole, 0, "limit=5"),
        (amount, -1, "limit=1"),
        (seconds, 0, "limit=5"),
        (text, 5, 'limit="text"'),
    ):
        with pytest.raises(UsageError) as caught:
            check("limit", value, service="cache")
        assert caught.value.hint == hint
    with pytest.raises(UsageError) as caught:
        whole("limit", 9, service="cache", least=1, most=3)
    assert caught.value.hint == "limit=3"


def test_a_choice_is_one_of_some_and_has_the_nearest_in_its_hint():
    sides = ("ours", "theirs", "base")
    assert choice("side", "base", sides, service="git") == "base"
    for value, hint in (("our", "did you mean ours?"), (5, "side='ours'"), ([], "side='ours'")):
        with pytest.raises(UsageError) as caught:
            choice("side", value, sides, service="git")
        assert caught.value.message == f"side must be ours, theirs or base, got {value!r}"
        assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("read", "good", "bad", "allowed"),
    [
        (read_whole, {"1": 1, " 7 ": 7}, ["0", "-1", "1.0", "many", ""], "1 or more"),
        (partial(read_whole, least=0, most=9), {"0": 0, "9": 9}, ["-1", "10"], "0 to 9"),
        (read_seconds, {"0.5": 0.5}, ["0", "-1", "nan", "inf", "soon"], "greater than 0 s"),
        (partial(read_seconds, zero=True), {"0": 0}, ["-1", "nan", "inf"], "0 s or more"),
    ],
)
def test_a_text_is_a_number_of_a_range_or_says_the_range(read, good, bad, allowed):
    assert {text: read(text) for text in good} == good
    for value in bad:
        with pytest.raises(OutsideError) as caught:
            read(value)
        assert str(caught.value) == allowed


OTHER_FORMS = re.compile(
    r"\bcannot be \{[^}]*![ar]|\bis not a number\b|\bcan ?not work\b|\ba history of\b"
)


def test_no_message_of_the_source_refuses_a_value_in_another_form():
    found = [
        f"{path.name}:{node.lineno}"
        for path in sorted(Path(agentnb.__file__).parent.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.JoinedStr) and OTHER_FORMS.search(ast.unparse(node))
    ]
    assert found == []


@pytest.mark.parametrize(
    "call",
    [
        lambda hub: hub.queues.overview("mail"),
        lambda hub: agentnb.connect(home=hub.settings.home, open="db"),
        lambda hub: EventServer(hub.events, token="t", origins="https://app.example.com"),
        lambda hub: hub.cache.set("k", 1, tags="user"),
        lambda hub: hub.queues.overview(["mail", 7]),
        lambda hub: hub.queues.overview(7),
    ],
)
def test_a_single_text_is_no_list_of_texts(tmp_path, call):
    with agentnb.connect(home=tmp_path, start=tmp_path) as hub:
        with pytest.raises(UsageError, match="must be a list of texts, got") as caught:
            call(hub)
        assert "=[" in caught.value.hint
