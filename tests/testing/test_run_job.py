"""`run_job`: a processor is called as a worker does it, in the thread of the test."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass

import pytest

from agentnb.core.errors import UnkeptResult, UsageError
from agentnb.core.queue import processor
from agentnb.core.work.attempt import TimedOut
from agentnb.testing import arun_job, run_job


@dataclass
class Order:
    number: int
    lines: list[str]


def test_the_result_the_progress_and_the_log_of_a_job_are_returned(hub):
    def charge(job):
        job.log("begins")
        job.progress(0.5)
        job.log(f"attempt {job.attempt}")
        return {"charged": job.data["cents"]}

    run = run_job(charge, {"cents": 700}, hub=hub)
    assert run.result == {"charged": 700}
    assert run.progress == 0.5
    assert run.logs == ["begins", "attempt 1"]
    assert run.attempts == 1
    assert run.errors == []


def test_the_processor_runs_in_the_thread_of_the_test(hub):
    seen = run_job(lambda _: threading.get_ident(), hub=hub)
    assert seen.result == threading.get_ident()


def test_data_and_result_go_through_json_as_a_worker_has_them(hub):
    def ship(job) -> Order:
        assert isinstance(job.data, Order)
        return job.data

    run = run_job(ship, {"number": 1, "lines": ["a"]}, hub=hub, schema=Order)
    assert run.result == Order(1, ["a"])
    assert run_job(lambda job: job.data, {"pair": (1, 2)}, hub=hub).result == {"pair": [1, 2]}


def test_data_that_the_schema_refuses_is_an_error(hub):
    with pytest.raises(UsageError, match="number"):
        run_job(lambda job: job.data, {"number": "one", "lines": []}, hub=hub, schema=Order)


def test_a_result_that_cannot_be_stored_is_an_error(hub):
    with pytest.raises(UnkeptResult):
        run_job(lambda _: object(), hub=hub)


def test_the_exception_of_the_processor_is_raised_as_it_is(hub):
    error = KeyError("the real one")

    def fail(_):
        raise error

    with pytest.raises(KeyError) as caught:
        run_job(fail, hub=hub)
    assert caught.value is error
    assert caught.traceback[-1].name == "fail"


def test_a_job_is_tried_again_without_a_pause(hub):
    def flaky(job):
        if job.attempt < 5:
            raise ConnectionError(job.attempt)
        return job.attempt

    run = run_job(flaky, hub=hub, attempts=5)
    assert (run.result, run.attempts) == (5, 5)
    assert [error.args for error in run.errors] == [(1,), (2,), (3,), (4,)]
    with pytest.raises(ConnectionError, match="3"):
        run_job(flaky, hub=hub, attempts=3)
    assert hub.runtime.clock.offset == 0


def test_the_mark_of_a_processor_holds(hub):
    @processor("orders", schema=Order)
    def ship(job):
        return [job.queue.name, job.data.number]

    assert run_job(ship, {"number": 4, "lines": []}, hub=hub).result == ["orders", 4]


def test_the_jobs_of_the_queue_are_left_alone_and_new_ones_wait_there(hub):
    hub.queue("pages").add({"page": 1})

    def crawl(job):
        job.queue.add({"page": job.data["page"] + 1})

    run_job(crawl, {"page": 7}, hub=hub, queue="pages")
    assert [job.data["page"] for job in hub.queue("pages").jobs("waiting")] == [1, 8]
    assert hub.queue("pages").counts()["completed_total"] == 0


def test_a_job_knows_the_hub_of_the_test(hub):
    assert run_job(lambda job: job.hub is hub, hub=hub).result is True


def test_a_coroutine_function_is_a_processor_too(hub):
    async def double(job):
        await asyncio.sleep(0)
        return job.data * 2

    assert run_job(double, 4, hub=hub).result == 8


def test_a_coroutine_is_ended_at_its_timeout(hub):
    async def hang(_):
        await asyncio.sleep(3600)

    with pytest.raises(TimedOut):
        run_job(hang, hub=hub, timeout=0.05)


def test_an_awaited_job_runs_on_the_loop_of_its_caller(hub):
    async def main():
        gate = asyncio.Event()

        async def wait(job):
            await gate.wait()
            return [job.data, asyncio.get_running_loop() is here]

        here = asyncio.get_running_loop()
        here.call_later(0.01, gate.set)
        return await arun_job(wait, 1, hub=hub)

    assert asyncio.run(main()).result == [1, True]


def test_a_job_needs_no_hub_of_the_test():
    assert run_job(lambda job: job.data, 1).result == 1


def test_a_run_leaves_no_key(hub):
    def keys():
        return {key for key in hub.redis.scan_iter() if b"-run-" in key}

    run_job(lambda job: job.log("a"), hub=hub)
    with pytest.raises(ZeroDivisionError):
        run_job(lambda _: 1 / 0, hub=hub)
    assert keys() == set()


def test_the_events_of_a_job_are_published(hub):
    def send(job):
        hub.events.publish("mail.sent", job.data)

    run_job(send, 1, hub=hub, queue="mail")
    assert [event.channel for event in hub.events.history()] == [
        "mail.sent",
        "queue.mail.completed",
    ]
