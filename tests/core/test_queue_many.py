"""Adding many jobs at once: in order, each once, and known which where the server goes away."""

from __future__ import annotations

import asyncio

import pytest

from agentnb.core.errors import PartlyAdded, UsageError
from agentnb.core.queue.pieces import MOST_JOBS, NewJob, pieces
from agentnb.core.queue.scripts import ADD_MANY
from agentnb.core.redis import RedisClient
from tests.listening import Relay


@pytest.fixture
def queue(queues):
    return queues.get_queue("mail")


@pytest.fixture
def relay(shared_redis):
    """Return a way to the shared server that can be cut."""
    shared_redis.ping()
    path = shared_redis._manager.server.paths.socket
    with Relay(path) as way:
        yield way


@pytest.fixture
def far_queue(make_queues, relay):
    """Return a queue whose server is reached by the relay."""
    with RedisClient(f"redis://127.0.0.1:{relay.port}", timeout=1.0) as client:
        yield make_queues(client).get_queue("mail")


def test_each_item_is_a_job_in_the_order_of_the_items(queue):
    jobs = queue.add_many(range(3 * MOST_JOBS + 7))
    assert len(jobs) == len({job.id for job in jobs}) == 3 * MOST_JOBS + 7
    assert [job.data for job in jobs] == list(range(3 * MOST_JOBS + 7))
    done = []
    queue.work(lambda job: done.append(job.data), concurrency=1).drain(30)
    assert done == list(range(3 * MOST_JOBS + 7))


def test_no_items_are_no_jobs(queue):
    assert queue.add_many([]) == queue.add_many(iter(())) == []
    assert queue.counts().waiting == 0


def test_options_hold_for_all_jobs_or_are_made_of_each_item(queue):
    jobs = queue.add_many(
        [3, 1, 2],
        priority=lambda item: item,
        delay=lambda item: 60 * (item == 2),
        attempts=5,
        timeout=9,
        result_ttl=7,
    )
    assert [job.options.priority for job in jobs] == [3, 1, 2]
    assert {(job.options.attempts, job.options.timeout) for job in jobs} == {(5, 9.0)}
    assert {job.options.result_ttl for job in jobs} == {7.0}
    assert [job.state for job in jobs] == ["waiting", "waiting", "delayed"]
    assert [job.data for job in queue.jobs("waiting")] == [1, 3]
    assert [job.options.priority for job in queue.add_many([1], priority=4)] == [4]


def test_keys_of_the_items_add_each_job_once(queue):
    first = queue.add_many(["a", "b"], key=lambda item: f"order-{item}")
    again = queue.add_many(["a", "b", "c", "c"], key=lambda item: f"order-{item}")
    assert [job.id for job in again[:2]] == [job.id for job in first]
    assert again[2].id == again[3].id
    assert queue.counts().waiting == 3
    assert queue.add("a", key="order-a").id == first[0].id
    without = queue.add_many(["a", "x"], key=lambda item: None if item == "x" else "order-a")
    assert without[0].id == first[0].id
    assert without[1].options.key is None


def test_a_key_with_other_data_is_refused_and_names_the_key(queue):
    queue.add_many(["a"], key=lambda _: "k")
    with pytest.raises(UsageError, match="key 'k' was used for job"):
        queue.add_many(["b"], key=lambda _: "k")


def test_keys_of_jobs_that_failed_are_said_in_one_line(queue, caplog):
    queue.work(lambda job: 1 / (job.data - job.data))
    for job in queue.add_many([1, 2], key=str, attempts=1):
        with pytest.raises(Exception, match="ZeroDivisionError"):
            job.result(10)
    queue.add_many([1, 2], key=str, attempts=1)
    assert "2 keys are those of jobs that failed or were cancelled" in caplog.text


def test_a_list_is_checked_before_its_first_job_is_added(queue):
    items = [*range(2 * MOST_JOBS), object()]
    with pytest.raises(UsageError, match=r"item 1,000: the job's value cannot be sent"):
        queue.add_many(items)
    assert queue.counts().waiting == 0


def test_a_generator_is_checked_piece_by_piece_and_the_error_says_what_was_added(queue):
    def items():
        yield from range(MOST_JOBS + 1)
        yield object()

    with pytest.raises(UsageError, match=r"500 jobs were added, and then: item 501: "):
        queue.add_many(items())
    assert queue.counts().waiting == MOST_JOBS


