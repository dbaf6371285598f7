"""What becomes of a job whose worker is gone, or is slow to hear that it lost it."""

from __future__ import annotations

import logging
import os
import threading
import time

import pytest

from agentnb.core.queue.failure import JobFailed
from agentnb.core.work.identity import is_alive, is_dead, new_owner

from .queue_claims import LOST, claim, dead_here, elsewhere, finish, held_of


@pytest.fixture
def queue(queues):
    return queues.get_queue("mail")


def test_an_outcome_of_a_worker_that_lost_its_job_does_not_count(queue, caplog):
    caplog.set_level(logging.INFO, "agentnb.queue")
    begun, go = threading.Event(), threading.Event()

    def slow(job):
        begun.set()
        go.wait(10)
        return job.attempt

    worker = queue.work(slow, concurrency=1)
    job = queue.add(1)
    assert begun.wait(10)
    # As another worker would, for which this one is dead: the attempt counts.
    queue.pause()
    assert queue._work_store().reclaim(held_of(queue, job.id), LOST, counted=True) == "waiting"
    go.set()
    worker.stop()
    said = [record.getMessage() for record in caplog.records]
    assert "job completed" not in said
    assert job.state == "paused"
    queue.resume()
    queue.work(slow, concurrency=1)
    assert job.result(10) == 2


def test_the_outcome_of_an_abandoned_run_is_not_taken_for_that_of_the_next(queue):
    begun, go, late = threading.Event(), threading.Event(), threading.Event()
    runs = []

    def slow(job):  # noqa: ARG001 - what a processor is given
        runs.append(1)
        if len(runs) == 1:
            begun.set()
            late.wait(20)
            return "run 1"
        go.wait(20)
        return "run 2"

    queue.work(slow, concurrency=2)
    job = queue.add(1)
    assert begun.wait(10)
    assert not queue.stop(timeout=0.1)
    queue.work(slow, concurrency=2)
    while len(runs) < 2:
        time.sleep(0.01)
    late.set()
    time.sleep(0.3)
    assert (job.state, job.attempt) == ("active", 1)
    go.set()
    assert job.result(10) == "run 2"


def test_a_run_that_was_cancelled_and_retried_is_not_taken_for_the_next(queue, until):
    late, fails = threading.Event(), threading.Event()
    runs = []

    def slow(job):  # noqa: ARG001 - what a processor is given
        runs.append(1)
        if len(runs) == 1:
            fails.wait(20)
            raise ValueError("the first run")
        late.wait(20)
        return "run 2"

    queue.work(slow, concurrency=2)
    job = queue.add(1)
    until(lambda: len(runs) == 1)
    job.cancel()
    job.retry()
    until(lambda: len(runs) == 2)
    fails.set()
    time.sleep(0.3)
    assert job.state == "active"
    late.set()
    assert job.result(10) == "run 2"


def test_a_job_of_a_dead_process_of_this_host_runs_again_at_once(queue, until, caplog):
    job = queue.add(1)
    claim(queue, dead_here())
    queue.work(lambda job: job.attempt)
    # The lease has 30 s left.
    assert job.result(25) == 2
    # It is logged by whoever's word counted, thus after the server has it.
    until(lambda: any("its worker died" in one.getMessage() for one in caplog.records))


def test_a_job_of_another_host_waits_for_the_end_of_its_lease(make_queues, until):
    queue = make_queues(lease=0.6).get_queue("mail")
    job = queue.add(1)
    taken_by = elsewhere()
    claim(queue, taken_by)
    assert (is_dead(taken_by), is_alive(taken_by)) == (False, False)
    worker = queue.work(lambda job: job.attempt)
    assert job.result(10) == 2
    assert worker.running
    until(lambda: queue.counts()["active"] == 0)


def test_a_lease_that_ran_out_while_the_server_was_away_can_still_be_renewed(
    make_queues, until, caplog
):
    queue = make_queues(lease=1.5).get_queue("mail")
    job, other = queue.add(1), elsewhere()
    claimed = claim(queue, other)
    until(lambda: held_of(queue, job.id).left < 0)
    # Now both are back, and this one happens to be first.
    queue.work(lambda job: job.data)
    until(queue.workers)
    for _ in range(20):
        assert list(queue._work_store().renew(other, [claimed.key]).lost) == []
        time.sleep(0.1)
    assert finish(queue, claimed, "completed") == "completed"
    assert "sign of life" not in caplog.text


def test_a_lease_ends_in_its_time_after_the_clock_of_the_server_was_put_back(queue, until):
    go = threading.Event()
    queue.work(lambda _: go.wait(10))
    job = queue.add(1)
    until(lambda: job.state == "active")
    hour = queue._store.now() + 3_600_000
    queue._parts.redis.zadd(f"{queue._store.base}:active", {job.id: hour})
    until(lambda: held_of(queue, job.id).left <= 30)
    go.set()
    assert job.result(10) is True


def test_a_job_that_outlives_none_of_its_workers_fails_for_good(queue, until, caplog):
    job = queue.add("poison", attempts=2)
    claim(queue, dead_here())
    queue.work(lambda _: os.getpid())
    assert job.result(10)
    queue.stop()
    last = queue.add("poison", attempts=1)
    claim(queue, dead_here())
    queue.work(list)
    with pytest.raises(JobFailed, match="its worker died"):
        last.result(10)
    (record,) = until(
        lambda: [one for one in caplog.records if one.getMessage().startswith(f"job {last.id} of")]
    )
    assert record.data["job_id"] == last.id
    assert record.data["attempt"] == 1
    assert "its worker died" in record.data["error"]


def test_a_pid_that_is_used_again_is_another_process():
    host, space, pid, started, nonce = new_owner().split("|")
    assert is_alive(f"{host}|{space}|{pid}|{started}|{nonce}")
    assert is_dead("|".join([host, space, pid, str(int(started) + 1), nonce]))


@pytest.mark.parametrize("place", [0, 1])
def test_a_process_of_another_boot_or_another_pid_namespace_is_not_taken_for_dead(place):
    words = new_owner().split("|")
    words[place] = "another"
    words[2] = "999999999"
    owner = "|".join(words)
    assert (is_dead(owner), is_alive(owner)) == (False, False)


def test_words_that_make_no_sense_are_nobody_who_is_dead():
    assert [is_dead(owner) for owner in ("", "me", "a|b|c", "||||")] == [False] * 4
