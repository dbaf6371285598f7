"""The progress of a job is a fraction, as that of a task is."""

from __future__ import annotations

import asyncio
import inspect

import numpy as np
import pytest

from agentnb.core.errors import UsageError
from agentnb.core.queue import Job


@pytest.fixture
def queue(queues):
    return queues.get_queue("films")


@pytest.mark.parametrize("given", [0, 0.07, 0.5, 1 / 3, 1, np.float32(0.25)])
def test_a_fraction_is_kept_and_read_as_one(queue, given):
    job = queue.add(1)
    job.progress(given)
    assert job.progress() == pytest.approx(float(given), abs=1e-10)
    assert job.snapshot().progress == queue.search("waiting").jobs[0].progress == job.progress()


@pytest.mark.parametrize("given", [50, 1.5, 100, -0.1, np.int64(2)])
def test_a_number_that_is_no_fraction_is_refused_with_the_right_call(queue, given):
    job = queue.add(1)
    with pytest.raises(UsageError, match=f"progress must be 0 to 1, got {given:g}") as caught:
        job.progress(given)
    assert caught.value.hint == "job.progress(0.5); of a count: job.progress(done / total)"
    assert job.progress() is None


def test_a_percentage_is_a_deprecated_keyword(queue):
    job = queue.add(1)
    with pytest.warns(DeprecationWarning, match="give the fraction") as warned:
        job.progress(percent=40)
    assert warned[0].filename == __file__  # else Python hides it
    assert job.progress() == 0.4
    with (
        pytest.warns(DeprecationWarning, match="percent"),
        pytest.raises(UsageError, match="percent must be 0 to 100, got 101"),
    ):
        job.progress(percent=101)


def test_percent_that_an_earlier_version_kept_is_read_as_a_fraction(queue):
    job = queue.add(1)
    queue._store.redis.hset(f"{queue._store.jobs}{job.id}", "progress", b"40")
    assert job.progress() == queue.search("waiting").jobs[0].progress == 0.4


@pytest.mark.parametrize("given", ["half", {"pages": 3}, [1, 2], True, None])
def test_another_value_is_kept_as_it_is(queue, given):
    job = queue.add(1)
    job.progress(given)
    assert job.progress() == given


def test_an_event_of_progress_has_the_fraction(make_queues, bus, until):
    queue = make_queues(events=bus).get_queue("told")
    seen = []
    bus.subscribe("queue.told.progress", lambda event: seen.append(event.data["progress"]))
    job = queue.add(1)
    job.progress(0.5)
    asyncio.run(job.aprogress(0.75))
    assert until(lambda: len(seen) == 2 and seen) == [0.5, 0.75]


def test_help_shows_no_address_as_a_default():
    assert "0x" not in str(inspect.signature(Job.progress))