def test_an_error_of_a_generator_comes_out_and_says_what_was_added(queue):
    def items():
        yield from range(MOST_JOBS + 1)
        raise ValueError("the disk is full")

    with pytest.raises(ValueError, match="the disk is full") as caught:
        queue.add_many(items())
    assert caught.value.__notes__ == ["500 jobs were added before"]


@pytest.mark.parametrize(
    ("items", "hint"),
    [
        ("text", "[item]"),
        (b"bytes", "[item]"),
        (7, "[item]"),
        (None, "[item]"),
        ({"a": 1}, "list(items.items())"),
    ],
)
def test_what_is_no_list_of_items_is_refused(queue, items, hint):
    with pytest.raises(UsageError, match="items must be a list or another iterable") as caught:
        queue.add_many(items)
    assert hint in caught.value.hint


def test_a_frame_is_refused_with_what_makes_its_rows(queue):
    pandas = pytest.importorskip("pandas")
    with pytest.raises(UsageError) as caught:
        queue.add_many(pandas.DataFrame({"a": [1]}))
    assert caught.value.hint == 'frame.to_dict("records")'


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key": "k"}, "key must be a function of the item"),
        ({"key": lambda item: item}, "key must be text, got 1"),
        ({"key": lambda item: ""}, "key must be text that names the work"),  # noqa: ARG005
        ({"priority": -1}, "priority must be"),
        ({"priority": lambda item: -1}, "item 0: priority must be"),  # noqa: ARG005
        ({"delay": -1}, "delay must be"),
        ({"delay": lambda item: "x"}, "item 0: delay must be"),  # noqa: ARG005
        ({"attempts": 0}, "attempts must be"),
        ({"correlation_id": 7}, "correlation_id"),
    ],
)
def test_options_that_cannot_be_used_are_refused_before_a_job_is_added(queue, options, message):
    with pytest.raises(UsageError, match=message):
        queue.add_many([1, 2], **options)
    assert queue.counts().waiting == 0


def test_large_items_are_cut_into_pieces_by_their_size(queue):
    big = "x" * 200_000
    made = [NewJob(str(n), b"", 0, 0.0, big.encode()) for n in range(5)]
    assert [len(piece) for piece in pieces(made)] == [2, 2, 1]
    assert [len(job.data) for job in queue.add_many([big] * 5)] == [200_000] * 5


def test_an_answer_that_is_lost_adds_no_job_twice(far_queue, relay):
    states = []

    def passes(_, data):
        if not states and ADD_MANY.sha.encode() in data:
            states.append("sent")
        elif states == ["sent"]:  # the answer
            states.append("lost")
            relay.cut()
            return False
        return True

    far_queue.add_many([0])  # the script is known
    relay._passes = passes
    jobs = far_queue.add_many(range(20))
    assert states == ["sent", "lost"]
    assert len(jobs) == 20
    assert far_queue.counts().waiting == 21


def test_a_server_that_goes_away_in_the_middle_leaves_the_ids_of_what_was_added(
    far_queue, queue, relay
):
    seen = []

    def items():
        for n in range(3 * MOST_JOBS):
            if n == 2 * MOST_JOBS:
                relay.cut()
                relay._passes = lambda *_: False
            yield n

    with pytest.raises(PartlyAdded, match="500 jobs were added, 500 may have been") as caught:
        far_queue.add_many(items())
    error = caught.value
    assert (len(error.added), len(error.uncertain)) == (MOST_JOBS, MOST_JOBS)
    seen = [job.id for job in queue.jobs("waiting", 5000)]
    assert seen[:MOST_JOBS] == error.added
    assert seen[MOST_JOBS:] in ([], error.uncertain)


def test_a_schema_checks_each_item(queue):
    queue.process(lambda job: job.data, schema=int)
    with pytest.raises(UsageError, match="item 1: the job's value is"):
        queue.add_many([1, "x"])


def test_many_are_added_without_blocking_the_loop(queue):
    async def main():
        jobs = await queue.aadd_many(["a", "b"], correlation_id="c-7")
        return [job.correlation_id for job in jobs]

    assert asyncio.run(main()) == ["c-7", "c-7"]
