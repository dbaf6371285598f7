"""What becomes of a job whose worker is gone, or is slow to hear that it lost it."""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time

import pytest

from agentnb.core.queue.failure import JobFailed
from agentnb.core.queue.tender import Tender
from agentnb.core.work.identity import is_alive, is_dead, new_owner


@pytest.fixture
def queue(queues):
    return queues.get_queue("mail")


def take_as(queue, owner):
    """Let somebody take the next job."""
    return queue.store.take(owner)


def dead_here():
    """Return the words of a process of this host that has ended."""
    host, space, pid, started, nonce = new_owner().split("|")
    return "|".join([host, space, pid, str(int(started) - 1), nonce])


def elsewhere():
    """Return the words of a process of another host."""
    _, space, pid, started, _ = new_owner().split("|")
    return "|".join(["another-boot", space, pid, started, secrets.token_hex(4)])


def test_what_comes_late_from_a_worker_that_lost_its_job_does_not_count(queue, caplog):
    caplog.set_level(logging.INFO, "agentnb.queue")
    begun, go = threading.Event(), threading.Event()

    def slow(job):
        begun.set()
        go.wait(10)
        return job.attempt

    worker = queue.work(slow, concurrency=1)
    job = queue.add(1)
    assert begun.wait(10)
    # As the tender of another worker's would: the attempt counts, and the job waits again.
    (attempt,) = queue.huey.storage.running.values()
    queue.pause()
    queue.store.finish(attempt.taken, attempt.owner, "wait", b"gone", counted=True)
    go.set()
    worker.stop()
    said = [record.getMessage() for record in caplog.records]
    assert "job completed" not in said
    assert job.state == "paused"
    queue.resume()
    queue.work(slow, concurrency=1)
    assert job.result(10) == 2


def test_a_look_between_an_end_and_its_answer_takes_nothing_for_lost(queue, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "agentnb.queue")
    lost = []
    queue.work(lambda job: job.data, concurrency=1)
    finish, tender = queue.store.finish, Tender(queue.huey, None)

    def finish_and_look(taken, *args, **options):
        answer = finish(taken, *args, **options)
        tender._look()
        lost.extend(one.lost for one in queue.huey.storage.running.values())
        return answer

    monkeypatch.setattr(queue.store, "finish", finish_and_look)
    assert [job.result(10) for job in [queue.add(n) for n in range(3)]] == [0, 1, 2]
    queue.stop()
    assert lost
    assert not any(lost)
    assert "job is not this worker's any more" not in caplog.text


def test_an_end_whose_answer_was_lost_counts_once(queue):
    job = queue.add(1)
    taken = take_as(queue, "me")
    ends = [queue.store.finish(taken, "me", "completed", b"7")[0] for _ in range(3)]
    assert ends == [1, 3, 3]
    assert queue.counts()["completed_total"] == 1
    assert job.result(1) == 7


def test_a_job_of_a_dead_process_of_this_host_runs_again_at_once(queue, until, caplog):
    job = queue.add(1)
    take_as(queue, dead_here())
    queue.work(lambda job: job.attempt)
    # The lease has 30 s left.
    assert job.result(5) == 2
    # It is logged by whoever's word counted, thus after the server has it.
    until(lambda: any("its worker died" in one.getMessage() for one in caplog.records))


def test_a_job_of_another_host_waits_for_the_end_of_its_lease(make_queues, until):
    queue = make_queues(lease=0.6).get_queue("mail")
    job = queue.add(1)
    taken_by = elsewhere()
    take_as(queue, taken_by)
    assert (is_dead(taken_by), is_alive(taken_by)) == (False, False)
    worker = queue.work(lambda job: job.attempt)
    assert job.result(10) == 2
    assert worker.running
    until(lambda: queue.counts()["active"] == 0)


def test_a_lease_that_ran_out_while_the_server_was_away_can_still_be_renewed(
    make_queues, until, caplog
):
    queue = make_queues(lease=0.3).get_queue("mail")
    job, other = queue.add(1), elsewhere()
    taken = take_as(queue, other)
    until(lambda: queue.store.tend("another", b"", []).others[0].left < 0)
    # Now both are back, and we happen to be first.
    queue.work(lambda job: job.data)
    until(queue.workers)
    for _ in range(8):
        assert queue.store.tend(other, b"", [(job.id, taken.entry)]).lost == []
        time.sleep(0.1)
    assert queue.store.finish(taken, other, "completed", b"1")[0] == 1
    assert "sign of life" not in caplog.text


def test_a_lease_ends_in_its_time_after_the_clock_of_the_server_was_put_back(queue, until):
    go = threading.Event()
    queue.work(lambda _: go.wait(10))
    job = queue.add(1)
    until(lambda: job.state == "active")
    hour = queue.store.now() + 3_600_000
    queue.queues.redis.zadd(f"{queue.store.base}:active", {job.id: hour})
    until(lambda: queue.store.tend("another", b"", []).others[0].left <= 30_000)
    go.set()
    assert job.result(10) is True


def test_a_job_that_outlives_none_of_its_workers_fails_for_good(queue, until, caplog):
    job = queue.add("poison", attempts=2)
    take_as(queue, dead_here())
    queue.work(lambda _: os.getpid())
    assert job.result(10)
    queue.stop()
    last = queue.add("poison", attempts=1)
    take_as(queue, dead_here())
    queue.work(list)
    with pytest.raises(JobFailed, match="its worker died"):
        last.result(10)
    (record,) = until(lambda: [one for one in caplog.records if one.getMessage() == "job failed"])
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
