"""A processor reaches the hub by its job, and reads the options as they were given."""

from __future__ import annotations

import msgspec
import pytest

import agentnb
from agentnb.core.errors import UsageError
from agentnb.core.queue.options import Message, Options


@pytest.fixture
def hub(redis_home):
    with agentnb.connect(home=redis_home, workspace=redis_home.parent / "work") as hub:
        yield hub


def test_a_processor_has_the_hub_of_its_worker(hub):
    def work(job):
        job.hub.files.write_file("a.txt", "from the job")
        return job.hub.db.query("select 40 + :n", {"n": job.data}).scalar()

    async def awork(job):
        return (await job.hub.db.aquery("select 1")).scalar()

    with hub.queue("a").work(work), hub.queue("b").work(awork):
        job = hub.queue("a").add(2)
        assert job.result(20) == 42
        assert hub.queue("b").add(1).result(20) == 1
    assert job.hub is hub
    assert hub.files.read_file("a.txt") == "from the job"


def test_two_hubs_each_give_a_processor_themselves(hub, redis_home):
    seen = []
    with agentnb.connect(home=redis_home) as other:
        other.queue("a").work(lambda job: seen.append(job.hub))
        hub.queue("a").add(1).result(20)
        assert seen == [other]


def test_a_worker_process_gives_its_processors_a_hub(redis_home, hub, start_worker, tmp_path):
    (tmp_path / "jobs.py").write_text(
        "from agentnb.core.queue import processor\n"
        "@processor('totals')\n"
        "def work(job):\n"
        "    job.hub.cache.set('total', job.data)\n"
        "    return str(job.hub.settings.home)\n"
    )
    worker = start_worker(redis_home, "totals", "--app", "jobs")
    assert hub.queue("totals").add(7).result(60) == str(redis_home)
    assert hub.cache.get("total") == 7
    worker.end()


def test_a_queue_without_a_hub_says_so(queues):
    job = queues.get_queue("alone").add(1)
    with pytest.raises(UsageError, match="queue alone was made without one"):
        _ = job.hub


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"backoff": 3.0, "remove_on_complete": True, "remove_on_fail": False},
        {"backoff": {"type": "exponential", "delay": 7}, "remove_on_complete": 5, "lifo": True},
        {"attempts": 9, "priority": 4, "timeout": 60.0, "key": "order-17", "result_ttl": 9.0},
    ],
    ids=["none", "fixed", "exponential", "others"],
)
def test_the_options_of_a_job_are_the_arguments_that_made_it(hub, given):
    job = hub.queue("mail").add(1, **given)
    arguments = hub.queue("mail").get(job.id).options.arguments()
    assert arguments == Options().arguments() | given
    assert all(getattr(job.options, name) == value for name, value in given.items())
    again = hub.queue("mail").add(1, **arguments)
    assert again.options == job.options


def test_options_are_read_from_messages_of_earlier_versions_and_written_as_those():
    old = b'{"data":1,"options":{"backoff":3.0,"growing":false,"keep":-1,"keep_failed":0}}'
    message = msgspec.json.decode(old, type=Message)
    options = message.options
    assert (options.backoff, options.remove_on_complete, options.remove_on_fail) == (3, False, True)
    assert msgspec.json.encode(message) == old
