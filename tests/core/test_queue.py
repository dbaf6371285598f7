"""Adding jobs, processing them, and what is kept of them."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from agentnb.core.errors import (
    DeadlineExceeded,
    NotFoundError,
    RejectedError,
    UnavailableError,
    UsageError,
)
from agentnb.core.queue.failure import JobFailed
from agentnb.core.redis import RedisClient


@pytest.fixture
def queue(queues):
    return queues.get_queue("mail")


def echo(job):
    return job.data


def fail(job):
    raise ValueError(f"no {job.data}")


def test_a_job_is_processed_and_its_result_comes_back(queue):
    job = queue.add({"to": "ada"})
    assert job.state == "waiting"
    queue.work(lambda job: {"sent": job.data["to"]})
    assert job.result(10) == {"sent": "ada"}
    assert job.state == "completed"


def test_the_names_of_the_specification_work(queues):
    worker = queues.process_queue("scaffold-tasks", echo, 2)
    job = queues.add_task("scaffold-tasks", {"type": "create-app"}, priority=1, delay=0.05)
    assert job.result(10) == {"type": "create-app"}
    assert queues.get_queue("scaffold-tasks") is worker.queue
    assert worker.concurrency == 2


def test_a_coroutine_function_is_a_processor_too(queue):
    async def wait(job):
        await asyncio.sleep(0.01)
        return job.data * 2

    queue.work(wait)
    assert [job.result(10) for job in [queue.add(n) for n in range(5)]] == [0, 2, 4, 6, 8]


def test_a_job_can_be_awaited(queue):
    queue.work(echo)

    async def both():
        return await asyncio.gather(queue.add(1), queue.add(2))

    assert asyncio.run(both()) == [1, 2]


def test_an_awaited_job_that_is_given_up_has_nobody_who_waits_for_it(queue, until):
    async def give_up():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await queue.add(1)

    asyncio.run(give_up())
    (job,) = queue.jobs("waiting")
    key = f"{queue._store.jobs}{job.id}"
    until(lambda: queue._store.redis.hget(key, "waiters") is None)


def test_a_result_that_is_waited_for_in_vain_says_why(queue):
    job = queue.add(1)
    with pytest.raises(DeadlineExceeded, match="is waiting") as caught:
        job.result(0.05)
    assert "no worker is running for queue mail" in caught.value.hint
    queue.pause()
    with pytest.raises(DeadlineExceeded, match="is paused") as caught:
        job.result(0.05)
    assert "hub.queue('mail').resume()" in caught.value.hint


@pytest.mark.parametrize("job_id", [None, 5, b"x", ["a"], "a\x00"])
def test_an_id_that_is_none_says_so(queues, queue, job_id):
    for call in (queue.get, queue.retry, queue.remove, queue.cancel, queues.find):
        with pytest.raises(UsageError, match="job_id must be text") as caught:
            call(job_id)
        assert "job.id" in caught.value.hint


def test_several_may_wait_for_one_result(queue, together):
    job = queue.add(7)
    started = threading.Timer(0.1, lambda: queue.work(echo))
    started.start()
    results, errors = together(4, lambda: job.result(10))
    assert (results, errors) == ([7, 7, 7, 7], [])


def test_an_outcome_is_copied_once_for_each_that_waits_however_long_it_takes(
    queue, monkeypatch, until
):
    monkeypatch.setattr("agentnb.core.queue.waiter._SLICE", 0.02)
    job = queue.add(7)

    def waiters():
        return queue._store.redis.hget(f"{queue._store.jobs}{job.id}", "waiters")

    for _ in range(3):
        with pytest.raises(DeadlineExceeded):
            job.result(0.05)
    until(lambda: waiters() is None)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(job.result, 10)
        time.sleep(0.2)
        assert waiters() == b"1"
        queue.work(echo)
        assert waiting.result() == 7


def test_an_order_by_priority_then_by_age(queue):
    done = []
    for name, priority in (("c", 2), ("a", 0), ("d", 2), ("b", 1)):
        queue.add(name, priority=priority)
    worker = queue.work(lambda job: done.append(job.data), concurrency=1)
    worker.drain(10)
    assert done == ["a", "b", "c", "d"]


def test_the_last_in_is_the_first_out_where_that_is_asked_for(queue):
    done = []
    for name in ("old", "new"):
        queue.add(name, lifo=True)
    queue.add("first of the others")
    queue.work(lambda job: done.append(job.data), concurrency=1).drain(10)
    assert done == ["new", "old", "first of the others"]


def test_a_delayed_job_waits_for_its_time(queue):
    queue.work(echo)
    began = time.monotonic()
    job = queue.add(1, delay=0.3)
    assert job.state == "delayed"
    job.result(10)
    assert time.monotonic() - began >= 0.3


def test_a_failed_attempt_is_tried_again_with_growing_pauses(queue):
    times = []

    def third_time(job):
        times.append(time.monotonic())
        if job.attempt < 3:
            raise OSError("not yet")
        return job.attempt

    queue.work(third_time)
    job = queue.add(1, backoff={"type": "exponential", "delay": 0.1})
    assert job.result(10) == 3
    first, second = times[1] - times[0], times[2] - times[1]
    assert first >= 0.08
    assert second >= 0.16


def test_a_job_that_fails_for_good_says_why_and_is_kept(queue):
    queue.work(fail)
    job = queue.add("stamps", attempts=2, backoff=0)
    with pytest.raises(JobFailed, match="attempt 2 of 2: ValueError: no stamps"):
        job.result(10)
    (kept,) = queue.jobs("failed")
    assert kept == job
    assert kept.attempt == 2
    assert kept.failure.error == "ValueError: no stamps"
    assert "in fail" in kept.failure.traceback
    assert "attempt.py" not in kept.failure.traceback


def test_the_traceback_of_a_coroutine_begins_with_it(queue):
    async def fail_later(job):
        await asyncio.sleep(0)
        return fail(job)

    job = queue.add(1, attempts=1)
    queue.work(fail_later, concurrency=1).drain(10)
    first, *_, last = queue.get(job.id).failure.traceback.strip().splitlines()
    assert "in fail_later" in first
    assert "raise ValueError" in last


def test_secrets_are_in_no_error_that_is_kept(queue):
    def leak(job):  # noqa: ARG001 - what a processor is given
        raise ValueError("redis://:hunter22@host password=hunter22")

    queue.work(leak)
    job = queue.add(1, attempts=1)
    with pytest.raises(JobFailed) as caught:
        job.result(10)
    assert "hunter22" not in f"{caught.value} {queue.jobs('failed')[0].failure}"


def test_a_processor_that_exits_fails_the_job_and_not_the_worker(queue):
    def leave(job):
        if job.data:
            raise SystemExit(3)

    worker = queue.work(leave, concurrency=1)
    with pytest.raises(JobFailed, match="SystemExit: 3"):
        queue.add(1, attempts=1).result(10)
    assert queue.add(0).result(10) is None
    assert worker.running


def test_a_job_may_ask_for_another_number_to_be_kept(queue, until):
    queue.work(echo)
    gone = queue.add(1, remove_on_complete=True)
    until(lambda: gone.state == "gone")
    with pytest.raises(NotFoundError, match="no longer kept"):
        gone.result(60)
    for n in range(4):
        queue.add(n, remove_on_complete=2).result(10)
    assert [job.data for job in queue.jobs("completed")] == [3, 2]


def test_a_result_is_told_even_if_the_job_is_not_kept(queue):
    job = queue.add(5, remove_on_complete=True, delay=1)
    queue.work(echo)
    assert job.result(10) == 5


def test_a_worker_that_is_given_another_function_uses_it_from_the_next_job_on(queue):
    worker = queue.work(lambda _: "old")
    assert queue.add(1).result(10) == "old"
    assert queue.work(lambda _: "new") is worker
    assert queue.add(1).result(10) == "new"


def test_another_number_of_threads_makes_another_worker(queue):
    first = queue.work(echo)
    second = queue.work(concurrency=2)
    assert (first.running, second.running) == (False, True)
    assert queue.add(1).result(10) == 1


def test_a_queue_without_a_processor_does_not_work(queue):
    with pytest.raises(UsageError, match="no processor") as caught:
        queue.work()
    assert caught.value.hint == f"hub.queue({queue.name!r}).work(function)"


@dataclass
class Mail:
    to: str
    copies: int = 1


def test_a_schema_checks_the_data_and_makes_a_value_of_it(queue):
    job = queue.add({"to": "ada"})
    queue.work(lambda job: [type(job.data).__name__, job.data.copies], schema=Mail)
    assert job.result(10) == ["Mail", 1]
    with pytest.raises(UsageError, match="is not Mail"):
        queue.add({"from": "ada"})


def test_data_that_the_schema_refuses_fails_at_once_and_is_kept(queue):
    job = queue.add({"from": "ada"}, backoff=0)
    queue.work(echo, schema=Mail)
    with pytest.raises(JobFailed, match="attempt 1 of 3: UsageError: the job's value is not Mail"):
        job.result(10)
    assert queue.jobs("failed")[0].data == {"from": "ada"}


def test_a_message_that_cannot_be_read_fails_and_is_kept(queue, shared_redis):
    job = queue.add(1)
    shared_redis.hset(f"{queue._store.jobs}{job.id}", "message", b"\x80\x04pickle")
    queue.work(echo)
    with pytest.raises(JobFailed, match="cannot be read"):
        job.result(10)
    assert queue.get(job.id).state == "failed"


@pytest.mark.parametrize("data", [{(1, 2): 2}, {"a": float("nan")}, object(), [float("inf")]])
def test_data_without_a_json_form_is_refused(queue, data):
    with pytest.raises(UsageError, match="the job's value"):
        queue.add(data)
    assert queue.counts()["waiting"] == 0


def test_data_that_is_too_large_is_refused_with_the_limit(queue):
    with pytest.raises(
        UsageError, match=r"takes 10,000,002 bytes; 1,000,000 are allowed"
    ) as caught:
        queue.add("x" * 10_000_000)
    assert "AGENTNB_QUEUE_PAYLOAD" in caught.value.hint


@pytest.mark.parametrize(
    "options",
    [
        {"priority": -1},
        {"priority": 1.5},
        {"delay": -1},
        {"delay": "soon"},
        {"attempts": 0},
        {"attempts": True},
        {"backoff": "fast"},
        {"backoff": {"type": "cubic"}},
        {"timeout": 0},
        {"key": ""},
        {"key": 17},
        {"remove_on_complete": -2},
        {"remove_on_fail": 0.5},
    ],
)
def test_an_option_that_cannot_be_used_is_refused(queue, options):
    (name,) = options
    with pytest.raises(UsageError, match=name):
        queue.add(1, **options)
    assert not queue.jobs()


@pytest.mark.parametrize("name", ["", " ", "a b", "line\nbreak", "x" * 300, None, 5, "-c"])
def test_a_name_that_is_none_is_refused(queues, name):
    with pytest.raises(UsageError, match="cannot be called"):
        queues.get_queue(name)


def test_a_paused_queue_hands_nothing_out_and_goes_on_at_once(queue):
    queue.work(echo)
    queue.pause()
    job = queue.add(1)
    assert (job.state, queue.counts()["paused"]) == ("paused", 1)
    time.sleep(0.1)
    assert job.state == "paused"
    queue.resume()
    assert job.result(10) == 1


def test_progress_and_log_lines_are_kept_with_the_job(queue, until):
    go = threading.Event()

    def steps(job):
        job.progress(0.4)
        job.log("halfway; token=abc123secret")
        go.wait(10)
        job.progress({"done": 2, "of": 2})

    queue.work(steps)
    job = queue.add(1)
    until(job.logs)
    assert (job.progress(), job.logs()) == (0.4, ["halfway; token=••••••"])
    go.set()
    job.result(10)
    assert job.progress() == {"done": 2, "of": 2}


def test_the_log_of_several_attempts_says_which_line_is_of_which(queue):
    def steps(job):
        job.log(f"\x1estep {job.attempt}")
        job.log("end")
        if job.attempt < 3:
            raise ValueError("again")

    queue.work(steps)
    once, thrice = queue.add(1, attempts=1), queue.add(2, attempts=3, backoff=0.01)
    thrice.result(10)
    assert thrice.logs() == ["step 1", "end", "step 2", "end", "step 3", "end"]
    assert thrice.logs(4, marks=True) == ["end", "attempt 3:", "step 3", "end"]
    assert thrice.logs(100, marks=True)[:4] == ["attempt 1:", "step 1", "end", "attempt 2:"]
    assert thrice.logs(2) == ["step 3", "end"]
    assert thrice.logs(0) == []
    with pytest.raises(JobFailed):
        once.result(10)
    assert once.logs(marks=True) == ["step 1", "end"]


def test_the_log_of_a_later_attempt_alone_says_which_it_is(queue):
    def late(job):
        if job.attempt == 1:
            raise ValueError("before a word")
        job.log("at last")

    queue.work(late)
    job = queue.add(1, attempts=2, backoff=0.01)
    job.result(10)
    assert job.logs(marks=True) == ["attempt 2:", "at last"]


def test_a_waiting_job_is_cancelled_and_never_runs(queue):
    job = queue.add(1)
    job.cancel()
    with pytest.raises(JobFailed, match="cancelled"):
        job.result(60)
    done = []
    queue.work(done.append).drain(10)
    assert not done
    assert (job.state, queue.counts()["cancelled"], queue.counts()["failed"]) == ("cancelled", 1, 0)
    with pytest.raises(RejectedError, match="it is cancelled"):
        job.cancel()


def test_a_running_coroutine_is_cancelled(queue):
    begun, ended = threading.Event(), threading.Event()

    async def forever(job):  # noqa: ARG001 - what a processor is given
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    worker = queue.work(forever, concurrency=1)
    job = queue.add(1)
    assert begun.wait(10)
    job.cancel()
    assert ended.wait(10)
    with pytest.raises(JobFailed, match="cancelled"):
        job.result(60)
    queue.work(echo, concurrency=1)
    assert queue.add(2).result(10) == 2
    assert worker.running


def test_a_running_function_sees_that_it_was_cancelled(queue):
    begun, seen = threading.Event(), threading.Event()

    def patient(job):
        begun.set()
        while not job.cancelled:
            time.sleep(0.01)
        seen.set()
        job.check_cancelled()

    queue.work(patient)
    job = queue.add(1)
    assert begun.wait(10)
    job.cancel()
    assert seen.wait(10)
    assert job.state == "cancelled"


def test_a_coroutine_that_takes_too_long_is_cancelled(queue):
    cancelled = threading.Event()

    async def slow(job):  # noqa: ARG001 - what a processor is given
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    queue.work(slow)
    job = queue.add(1, attempts=1, timeout=0.1)
    with pytest.raises(JobFailed, match=r"took longer than 0.1 s; it was cancelled"):
        job.result(10)
    assert cancelled.wait(10)


def test_a_function_that_takes_too_long_is_left_behind_and_does_not_count(queue):
    go, late = threading.Event(), threading.Event()

    def slow(job):
        if job.attempt == 1:
            go.wait(20)
            with pytest.raises(RejectedError):
                job.progress(0.99)
            late.set()
        return job.attempt

    queue.work(slow, concurrency=1)
    job = queue.add(1, timeout=0.2, backoff=0)
    assert job.result(10) == 2
    go.set()
    assert late.wait(10)
    assert queue.get(job.id).result(60) == 2


def test_a_failed_job_is_retried_with_all_its_attempts(queue):
    queue.work(fail)
    job = queue.add("stamps", attempts=2, backoff=0)
    with pytest.raises(JobFailed):
        job.result(10)
    queue.work(lambda job: job.attempt)
    job.retry()
    assert job.result(10) == 1
    with pytest.raises(NotFoundError):
        queue.retry("nosuchjob")


def test_a_waiting_job_cannot_be_retried(queue):
    with pytest.raises(RejectedError, match="waits already"):
        queue.add(1).retry()


def test_a_delayed_job_may_be_run_at_once(queue):
    queue.work(echo)
    job = queue.add(1, delay=600)
    job.retry()
    assert job.result(10) == 1


def test_a_job_that_pauses_after_an_attempt_may_be_run_at_once_and_its_attempts_count(queue, until):
    def fail_once(job):
        if job.attempt == 1:
            raise OSError("not yet")
        return job.attempt

    queue.work(fail_once)
    job = queue.add(1, backoff=600)
    until(lambda: job.state == "delayed")
    job.retry()
    assert job.result(10) == 2


def test_a_running_job_is_not_retried(queue, until):
    go = threading.Event()
    queue.work(lambda _: go.wait(10))
    job = queue.add(1)
    until(lambda: job.state == "active")
    with pytest.raises(RejectedError):
        job.retry()
    go.set()
    assert job.result(10) is True


def test_a_removed_job_is_gone_and_a_running_one_is_not_removed(queue, until):
    job = queue.add(1)
    job.remove()
    assert job.state == "gone"
    with pytest.raises(NotFoundError):
        job.remove()
    go = threading.Event()
    queue.work(lambda _: go.wait(10))
    running = queue.add(2)
    until(lambda: running.state == "active")
    with pytest.raises(RejectedError, match="it is active"):
        running.remove()
    running.remove(force=True)
    go.set()
    queue.worker.drain(10)
    assert running.state == "gone"


def test_who_waits_for_a_job_that_is_removed_is_told(queue):
    job = queue.add(1)
    threading.Timer(0.1, job.remove).start()
    with pytest.raises(NotFoundError):
        job.result(10)


def test_a_job_is_found_by_its_id_alone(queues):
    job = queues.add_task("a", 1)
    assert queues.find(job.id).queue.name == "a"
    with pytest.raises(NotFoundError):
        queues.find("nosuchjob")
    with pytest.raises(NotFoundError) as caught:
        queues.find("a")
    assert caught.value.hint == "a is a queue: hub.queue('a').search()"


def test_the_table_says_where_jobs_wait_and_nobody_works(queues, until):
    queues.add_task("lonely", 1)
    queues.process_queue("busy", echo)
    until(lambda: queues.get_queue("busy").workers())
    table = queues.table()
    assert [(row.queue, row.state) for row in table] == [
        ("busy", "working"),
        ("lonely", "no worker: jobs wait"),
    ]
    assert "agentnb worker lonely" in table.note


def test_an_empty_table_says_what_to_type(make_queues):
    assert "hub.queue(QUEUE).add(DATA)" in make_queues(prefix="nothing-here").table().empty


def test_a_worker_stops_after_what_runs(queue):
    begun, go = threading.Event(), threading.Event()

    def slow(job):
        begun.set()
        go.wait(10)
        return job.data

    worker = queue.work(slow, concurrency=1)
    running, waiting = queue.add(1), queue.add(2)
    assert begun.wait(10)
    threading.Timer(0.1, go.set).start()
    assert worker.stop()
    assert (running.state, waiting.state) == ("completed", "waiting")
    assert not queue.workers()


def test_a_worker_that_is_stopped_hands_back_what_does_not_end(queue):
    begun, go = threading.Event(), threading.Event()

    def slow(job):
        if not begun.is_set():
            begun.set()
            go.wait(20)
        return job.attempt

    worker = queue.work(slow, concurrency=1)
    job = queue.add(1)
    assert begun.wait(10)
    assert not worker.stop(timeout=0.1)
    assert (job.state, queue.get(job.id).attempt) == ("waiting", 0)
    queue.work(slow, concurrency=2)
    assert job.result(10) == 1
    go.set()


def test_a_job_taken_ahead_by_a_stopping_worker_is_handed_back(queue, until):
    for n in range(20):
        queue.add(n)
    worker = queue.work(lambda _: time.sleep(0.01), concurrency=3)
    until(lambda: queue.counts()["completed_total"] >= 1)
    worker.stop()
    counts = queue.counts()
    assert counts["active"] == 0
    assert counts["waiting"] + counts["completed"] == 20


def test_drain_says_what_is_left(queue):
    worker = queue.work(echo)
    queue.add(1, delay=600)
    with pytest.raises(DeadlineExceeded, match="1 jobs of mail"):
        worker.drain(0.1)


def test_drain_tells_how_far_it_is(queue):
    for n in range(10):
        queue.add(n)
    told = []
    assert queue.work(echo).drain(10, on_progress=lambda *now: told.append(now)) <= 10
    assert told[-1][0] == told[-1][1]


def test_a_job_carries_the_trace_it_was_added_in(queue):
    from agentnb.core.trace import current, start_trace, use

    with use(None):
        here = start_trace()
        queue.work(lambda _: current().trace_id)
        assert queue.add(1).result(10) == here.trace_id
    spans = [span.name for span in queue._parts.tracer.trace(here.trace_id)]
    assert "add" in spans
    assert "process" in spans


def test_ends_are_logged_with_queue_job_and_data_or_error(queue, caplog, until):
    caplog.set_level(logging.INFO, logger="agentnb.queue")

    def odd(job):
        if job.data % 2:
            raise ValueError("odd")

    queue.work(odd)
    even, odd_one = queue.add(2), queue.add(1, attempts=1)
    even.result(10)
    with pytest.raises(JobFailed):
        odd_one.result(10)
    failed = f"job {odd_one.id} of mail failed at attempt 1 of 1: ValueError: odd"
    wanted = {"job completed", failed}
    until(lambda: wanted <= {record.message for record in caplog.records})
    lines = {record.message: record for record in caplog.records}
    assert lines["job completed"].data.pop("ms") >= 0
    assert lines["job completed"].data == {
        "queue": "mail",
        "job_id": even.id,
        "attempt": 1,
        "data": "2",
    }
    assert lines[failed].data["error"] == "ValueError: odd"


def test_the_signals_of_huey_can_be_used(queue, until):
    seen = []
    queue.huey.signal("complete")(lambda signal, task: seen.append((signal, task.id)))
    queue.work(echo)
    job = queue.add(1)
    job.result(10)
    until(lambda: seen == [("complete", job.id)])


def test_without_a_server_adding_is_an_error_and_not_a_wait(make_queues, tmp_path):
    with RedisClient(f"unix://{tmp_path}/nobody", timeout=0.3) as away:
        queues = make_queues(away)
        with pytest.raises(UnavailableError):
            queues.add_task("mail", 1)


def test_a_queue_of_an_empty_prefix_stays_out_of_the_way(make_queues, shared_redis):
    queue = make_queues(prefix="").get_queue("barely")
    queue.work(echo)
    queue.add(1).result(10)
    queue.stop()
    keys = {key.decode() for key in shared_redis.keys("*barely*")}
    assert keys
    assert all(key.startswith("{agentnb}:") for key in keys)
    shared_redis.delete(*keys)


def test_ends_and_progress_are_events_at_the_very_moment(make_bus, make_queues, until):
    bus = make_bus()
    queue = make_queues(events=bus).get_queue("told")
    seen = []
    bus.subscribe("queue.told.*", lambda event: seen.append((event.channel, event.data)))

    def odd(job):
        job.progress(0.5)
        if job.data % 2:
            raise ValueError("odd; password=hunter22")

    queue.work(odd, concurrency=1)
    even = queue.add(2)
    even.result(10)
    odd_one = queue.add(1, attempts=1)
    with pytest.raises(JobFailed):
        odd_one.result(10)
    until(lambda: len(seen) == 4)
    channels = [channel.removeprefix("queue.told.") for channel, _ in seen]
    assert sorted(channels) == ["completed", "failed", "progress", "progress"]
    assert channels[1] == "completed"
    failed = next(data for channel, data in seen if channel.endswith("failed"))
    assert failed == {
        "queue": "told",
        "job_id": odd_one.id,
        "attempt": 1,
        "error": "ValueError: odd; password=••••••",
        "final": True,
    }
    kept = [event.channel for event in bus.history("queue.told.*")]
    assert kept == ["queue.told.completed", "queue.told.failed"]


def test_a_due_job_that_must_wait_keeps_nobody_busy(queue, shared_redis, until):
    begun, go = threading.Event(), threading.Event()

    def slow(job):
        begun.set()
        go.wait(20)
        return job.data

    queue.work(slow, concurrency=1)
    queue.add(1)
    assert begun.wait(10)
    job = queue.add(2, delay=0.05)
    time.sleep(0.2)
    calls = shared_redis.info("stats")["total_commands_processed"]
    time.sleep(1.0)
    assert shared_redis.info("stats")["total_commands_processed"] - calls < 60
    go.set()
    assert job.result(10) == 2
    until(lambda: queue.counts()["active"] == 0)


def test_a_worker_is_listed_once_work_has_returned(queues):
    for number in range(20):
        with queues.get_queue(f"listed-{number}").work(print, concurrency=1) as worker:
            assert [one.name for one in worker.queue.workers()] == [worker.name]


def test_a_long_line_of_the_log_is_cut_visibly(queue):
    job = queue.add(1)
    job.log("x" * 1_000_000)
    job.log("y" * 10_000)
    long, short = job.logs()
    assert long == "x" * 10_000 + "… (1,000,000 characters)"
    assert short == "y" * 10_000


def test_a_processor_that_waits_for_its_own_exhausted_queue_is_told(queue):
    def parent(job):
        return queue.add("child").result() if job.data == "parent" else job.data

    queue.work(parent, concurrency=1)
    with pytest.raises(JobFailed, match=r"cannot start: all threads of its worker \(1\) wait") as e:
        queue.add("parent", attempts=1).result(20)
    assert "hub.queue('mail').work(concurrency=2)" in str(e.value)
    queue.work(parent, concurrency=2)
    assert queue.add("parent").result(10) == "child"


def test_only_processors_that_all_wait_are_told(queue):
    def parent(job):
        if job.data == "parent":
            return queue.add("child").result(20)
        time.sleep(0.05)
        return job.data

    queue.work(parent, concurrency=3)
    parents = [queue.add("parent", attempts=1) for _ in range(2)]
    others = [queue.add("other") for _ in range(5)]
    assert [job.result(20) for job in parents] == ["child", "child"]
    assert [job.result(20) for job in others] == ["other"] * 5


def test_processors_of_two_queues_that_wait_for_each_other_are_told(queues):
    ping, pong = queues.get_queue("ping"), queues.get_queue("pong")

    def call(job):
        other = pong if job.queue is ping else ping
        return other.add(job.data - 1, attempts=1).result(20) if job.data else "end"

    ping.work(call, concurrency=1)
    pong.work(call, concurrency=1)
    with pytest.raises(JobFailed, match=r"all threads of its worker \(1\) wait for jobs that"):
        ping.add(3, attempts=1).result(20)
    assert ping.add(1, attempts=1).result(20) == "end"
    ping.work(call, concurrency=2)
    assert ping.add(2, attempts=1).result(20) == "end"


def test_a_queue_whose_threads_wait_for_one_that_goes_on_is_not_told(queues):
    ping, pong = queues.get_queue("ping"), queues.get_queue("pong")
    begun, end = threading.Event(), threading.Event()

    def in_ping(job):
        return "quick" if job.data == "quick" else pong.add("slow").result(20)

    def in_pong(_):
        begun.set()
        return end.wait(20)

    ping.work(in_ping, concurrency=1)
    pong.work(in_pong, concurrency=1)
    outer = queues.get_queue("outer")
    outer.work(lambda _: ping.add("quick").result(20), concurrency=1)
    waiting = ping.add("slow")
    assert begun.wait(20)
    asked = outer.add(1, attempts=1)
    time.sleep(0.3)
    end.set()
    assert (waiting.result(20), asked.result(20)) == (True, "quick")


def test_one_processor_is_told_where_all_wait_and_its_thread_serves_the_others(queue):
    together = threading.Barrier(4)

    def parent(job):
        if job.data == "parent":
            together.wait(10)
            return queue.add("child").result(20)
        return job.data

    queue.work(parent, concurrency=4)
    parents = [queue.add("parent", attempts=1) for _ in range(4)]
    ends = []
    for job in parents:
        try:
            ends.append(job.result(20))
        except JobFailed as error:
            ends.append(str(error))
    assert ends.count("child") == 3
    assert sum("cannot start" in one for one in ends) == 1


def test_a_processor_that_awaits_many_jobs_of_its_queue_takes_one_thread(queue):
    async def parent(job):
        if job.data == "parent":
            return await asyncio.gather(*(queue.add(n).aresult(20) for n in range(6)))
        await asyncio.sleep(0.05)
        return job.data

    queue.work(parent, concurrency=3)
    assert queue.add("parent", attempts=1).result(20) == [0, 1, 2, 3, 4, 5]


def test_a_thread_that_was_left_behind_is_not_counted_among_those_that_wait(queue, until):
    end = threading.Event()

    def parent(job):
        if job.data == "stuck":
            return queue.add("long").result()
        if job.data == "parent":
            return queue.add("child").result(20)
        if job.data == "long":
            end.wait(20)
        return job.data

    queue.work(parent, concurrency=2)
    with pytest.raises(JobFailed, match="longer than"):
        queue.add("stuck", attempts=1, timeout=0.3).result(20)
    second = queue.add("parent", attempts=1)
    until(lambda: queue.counts()["waiting"] == 1 or second.state == "failed")
    time.sleep(0.2)
    end.set()
    assert second.result(20) == "child"


def test_a_job_that_stops_its_own_worker_ends_and_counts(queue, until):
    def process(job):
        ended = queue.stop(timeout=5)
        job.progress(1)  # the lease is held until the end
        return [ended, queue.worker is None]

    queue.work(process, concurrency=2)
    job = queue.add(1)
    assert job.result(10) == [True, True]
    assert (job.state, job.attempt) == ("completed", 1)
    until(lambda: queue.workers() == [])


@pytest.mark.parametrize("in_thread", [False, True])
def test_a_coroutine_that_stops_its_own_worker_ends_and_counts(queue, in_thread):
    async def process(_):
        if in_thread:
            return await asyncio.to_thread(queue.stop, 5)
        return queue.stop(5)

    queue.work(process, concurrency=2)
    job = queue.add(1)
    assert job.result(10) is True
    assert (job.state, job.attempt) == ("completed", 1)


def test_a_job_that_works_again_with_more_threads_ends_and_counts(queue):
    queue.work(lambda _: queue.work(echo, concurrency=3).concurrency, concurrency=2)
    assert queue.add(1).result(10) == 3
    assert queue.add("next").result(10) == "next"


def test_an_awaited_job_within_its_own_queue_is_told_too(queue):
    async def parent(job):
        return await queue.add("child") if job.data == "parent" else job.data

    queue.work(parent, concurrency=1)
    with pytest.raises(JobFailed, match="cannot start"):
        queue.add("parent", attempts=1).result(20)


def test_an_idle_worker_blocks_one_connection(make_queues, shared_redis, until):
    queue = make_queues().get_queue("idle")

    def blocked():
        return sum("b" in one["flags"] for one in shared_redis.client_list())

    before = blocked()
    queue.work(echo, concurrency=20)
    until(lambda: blocked() == before + 1)
    time.sleep(0.2)
    assert blocked() == before + 1


def test_context_variables_of_one_job_are_not_seen_by_the_next(queue):
    from contextvars import ContextVar

    user = ContextVar("user", default=None)

    def serve(job):
        if job.data:
            user.set(job.data)
        return user.get()

    queue.work(serve, concurrency=1)
    assert queue.add("ada").result(10) == "ada"
    assert queue.add(None).result(10) is None
    assert queue.add(None, timeout=5).result(10) is None


def test_hooks_of_huey_run_around_a_job(queue, until):
    seen = []
    huey = queue.huey
    huey.pre_execute("first")(lambda task: seen.append(("before", task.args[0].data)))
    huey.post_execute("last")(lambda task, value, error: seen.append((task.id, value, error)))
    huey.signal("error", "retrying")(lambda signal, *_: seen.append(signal))
    queue.work(echo, concurrency=1)
    job = queue.add(7)
    assert job.result(10) == 7
    until(lambda: seen == [("before", 7), (job.id, b"7", None)])
    queue.work(fail, concurrency=1)
    seen.clear()
    with pytest.raises(JobFailed):
        queue.add(1, attempts=2, backoff=0.01).result(10)
    until(lambda: [one for one in seen if isinstance(one, str)] == ["error", "retrying", "error"])


def test_all_queues_are_shown_in_two_round_trips(make_queues, monkeypatch):
    queues = make_queues()
    for n in range(30):
        queues.add_task(f"many-{n:02}", n)
    trips = []
    redis = type(queues._redis)

    def count(name):
        original = getattr(redis, name)
        monkeypatch.setattr(
            redis, name, lambda *args, **more: trips.append(name) or original(*args, **more)
        )

    for name in ("pipeline", "execute_command"):
        count(name)
    table = queues.table()
    assert [row.queue for row in table] == [f"many-{n:02}" for n in range(30)]
    assert {row.state for row in table} == {"no worker: jobs wait"}
    assert len(trips) == 2


def test_a_worker_that_is_dead_is_in_no_overview_and_is_forgotten_later(queue, shared_redis):
    from .queue_claims import dead_here

    queue.add(1)
    now = queue._store.now()
    dead, long_dead = dead_here(), dead_here()
    # What it shared its process with counts for those who reclaim its jobs.
    shared_redis.hset(queue._store.workers_key, dead, f"{now} {{}}")
    shared_redis.hset(queue._store.workers_key, long_dead, f"{now - 700_000} {{}}")
    shared_redis.hset(queue._store.workers_key, "of another host", f'{now} {{"concurrency":3}}')
    (seen,) = queue.queues.overview(["mail"])
    assert [one.concurrency for one in seen.workers] == [3]
    assert (seen.state, seen.why) == ("working", None)
    kept = {b"of another host", dead.encode()}
    assert set(shared_redis.hkeys(queue._store.workers_key)) == kept


def test_the_time_of_a_processor_holds_for_jobs_that_have_none(queue):
    async def slow(job):
        await asyncio.sleep(job.data)
        return job.data

    queue.work(slow, timeout=0.2)
    with pytest.raises(JobFailed, match=r"took longer than 0.2 s"):
        queue.add(30, attempts=1).result(10)
    assert queue.add(0.4, timeout=20).result(10) == 0.4


def test_an_event_of_a_failed_attempt_says_whether_another_follows(make_bus, make_queues, until):
    bus = make_bus()
    queue = make_queues(events=bus).get_queue("again")
    seen = []
    bus.subscribe("queue.again.failed", lambda event: seen.append(event.data["final"]))
    queue.work(fail, concurrency=1)
    with pytest.raises(JobFailed):
        queue.add(1, attempts=2, backoff=0.01).result(10)
    until(lambda: seen == [False, True])


def test_a_worker_without_a_heartbeat_for_long_is_not_listed(queue, shared_redis):
    from .queue_claims import elsewhere

    late = queue._store.now() - 30_000
    shared_redis.hset(queue._store.workers_key, elsewhere(), f"{late} {{}}")
    assert queue.workers() == []
    assert shared_redis.hlen(queue._store.workers_key) == 1
    queue.pause()
    assert queue.queues.overview(["mail"])[0].state == "paused"


def test_drain_returns_how_many_jobs_ended_meanwhile(queue):
    queue.add("before")
    queue.work(echo).drain(10)
    queue.stop()
    for n in range(7):
        queue.add(n)
    queue.pause()
    worker = queue.work(echo)
    threading.Timer(0.1, queue.resume).start()
    seen = []
    assert worker.drain(10, on_progress=lambda *now: seen.append(now)) == 7
    assert (seen[0], seen[-1]) == ((0, 7), (7, 7))


def test_the_workers_of_another_version_are_shown_as_far_as_they_say(queues, shared_redis):
    queue = queues.get_queue("old")
    queue.add(1)
    owner = "another-boot|4026531836|77|1|ab12cd34"
    about = b'{"host":"b","pid":77,"kind":"process","concurrency":3,"processor":"work"}'
    now = int(time.time() * 1000)
    key = f"{queue._store.base}:workers"
    shared_redis.hset(key, owner, b"%d %s" % (now, about))
    (row,) = queues.workers(["old"])
    assert (row.queue, row.host, row.pid, row.concurrency) == ("old", "b", 77, 3)
    assert (row.executor, row.started) == ("threads", None)
    assert "no worker is running for queue mail" in repr(queues.workers(["mail"]))


def test_a_queue_that_has_a_worker_and_no_job_yet_is_listed_elsewhere(make_queues, until):
    make_queues().get_queue("early").work(lambda job: job.data)
    other = make_queues()
    until(lambda: "early" in other.names())
    assert [row.queue for row in other.workers()] == ["early"]
    assert [row.state for row in other.table() if row.queue == "early"] == ["working"]


def test_the_oldest_job_counts_from_when_it_could_run(queues):
    queue = queues.get_queue("old")
    assert [one.oldest for one in queues.overview(["old"], oldest=True)] == [None]
    job = queue.add(1, delay=1000)
    queue._parts.store.clock.advance(100)
    queue.retry(job.id)
    (one,) = queues.overview(["old"], oldest=True)
    assert 0 <= one.oldest < 60
    queue._parts.store.clock.advance(100)
    (one,) = queues.overview(["old"], oldest=True)
    assert 100 <= one.oldest < 160
    assert queues.overview(["old"])[0].oldest is None
