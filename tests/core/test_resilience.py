from __future__ import annotations

import io
import logging
import random
import threading

import pytest
import stamina

from agentnb.core.errors import (
    CircuitOpen,
    DeadlineExceeded,
    NotFoundError,
    RejectedError,
    UnavailableError,
    UsageError,
)
from agentnb.core.resilience import Boundary, Breaker, Deadline, RetryPolicy

QUICK = RetryPolicy(attempts=4, first=0, cap=0, jitter=0)


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


class Service:
    """Raises the given errors, one a call, then answers."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.calls = 0

    def __call__(self, _deadline=None):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return Breaker("db", failures=3, cooldown=10, clock=clock)


def trip(breaker):
    while breaker.state == "closed":
        with pytest.raises(ConnectionError):
            breaker.call(Service(ConnectionError("refused")))
    assert breaker.state == "open"


# The deadline


def test_no_deadline_never_ends():
    deadline = Deadline.of(None)
    deadline.check("db", "query")
    assert (deadline.remaining(), deadline.expired, deadline.clip(5)) == (None, False, 5)
    assert deadline.clip(None) is None


def test_a_deadline_that_has_passed_says_what_took_too_long():
    deadline = Deadline(0)
    assert (deadline.remaining(), deadline.expired, deadline.clip(5)) == (0, True, 0)
    with pytest.raises(DeadlineExceeded, match="query took longer than 0 s") as caught:
        deadline.check("db", "query")
    assert caught.value.service == "db"


def test_a_deadline_clips_to_the_smaller():
    deadline = Deadline(60)
    assert deadline.clip(5) == 5
    assert 59 < deadline.clip(100) <= 60
    assert 59 < deadline.clip(None) <= 60


def test_a_running_deadline_is_passed_through():
    deadline = Deadline(60)
    assert Deadline.of(deadline) is deadline
    assert 59 < Deadline.of(60).remaining() <= 60


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_a_deadline_in_the_past_is_a_usage_error(seconds):
    with pytest.raises(UsageError):
        Deadline(seconds)


# The retry policy


def test_pauses_double_up_to_the_cap():
    policy = RetryPolicy(first=0.05, cap=2, jitter=0)
    assert [policy.pause(n) for n in (1, 2, 3, 6, 7, 5000)] == [0.05, 0.1, 0.2, 1.6, 2, 2]


def test_pauses_grow_by_the_first_when_linear():
    policy = RetryPolicy(first=0.05, cap=2, jitter=0, backoff="linear")
    assert [round(policy.pause(n), 9) for n in (1, 2, 3, 40, 41)] == [0.05, 0.1, 0.15, 2, 2]


def test_jitter_is_added_below_the_cap_and_leaves_the_users_numbers_alone():
    policy = RetryPolicy(first=0.05, cap=0.1, jitter=0.1)
    random.seed(1)
    expected = random.random()
    random.seed(1)
    pauses = {policy.pause(1) for _ in range(100)}
    assert random.random() == expected
    assert len(pauses) > 10
    assert min(pauses) >= 0.05
    assert max(pauses) <= 0.1


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"first": -1}, {"jitter": float("nan")}])
def test_a_policy_that_cannot_be_followed_is_a_usage_error(wrong):
    with pytest.raises(UsageError):
        RetryPolicy(**wrong)


# The breaker


def test_failures_in_a_row_open_the_breaker(breaker, clock):
    trip(breaker)
    clock.now += 4
    service = Service()
    with pytest.raises(CircuitOpen, match="refused") as caught:
        breaker.call(service)
    assert service.calls == 0
    assert caught.value.hint == "try again in 6.0 s"
    assert breaker.snapshot() == {
        "service": "db",
        "state": "open",
        "failures": 3,
        "limit": 3,
        "retry_in": 6.0,
        "trips": 1,
        "last_error": "ConnectionError: refused",
    }


def test_a_success_starts_the_count_again(breaker):
    for _ in range(3):
        for _ in range(2):
            with pytest.raises(ConnectionError):
                breaker.call(Service(ConnectionError()))
        assert breaker.call(Service()) == "answer"
    assert breaker.state == "closed"


@pytest.mark.parametrize("kind", [RejectedError, NotFoundError, UsageError])
def test_a_service_that_says_no_is_well(breaker, clock, kind):
    for _ in range(5):
        with pytest.raises(kind):
            breaker.call(Service(kind("no", service="db")))
    trip(breaker)
    clock.now += 10
    with pytest.raises(kind):
        breaker.call(Service(kind("no", service="db")))
    assert breaker.state == "closed"


def test_the_caller_may_say_what_counts(clock):
    breaker = Breaker("db", failures=1, clock=clock, counts=lambda e: "down" in str(e))
    with pytest.raises(ValueError, match="busy"):
        breaker.call(Service(ValueError("busy")))
    assert breaker.state == "closed"
    with pytest.raises(ValueError, match="down"):
        breaker.call(Service(ValueError("down")))
    assert breaker.state == "open"


def test_ctrl_c_never_counts(breaker):
    for _ in range(5):
        with pytest.raises(KeyboardInterrupt):
            breaker.call(Service(KeyboardInterrupt()))
    assert breaker.state == "closed"
    assert breaker.snapshot()["failures"] == 0


def test_half_open_lets_one_of_fifty_threads_through(breaker, clock):
    trip(breaker)
    clock.now += 10
    assert breaker.state == "half_open"
    start, refused = threading.Barrier(50), threading.Semaphore(0)
    answers, refusals = [], []

    def probe():
        # Ends only when all the others have been refused.
        for _ in range(49):
            assert refused.acquire(timeout=20)
        return "answer"

    def work():
        start.wait()
        try:
            answers.append(breaker.call(probe))
        except CircuitOpen as error:
            refusals.append(error.hint)
            refused.release()

    threads = [threading.Thread(target=work) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["answer"]
    assert len(refusals) == 49
    assert breaker.state == "closed"


def test_a_probe_that_fails_opens_the_breaker_for_another_cooldown(breaker, clock):
    trip(breaker)
    clock.now += 10
    with pytest.raises(TimeoutError):
        breaker.call(Service(TimeoutError()))
    assert breaker.state == "open"
    assert breaker.snapshot()["retry_in"] == 10
    assert breaker.snapshot()["trips"] == 2


def test_a_probe_ended_by_ctrl_c_frees_its_place(breaker, clock):
    trip(breaker)
    clock.now += 10
    with pytest.raises(KeyboardInterrupt):
        breaker.call(Service(KeyboardInterrupt()))
    assert breaker.state == "half_open"
    assert breaker.call(Service()) == "answer"
    assert breaker.state == "closed"


def test_a_stale_success_does_not_close_the_breaker(breaker, clock):
    def slow():
        trip(breaker)
        return "late answer"

    assert breaker.call(slow) == "late answer"
    assert breaker.state == "open"

    breaker.reset()
    probing = threading.Barrier(2)

    def started_when_closed():
        trip(breaker)
        clock.now += 10
        probe.start()
        probing.wait(20)  # the probe is under way, and this success is not its own
        return "late answer"

    def probe_body():
        probing.wait(20)
        looked.wait(20)
        raise ConnectionError

    looked = threading.Event()
    failures = []

    def run_probe():
        try:
            breaker.call(probe_body)
        except ConnectionError as error:
            failures.append(error)

    probe = threading.Thread(target=run_probe, daemon=True)
    try:
        assert breaker.call(started_when_closed) == "late answer"
        assert breaker.state == "half_open"
    finally:  # a failure of this test leaves no thread that waits
        looked.set()
    probe.join(20)
    assert len(failures) == 1
    assert breaker.state == "open"


def test_a_stale_failure_does_not_open_a_breaker_that_has_closed_since(clock):
    breaker = Breaker("db", failures=1, cooldown=10, clock=clock)

    def slow():
        with pytest.raises(ConnectionError):
            breaker.call(Service(ConnectionError()))
        clock.now += 10
        breaker.call(Service())
        raise TimeoutError

    with pytest.raises(TimeoutError):
        breaker.call(slow)
    assert breaker.state == "closed"


def test_the_breaker_is_not_held_during_a_call(breaker):
    both_inside = threading.Barrier(2, timeout=20)
    results = []

    def slow():
        both_inside.wait()
        return breaker.state

    threads = [threading.Thread(target=lambda: results.append(breaker.call(slow))) for _ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == ["closed", "closed"]


def test_the_breakers_message_holds_no_secret(clock):
    breaker = Breaker("db", failures=1, clock=clock)
    with pytest.raises(ConnectionError):
        breaker.call(Service(ConnectionError("redis://ada:s3cret@host is down")))
    with pytest.raises(CircuitOpen) as caught:
        breaker.call(Service())
    assert "s3cret" not in str(caught.value) + str(breaker.snapshot())


# The boundary


def test_a_call_that_succeeds_is_made_once_with_the_deadline():
    seen = []
    assert Boundary("db").call(seen.append, deadline=5, idempotent=True) is None
    assert 0 < seen[0].remaining() <= 5


def test_a_failure_is_retried_and_logged_with_what_is_left(caplog):
    service = Service(ConnectionError("redis://ada:s3cret@host"), TimeoutError("slow"))
    boundary = Boundary("db", retry=QUICK)
    assert boundary.call(service, idempotent=True, doing="select") == "answer"
    assert service.calls == 3
    assert [(record.name, record.levelname) for record in caplog.records] == [
        ("agentnb.db", "WARNING")
    ] * 2
    first, second = (record.message for record in caplog.records)
    assert first.startswith("select failed, attempt 1 of 4, 3 left")
    assert second.startswith("select failed, attempt 2 of 4, 2 left")
    assert second.endswith("TimeoutError: slow")
    assert "s3cret" not in caplog.text
    assert [record.data["left"] for record in caplog.records] == [3, 2]


def test_the_last_original_error_is_raised_again(caplog):
    errors = [ConnectionError(str(number)) for number in range(4)]
    errors[3].__cause__ = cause = OSError("cable")
    service = Service(*errors)
    with pytest.raises(ConnectionError) as caught:
        Boundary("db", retry=QUICK).call(service, idempotent=True)
    assert caught.value is errors[3]
    assert caught.value.__cause__ is cause
    assert service.calls == 4
    assert len(caplog.records) == 3


def test_what_is_not_idempotent_is_made_once(caplog):
    service = Service(ConnectionError())
    with pytest.raises(ConnectionError):
        Boundary("db", retry=QUICK).call(service, idempotent=False)
    assert service.calls == 1
    assert not caplog.records


def test_one_attempt_is_no_retry():
    service = Service(ConnectionError())
    with pytest.raises(ConnectionError):
        Boundary("db", retry=RetryPolicy(attempts=1)).call(service, idempotent=True)
    assert service.calls == 1


@pytest.mark.parametrize("errors", [[ValueError()], [ConnectionError(), ValueError()]])
def test_an_error_that_will_not_go_away_is_not_retried(errors):
    calls = len(errors)
    service = Service(*errors)
    with pytest.raises(ValueError, match=r"^$"):
        Boundary("db", retry=QUICK).call(service, idempotent=True)
    assert service.calls == calls


def test_the_caller_may_say_what_is_retried():
    service = Service(ValueError("again"), ValueError("never"))
    boundary = Boundary("db", retry=QUICK, retry_on=lambda error: str(error) == "again")
    with pytest.raises(ValueError, match="never"):
        boundary.call(service, idempotent=True)
    assert service.calls == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("before", [0, 1, 2])
def test_ctrl_c_ends_the_call_at_any_attempt(error, before):
    service = Service(*[ConnectionError()] * before, error())
    with pytest.raises(error):
        Boundary("db", retry=QUICK, retry_on=lambda _: True).call(service, idempotent=True)
    assert service.calls == before + 1


def test_a_deadline_that_has_passed_makes_no_attempt():
    service = Service()
    with pytest.raises(DeadlineExceeded, match="select"):
        Boundary("db").call(service, deadline=0, idempotent=True, doing="select")
    assert service.calls == 0


def test_no_retry_is_begun_that_the_deadline_would_cut(caplog):
    service = Service(*[ConnectionError("refused")] * 10)
    patient = RetryPolicy(attempts=10, first=60, cap=60, jitter=0)
    with pytest.raises(ConnectionError, match="refused"):
        Boundary("db", retry=patient).call(service, deadline=5, idempotent=True)
    assert service.calls == 1
    assert not caplog.records


def test_a_deadline_exceeded_within_an_attempt_is_not_retried():
    service = Service(DeadlineExceeded("too slow", service="db"))
    with pytest.raises(DeadlineExceeded):
        Boundary("db", retry=QUICK, retry_on=lambda _: True).call(service, idempotent=True)
    assert service.calls == 1


def test_an_open_circuit_is_not_retried(breaker, caplog):
    trip(breaker)
    service = Service()
    boundary = Boundary("db", retry=QUICK, breaker=breaker, retry_on=lambda _: True)
    with pytest.raises(CircuitOpen):
        boundary.call(service, idempotent=True)
    assert service.calls == 0
    assert not caplog.records


def test_retries_end_with_the_original_error_when_the_circuit_opens(breaker, caplog):
    service = Service(*[UnavailableError(str(n), service="db") for n in range(10)])
    boundary = Boundary(
        "db", retry=RetryPolicy(attempts=9, first=0, cap=0, jitter=0), breaker=breaker
    )
    with pytest.raises(UnavailableError, match="2") as caught:
        boundary.call(service, idempotent=True)
    assert type(caught.value) is UnavailableError
    assert service.calls == 3
    assert len(caplog.records) == 2


def test_a_circuit_that_others_open_meanwhile_gives_the_original_error(breaker):
    class Meanwhile(logging.Handler):
        def emit(self, _record):
            trip(breaker)

    logger = logging.getLogger("agentnb.meanwhile")
    logger.addHandler(handler := Meanwhile())
    service = Service(ConnectionError("mine"))
    try:
        with pytest.raises(ConnectionError, match="mine"):
            Boundary("db", retry=QUICK, breaker=breaker, logger=logger).call(
                service, idempotent=True
            )
    finally:
        logger.removeHandler(handler)
    assert service.calls == 1


def test_staminas_hooks_are_shown_the_users_retries_and_none_of_the_packages(caplog):
    seen = io.StringIO()
    before = stamina.instrumentation.get_on_retry_hooks()
    stamina.instrumentation.set_on_retry_hooks([lambda details: print(details, file=seen)])
    try:
        Boundary("db", retry=QUICK).call(Service(ConnectionError("away")), idempotent=True)
        assert not seen.getvalue()
        theirs = Service(ConnectionError("theirs"))
        for turn in stamina.retry_context(on=ConnectionError, wait_initial=0, wait_jitter=0):
            with turn:
                theirs()
    finally:
        stamina.instrumentation.set_on_retry_hooks(before)
    assert "theirs" in seen.getvalue()
    assert {record.name for record in caplog.records} == {"agentnb.db"}


def test_staminas_switch_turns_our_retries_off():
    service = Service(ConnectionError("refused"))
    stamina.set_active(False)
    try:
        with pytest.raises(ConnectionError, match="refused"):
            Boundary("db", retry=QUICK).call(service, idempotent=True)
    finally:
        stamina.set_active(True)
    assert service.calls == 1


def test_the_pauses_are_those_of_the_policy(monkeypatch):
    waits = []
    monkeypatch.setattr("agentnb.core.resilience.boundary.sleep", waits.append)
    policy = RetryPolicy(attempts=4, first=1, cap=3, jitter=0)
    Boundary("db", retry=policy).call(Service(*[ConnectionError()] * 3), idempotent=True)
    assert waits == [1, 2, 3]
