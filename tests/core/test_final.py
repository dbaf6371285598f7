"""Errors that are final: an agent or a processor says so, and no other attempt is made."""

from __future__ import annotations

import asyncio

import pytest

from agentnb.core.workflow import Task, TaskFailed
from agentnb.errors import Final, JobFailed


@pytest.fixture
def flows(make_workflows):
    return make_workflows()


@pytest.fixture
def queue(queues):
    return queues.get_queue("final")


def _fails(_, ctx):
    ctx.fail("there is no customer 17")


def _raises(_):
    raise Final("there is no customer 17")


async def _awaits(_, ctx):
    ctx.fail("there is no customer 17")


async def _groups(_, ctx):
    async def look(number):
        await asyncio.sleep(0)
        if number == 17:
            ctx.fail("there is no customer 17")

    async with asyncio.TaskGroup() as group:
        for number in (16, 17):
            group.create_task(look(number))


def _raises_the_class(_):
    raise Final


def _raises_without_a_message(_):
    raise Final()  # noqa: RSE102 - as people write it


def _step(_, ctx):
    ctx.step("look", _raises, 17)


@pytest.mark.parametrize("agent", [_fails, _raises, _awaits, _groups, _step])
def test_a_task_that_fails_for_good_is_not_attempted_again(flows, agent):
    flows.agent("look", attempts=3, backoff=0.01)(agent)
    flows.work()
    workflow = flows.create("w", [Task("t", agent="look")])
    with pytest.raises(TaskFailed, match=r"Final: there is no customer 17|unhandled errors"):
        _ = workflow.wait(20).result
    assert (workflow.task("t").state, workflow.task("t").attempt) == ("failed", 1)


@pytest.mark.parametrize("raises", [_raises_the_class, _raises_without_a_message])
def test_final_without_a_message_ends_a_job_and_a_task_at_once(flows, queue, raises):
    queue.work(raises)
    job = queue.add(17, attempts=3, backoff=0.01)
    with pytest.raises(JobFailed, match=r"failed at attempt 1 of 3: Final"):
        job.result(timeout=20)
    flows.agent("look", attempts=3, backoff=0.01)(raises)
    flows.work()
    workflow = flows.create("w", [Task("t", agent="look")])
    with pytest.raises(TaskFailed):
        _ = workflow.wait(20).result
    assert workflow.task("t").attempt == 1


def test_an_agent_that_catches_it_goes_on(flows):
    @flows.agent("look")
    def look(_, ctx):
        try:
            ctx.fail("no")
        except Final as error:
            return str(error)

    flows.work()
    assert flows.create("w", [Task("t", agent="look")]).wait(20).result == {"t": "no"}


def test_a_job_that_fails_for_good_is_not_attempted_again(queue):
    queue.work(lambda job: job.fail(f"there is no customer {job.data}"))
    job = queue.add(17, attempts=3, backoff=0.01)
    with pytest.raises(JobFailed, match="Final: there is no customer 17"):
        job.result(20)
    assert (job.refresh().state, job.attempt) == ("failed", 1)


def test_any_other_error_is_attempted_again(queue):
    calls = []

    def work(job):
        calls.append(job.attempt)
        raise ValueError(job.data)

    queue.work(work)
    job = queue.add(17, attempts=2, backoff=0.01)
    with pytest.raises(JobFailed):
        job.result(20)
    assert calls == [1, 2]
