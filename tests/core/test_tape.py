"""A tape keeps calls and answers, masks secrets by structure, and names the first other call."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import sys
import threading
import time
from decimal import Decimal
from types import ModuleType
from uuid import UUID

import pytest

from agentnb.core.errors import (
    NotFoundError,
    NotReplayable,
    QueryRejected,
    RateLimited,
    ReplayDiverged,
    UniqueViolation,
    UsageError,
)
from agentnb.core.redact import MASK
from agentnb.core.tape.clock import FrozenClock
from agentnb.core.tape.document import read_document, write_document
from agentnb.core.tape.failures import dump_error, load_error
from agentnb.core.tape.forms import NOTHING, VALUE
from agentnb.core.tape.hook import Operation, active, heard, insert, muted
from agentnb.core.tape.matching import difference, fits
from agentnb.core.tape.recorder import Limits, Recorder
from agentnb.core.tape.replayer import Replayer
from agentnb.core.tape.values import TapeRedactor, Unkept, dump, load, masked_again, raw

GET = Operation("shop", "get", VALUE)
PUT = Operation("shop", "put", NOTHING)
WATCH = Operation("shop", "watch", None, "streams are not recorded")
WIDE = Limits(10_000, 100_000, 100)


def say(operation, answer=None, **arguments):
    """Make a call as a service does."""

    def do():
        if isinstance(answer, Exception):
            raise answer
        return answer

    tape = active()
    return do() if tape is None else tape.call(operation, arguments, do, str)


def taped(work, *, limits=WIDE, unit=None):
    recorder = Recorder(unit or {}, limits)
    with insert(recorder):
        work()
    return recorder.document()


def replayed(document, **options):
    return Replayer(document["steps"], full=document.get("full", ""), **options)


VALUES = [
    *(None, True, 7, 1.5, float("inf"), "text", b"\x00bytes", [1, [2]], {"a": {"b": 1}}),
    *((1, "a"), {1: "number"}, {"$": 1}, {3, 4}, Decimal("1.50"), UUID(int=5)),
    *(dt.date(2026, 1, 2), dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC), dt.timedelta(1, 2, 3)),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_back_equal_and_of_its_type(value):
    found = load(json.loads(json.dumps(dump(value))))
    assert (found, type(found)) == (value, type(value))


def test_a_value_that_has_no_plain_form_is_refused_when_it_is_read():
    data = dump({"a": object()})
    with pytest.raises(Unkept, match=r"builtins\.object"):
        load(data)


def test_a_secret_is_masked_by_its_name_however_deep_and_wherever_it_comes_again():
    redactor = TapeRedactor()
    value = {"a": [{"api_key": "k-123456"}], "b": "see k-123456", "token": 5, "password": None}
    dump(value, redactor)
    expected = {"a": [{"api_key": MASK}], "b": f"see {MASK}", "token": MASK, "password": None}
    assert dump(value, redactor) == expected


def test_cookies_keep_their_names_and_lose_their_texts():
    value = {
        "Cookie": "sid=s-123456",
        "set-cookie": b"sid=s-123456",
        "cookies": {"sid": "s-123456", "n": 2},
        "session_cookies": ["s-123456"],
        "cookie_count": 3,
        "cookies_named": "sid",
    }
    expected = {
        "Cookie": MASK,
        "set-cookie": MASK,
        "cookies": {"sid": MASK, "n": 2},
        "session_cookies": [MASK],
        "cookie_count": 3,
        "cookies_named": "sid",
    }
    assert dump(value, TapeRedactor()) == expected
    assert masked_again(dump(value, raw), TapeRedactor()) == expected
    assert "s-123456" not in str(dump({**value, "text": "see s-123456"}, learned(value)))


def learned(value):
    redactor = TapeRedactor()
    dump(value, redactor)
    return redactor


def test_a_secret_that_is_named_after_its_use_is_masked_in_the_use():
    def work():
        say(PUT, None, path="/sessions/s-4567890")
        say(GET, {"token": "s-4567890"}, name="session")
        say(GET, ValueError("no s-4567890"), name="x")

    def ignoring():
        with pytest.raises(ValueError, match="s-4567890"):
            work()

    assert "s-4567890" not in json.dumps(taped(ignoring))


def test_a_mask_fits_any_secret_but_none_that_is_missing():
    assert fits(f"Bearer {MASK}!", "Bearer abc!")
    assert not fits(f"Bearer {MASK}!", "Basic abc!")
    assert fits(MASK, 5)
    assert not fits(MASK, None)
    assert not fits(1, 1.0)
    assert difference({"a": {"b": [1]}}, {"a": {"b": [2]}}) == "a.b: recorded [1], now [2]"
    assert difference({"a": 1}, {}) == "a: recorded 1, now nothing"


def test_an_error_comes_back_with_its_class_hint_and_attributes():
    error = UniqueViolation("twice", service="db", hint="other key")
    error.sqlstate, error.constraint = "23505", "t.id"
    found = load_error(json.loads(json.dumps(dump_error(error))))
    assert (type(found), str(found), found.hint) == (UniqueViolation, "twice", "other key")
    assert (found.sqlstate, found.constraint) == ("23505", "t.id")
    limited = RateLimited("slow", service="api")
    limited.reset_at = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    assert load_error(dump_error(limited)).reset_at == limited.reset_at
    assert isinstance(load_error(dump_error(KeyError("a"))), KeyError)

    class OddError(Exception):
        pass

    assert str(load_error(dump_error(OddError("x")))) == "OddError: x"


def test_recorded_answers_and_errors_are_given_without_a_call():
    def work():
        say(PUT, None, n=1)
        answers.append(say(GET, {"n": 2}, n=2))
        with pytest.raises(QueryRejected, match="no"):
            say(GET, QueryRejected("no", service="db"), n=3)

    answers = []
    document = taped(work)
    replayer = replayed(document)

    def again():
        say(PUT, AssertionError("called"), n=1)
        answers.append(say(GET, AssertionError("called"), n=2))
        with pytest.raises(QueryRejected, match="no"):
            say(GET, AssertionError("called"), n=3)

    with insert(replayer):
        again()
    replayer.finish()
    assert answers == [{"n": 2}, {"n": 2}]


def three(numbers):
    for n in numbers:
        say(GET, n, key=f"k{n}")


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ([1, 9], "step 2 went another way: recorded shop.get k2, now shop.get k9"),
        ([1, 3], "step 2 .* now shop.get k3 .*recorded later, as step 3; strict=False takes it"),
        ([1], "step 2 was not made, nor were 1 more: shop.get k2"),
        ([1, 2, 3, 4], "a step more than was recorded: shop.get k4"),
    ],
    ids=["other", "order", "fewer", "more"],
)
def test_the_first_difference_is_named(numbers, message):
    replayer = replayed(taped(lambda: three([1, 2, 3])))

    def again():
        with insert(replayer):
            three(numbers)
        replayer.finish()

    with pytest.raises(ReplayDiverged, match=message) as caught:
        again()
    assert isinstance(caught.value, AssertionError)
    assert caught.value.hint


def test_a_difference_that_the_code_swallows_is_raised_at_the_end():
    replayer = replayed(taped(lambda: three([1])))
    with insert(replayer):
        try:
            three([2])
        except UsageError:
            three([1])
    with pytest.raises(ReplayDiverged, match=r"now shop\.get k2"):
        replayer.finish()


def test_calls_in_another_order_are_taken_where_that_is_asked_for():
    replayer = replayed(taped(lambda: three([1, 2, 2, 3])), strict=False)
    with insert(replayer):
        three([3, 2, 1, 2])
    replayer.finish()


def test_equal_calls_are_answered_in_their_order():
    document = taped(lambda: [say(GET, n, key="same") for n in (5, 6, 7)])
    with insert(replayed(document)):
        assert [say(GET, None, key="same") for _ in range(3)] == [5, 6, 7]


async def asay(operation, answer, seconds, **arguments):
    async def do():
        await asyncio.sleep(seconds)
        return answer

    return await active().acall(operation, arguments, do, str)


def test_calls_at_the_same_time_come_in_any_order_and_others_do_not():
    async def work(keys):
        return await asyncio.gather(*[asay(GET, key, 0.01, key=key) for key in keys])

    def both(keys):
        say(PUT, None, key="first")
        return asyncio.run(work(keys))

    def apart(keys):
        return [say(GET, key, key=key) for key in keys]

    with insert(replayed(taped(lambda: both("abc")))):
        assert both("cab") == ["c", "a", "b"]
    document = taped(lambda: apart("ab"))
    assert not any(step.get("concurrent") for step in document["steps"])
    with insert(replayed(document)), pytest.raises(ReplayDiverged):
        apart("ba")


def test_all_threads_are_recorded_and_replayed_and_a_call_within_a_call_is_not():
    def within():
        assert active() is None
        with heard():
            assert active() is not None
        return 1

    def work():
        thread = threading.Thread(target=lambda: three([1]))
        thread.start()
        thread.join()
        active().call(GET, {"key": "outer"}, within, str)
        with muted():
            three([9])

    assert [step["arguments"]["key"] for step in taped(work)["steps"]] == ["k1", "outer"]


def test_an_argument_that_differs_each_time_is_ignored_by_its_path():
    document = taped(lambda: say(GET, 1, params={"id": 5, "n": 1}))
    with insert(replayed(document, ignore=["params.id"])):
        assert say(GET, None, params={"id": 6, "n": 1}) == 1
    with (
        insert(replayed(document)),
        pytest.raises(ReplayDiverged, match=r"params\.id: recorded 5, now 6") as caught,
    ):
        say(GET, None, params={"id": 6, "n": 1})
    assert 'ignore={"params.id"}' in caught.value.hint
    with pytest.raises(UsageError, match=r"'params\.ids', which no step") as caught:
        replayed(document, ignore=["params.ids"])
    assert "params.id" in caught.value.hint


def test_limits_keep_a_tape_small_and_the_replay_says_so():
    limits = Limits(100, 250, 5)
    document = taped(lambda: say(GET, "x" * 200, key="long"), limits=limits)
    with insert(replayed(document)), pytest.raises(NotReplayable, match="was not kept whole"):
        say(GET, None, key="long")
    many = taped(lambda: three(range(9)), limits=limits)
    assert (len(many["steps"]), many["full"]) == (5, "5 steps")
    with insert(replayed(many)), pytest.raises(NotReplayable, match="limit of 5 steps"):
        three(range(9))
    long = taped(lambda: [say(GET, "y" * 90, key="a") for _ in range(4)], limits=limits)
    assert (len(long["steps"]), long["full"]) == (3, "250 bytes")


def test_streams_are_refused_with_their_reason():
    document = taped(lambda: say(WATCH, iter([1]), key="a"))
    with insert(replayed(document)), pytest.raises(NotReplayable, match="streams are not recorded"):
        say(WATCH, None, key="a")


def test_a_tape_is_private_and_written_whole(tmp_path):
    path = tmp_path / "made" / "x.tape.json"
    write_document(path, taped(lambda: three([1])))
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["x.tape.json"]
    assert read_document(path)["steps"][0]["answer"] == 1


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            '{"agentnb_tape": 2, "steps": []}',
            "has version 2; .* reads version 1",
            "record it again",
        ),
        ('{"steps": []}', "has no 'agentnb_tape'", "a tape is a file"),
        ("[1", "is no JSON", "a tape is a file"),
        ("[" * 100_000, "is no tape", "a tape is a file"),
        ('{"agentnb_tape": 1, "steps": [{"service": 1}]}', "its steps are damaged", "a tape"),
        ('{"agentnb_tape": 1, "began": "x", "steps": []}', "its begin", "a tape"),
    ],
    ids=["version", "other", "broken", "deep", "damaged", "time"],
)
def test_a_file_that_is_no_tape_of_this_version_is_refused(tmp_path, text, message, hint):
    path = tmp_path / "x.tape.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        read_document(path)
    assert hint in caught.value.hint


def test_a_tape_that_is_not_there_is_said(tmp_path):
    with pytest.raises(NotFoundError, match="there is no tape"):
        read_document(tmp_path / "none.tape.json")


def test_the_clock_stands_for_code_of_the_user_however_it_has_imported_it(monkeypatch):
    module = ModuleType("shop_of_a_user")
    module.__file__ = "/home/ada/shop.py"
    program = """
import datetime, time
from datetime import date, datetime as moment
from time import time as now
def read():
    utc = datetime.timezone.utc
    return now(), time.time(), moment.now(utc), datetime.datetime.now(utc), moment.utcnow()
def made():
    return moment(2026, 1, 2), moment.fromisoformat("2026-01-02"), date.today()
"""
    exec(program, module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    at = dt.datetime(2020, 1, 2, 3, tzinfo=dt.UTC)
    with FrozenClock(at.timestamp()) as clock:
        assert module.read() == (*[at.timestamp()] * 2, at, at, at.replace(tzinfo=None))
        first, second, today = module.made()
        assert isinstance(first, module.moment)
        assert (first, type(first)) == (second, type(second))
        assert abs(today - at.date()) <= dt.timedelta(days=1)
        clock.now += 5
        assert module.now() == at.timestamp() + 5
        with clock.thawed():
            assert module.now() > at.timestamp() + 1000
        assert module.now() == at.timestamp() + 5
    assert abs(module.now() - time.time()) < 60
    assert module.moment is type(first) is dt.datetime
