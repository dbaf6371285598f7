"""Jobs found by state and text, whatever and however many there are."""

from __future__ import annotations

import pytest

from agentnb.core.queue.search import search_ids


@pytest.fixture
def queue(queues):
    return queues.get_queue("mail")


def found(queue, state, text="", **options):
    return [one.id for one in queue.search(state, text, **options).jobs]


def test_a_text_is_found_in_id_data_and_error_and_nowhere_else(queue):
    ada = queue.add({"to": "Ada", "note": 'says "hello"'}, correlation_id="corr", attempts=1)
    bob = queue.add({"to": "Bob Ünal"}, backoff=1)
    assert found(queue, "waiting", "ada") == [ada.id]
    assert found(queue, "waiting", ada.id[2:9].upper()) == [ada.id]
    assert found(queue, "waiting", "Ünal") == [bob.id]
    assert found(queue, "waiting", '"to"') == [ada.id, bob.id]
    for beside in ("attempts", "backoff", "traceparent", "corr", "00-", '"data"'):
        assert found(queue, "waiting", beside) == [], beside

    def fail(_job):
        raise ValueError('it said "no", twice')

    worker = queue.work(fail, concurrency=1)
    bob.cancel()
    worker.drain(20)
    assert found(queue, "failed", 'said "NO"') == [ada.id]
    assert found(queue, "cancelled", "cancelled") == [bob.id]
    assert found(queue, "failed", "test_queue_search.py") == [ada.id]  # of the traceback
    assert found(queue, "failed", "traceback") == []


def test_a_text_is_looked_for_as_far_as_is_asked(queue):
    jobs = [queue.add({"n": number}) for number in range(1200)]
    some = queue.search("waiting", '"n":11', n=50, most=1110)
    assert [one.data for one in some.jobs] == ['{"n":11}'] + [
        f'{{"n":{number}}}' for number in (*range(110, 120), *range(1100, 1110))
    ]
    assert (some.looked, some.total, some.complete) == (1110, 1200, False)
    few = queue.search("waiting", "n", n=7)
    assert [one.id for one in few.jobs] == [job.id for job in jobs[:7]]
    assert not few.complete
    everything = search_ids(queue._parts, "waiting")
    assert everything.jobs == [job.id for job in jobs]
    assert everything.complete
    assert len(search_ids(queue._parts, "waiting", '"n":11').jobs) == 111
    assert not search_ids(queue._parts, "waiting", n=1199).complete


def test_a_large_job_is_found_and_only_its_beginning_is_fetched(queue):
    large = queue.add({"text": "x" * 200_000 + " needle"}, attempts=5)
    [job_summary] = queue.search("waiting", "needle").jobs
    assert job_summary.id == large.id
    assert job_summary.data.startswith('{"text":"xxx')
    assert len(job_summary.data) == 300
    assert job_summary.attempts is None
    assert found(queue, "waiting", "traceparent") == []


def test_many_large_jobs_are_looked_at_in_several_steps(queue):
    for number in range(12):
        queue.add({"n": number, "text": "x" * 900_000})
    assert len(found(queue, "waiting")) == 12
    assert len(found(queue, "waiting", '"n":1')) == 3


def test_a_job_summary_says_where_a_job_stands(queue):
    delayed = queue.add(1, delay=60)
    waiting = queue.add({"password": "hunter22"}, attempts=4)
    [one] = queue.search("waiting").jobs
    assert (one.id, one.queue, one.state, one.attempt, one.attempts) == (
        waiting.id,
        "mail",
        "waiting",
        0,
        4,
    )
    assert "hunter22" not in one.data
    assert one.created <= one.now
    [late] = queue.search("delayed").jobs
    assert late.id == delayed.id
    assert 50 < (late.due - late.now).total_seconds() <= 60
    queue.pause()
    assert [one.state for one in queue.search("waiting").jobs] == ["paused"]
    queue.resume()
    queue.work(lambda job: (job.progress(0.4), job.data)[1], concurrency=1)
    waiting.result(10)
    [done] = queue.search("completed").jobs
    assert (done.progress, done.attempt, done.worker) == (0.4, 1, "")
    assert done.created <= done.started <= done.finished


def test_what_another_program_left_is_shown_as_it_is(queue):
    job = queue.add(1)
    queue._store.redis.hset(f"{queue._store.jobs}{job.id}", "message", b"\xff no json")
    [job_summary] = queue.search("waiting", "no json").jobs
    assert job_summary.data == "\N{REPLACEMENT CHARACTER} no json"
    assert job_summary.attempts is None
