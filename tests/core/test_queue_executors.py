"""Jobs that run by an executor, beyond the tests of jobs and tasks in `test_executors`."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import multiprocessing
import os
import random
import signal
import sys
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import msgspec
import pytest

import agentnb
from agentnb.core.errors import AgentnbError, ConfigError, UsageError
from agentnb.core.work.executors import far, near
from agentnb.core.work.executors.engine import AttemptExecutor
from agentnb.core.work.executors.record import Record, versions, write
from tests.core import executor_jobs as jobs

pytestmark = pytest.mark.usefixtures("importable")

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """Yield a hub whose home is named in the environment, as on the far side."""
    home = tmp_path_factory.mktemp("far") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AGENTNB_HOME", str(home))
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        patch.delenv("REDIS_URL", raising=False)
        with agentnb.connect() as made:
            yield made


@pytest.fixture
def queue(hub):
    found = hub.queue(f"x{next(_NUMBERS)}")
    yield found
    found.stop(0)


@pytest.fixture
def brief(hub):  # noqa: ARG001 - its environment
    """Yield a queue whose leases are brief."""
    with agentnb.connect(queue_lease=0.5) as short:
        yield short.queue(f"x{next(_NUMBERS)}")


@pytest.fixture(scope="module")
def spawned(hub):  # noqa: ARG001 - its environment
    """Yield a pool of the standard library's, whose processes are fresh interpreters."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.fixture(scope="module")
def shared(hub):  # noqa: ARG001 - its environment
    """Yield threads of this process, as an executor."""
    with ThreadPoolExecutor(4) as pool:
        yield pool


def notes(folder, word):
    lines = (folder / "notes").read_text().splitlines() if (folder / "notes").exists() else []
    return [line.split()[1:] for line in lines if line.startswith(f"{word} ")]


# The ordinary course


@pytest.mark.parametrize("kind", ["shared", "processes"])
def test_a_job_runs_by_the_executor_with_the_services_of_that_side(queue, hub, kind, request):
    executor = kind if kind == "processes" else request.getfixturevalue(kind)
    worker = queue.work(jobs.who, executor=executor, concurrency=2)
    job = queue.add("stamps")
    pid, data = job.result(60)
    assert data == "stamps"
    assert (pid == os.getpid()) == (kind == "shared")
    assert job.logs() == [f"in {pid}"]
    assert job.progress() == 0.5
    assert hub.cache.get("seen") == "stamps"
    assert "2" in repr(worker)
    seen = queue._store.show(job.id)
    assert "begun" not in seen.fields


def test_the_setting_is_the_default_of_work(hub):
    with agentnb.connect(executor="processes", home=hub.settings.home) as other:
        worker = other.queue("setting").work(jobs.who, concurrency=1)
        assert worker.executor == "processes"
        assert other.queue("setting").add(1).result(60)[0] != os.getpid()
        assert other.queue("setting").work(executor="threads", concurrency=1) is not worker
        assert other.queue("setting").add(1).result(60)[0] == os.getpid()


def test_a_marked_function_keeps_its_schema_there(spawned, hub):
    doubles = hub.queue("doubles")
    doubles.work(jobs.double, schema=int, executor=spawned)
    try:
        assert doubles.add(21).result(60) == 42
    finally:
        doubles.stop()


# What ends an attempt


def test_a_job_whose_process_is_killed_runs_again_and_that_is_counted(queue, hub, tmp_path, until):
    queue.work(jobs.die_once, executor="processes", concurrency=2)
    with hub.trace.run("nightly") as run:
        job = queue.add([str(tmp_path), 0])
    assert job.result(60) == 2
    assert [attempt for _, attempt, _ in notes(tmp_path, "begun")] == ["1", "2"]

    def attempts():
        spans = hub.trace.get(run.trace_id).find(service="queue", name="process")
        return [(one.attempt, one.outcome, one.process.role) for one in spans]

    # However soon the process ended, its attempt is seen.
    until(lambda: attempts() == [(1, "Lost", "executor"), (2, "ok", "executor")])


def test_a_job_that_takes_longer_than_its_lease_is_kept_alive_there(
    brief, shared, tmp_path, monkeypatch
):
    monkeypatch.setattr(far, "_LONGEST_INTERVAL", 60.0)
    monkeypatch.setattr(far, "_pulses", far._Pulses())  # a third of the lease, and no sooner
    brief.work(jobs.nap, executor=shared, concurrency=1)
    job = brief.add([str(tmp_path), 2])  # four leases
    assert job.result(30) == os.getpid()
    assert len(notes(tmp_path, "begun")) == 1


def test_a_process_begins_a_job_without_a_message_to_the_server(queue, hub):
    def scripts():
        return hub.redis.info("commandstats")["cmdstat_evalsha"]["calls"]

    worker = queue.work(jobs.double, executor="processes", concurrency=2)
    assert queue.add(1).result(60) == 2
    queue.pause()
    added = [queue.add(n) for n in range(200)]
    queue.resume()
    before = scripts()
    worker.drain(60)
    # One script ends each job and claims the next; leases are renewed each half second.
    assert scripts() - before < 350
    assert [job.result() for job in added] == [2 * n for n in range(200)]


def test_a_process_that_is_killed_in_a_later_job_costs_an_attempt(queue, tmp_path):
    queue.work(jobs.die_where_told, executor="processes", concurrency=1)
    assert queue.add(None).result(60) == 1
    assert queue.add([str(tmp_path)]).result(60) == 2
    # Once each, although the server had not heard of the first one's begin.
    assert [attempt for _, attempt, _ in notes(tmp_path, "begun")] == ["1", "2"]


def test_the_first_sign_of_life_says_that_a_job_has_begun_in_a_process(queue, until, tmp_path):
    queue.work(jobs.nap, executor="processes", concurrency=1)
    job = queue.add([str(tmp_path), 30])
    began = until(lambda: queue._store.show(job.id).fields.get("begun")).decode()
    assert f"|{until(lambda: notes(tmp_path, 'begun'))[0][2]}|" in began
    job.cancel()


def test_a_process_that_dies_between_a_call_and_its_begin_costs_no_attempt(
    queue, tmp_path, monkeypatch
):
    monkeypatch.setattr(near, "_BROKEN_SECONDS", 0.1)
    monkeypatch.syspath_prepend(tmp_path)
    name = f"fatal{next(_NUMBERS)}"
    (tmp_path / f"{name}.py").write_text(FATAL)
    module = importlib.import_module(name)
    queue.work(module.attempt, executor="processes", concurrency=1)
    pid = queue.add(None).result(60)[0]
    flag = tmp_path / "die"
    flag.touch()
    os.kill(pid, signal.SIGKILL)
    job = queue.add(None, attempts=1)
    assert job.result(60)[1] == 1
    assert not flag.exists()  # a process has died with the call


FATAL = """
import os, pathlib

flag = pathlib.Path(__file__).with_name("die")
if flag.exists():
    flag.unlink()
    os._exit(9)


def attempt(job):
    return os.getpid(), job.attempt
"""


def test_a_process_that_is_stopped_in_an_attempt_is_silent_and_that_is_counted(
    brief, until, tmp_path
):
    brief.work(jobs.nap_once, executor="processes", concurrency=1)
    job = brief.add([str(tmp_path), 60])
    pid = int(until(lambda: notes(tmp_path, "begun"))[0][2])
    os.kill(pid, signal.SIGSTOP)
    assert job.result(60) == 2
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    brief.stop(0)


@pytest.mark.skipif(sys.platform != "linux", reason="holds the lock of the interpreter by libc")
def test_an_attempt_that_holds_the_interpreter_from_its_first_line_is_killed_at_its_time_out(queue):
    queue.work(jobs.hold_interpreter, executor="processes", concurrency=1)
    queue.add(0).result(60)  # of a later job the server hears a moment after its begin
    job = queue.add(60, attempts=1, timeout=0.5)
    with pytest.raises(AgentnbError, match=r"longer than 0\.5 s; its process was killed"):
        job.result(60)


class Odd(ThreadPoolExecutor):
    """An executor that does something else to the first calls that run an attempt."""

    def __init__(self, instead, calls=1):
        super().__init__(2)
        self.instead, self.calls = instead, calls

    def submit(self, function, /, *args, **options):
        if function is far.run and self.calls > 0:
            self.calls -= 1
            return self.instead(super().submit, *args)
        return super().submit(function, *args, **options)


def broken(*_):
    future = Future()
    future.set_exception(BrokenProcessPool("a process has died at its start"))
    return future


def of_another_version(submit, data):
    record = msgspec.json.decode(data) | {"version": "9.9"}
    return submit(far.run, msgspec.json.encode(record))


@pytest.mark.parametrize(
    ("instead", "words"),
    [
        (broken, "the executor takes no attempts: a process has died at its start"),
        (of_another_version, "attempts are refused: agentnb is 9.9"),
    ],
)
def test_a_call_that_has_not_begun_its_attempt_costs_none(
    queue, instead, words, caplog, monkeypatch
):
    monkeypatch.setattr(near, "_REFUSED_SECONDS", 0.1)
    monkeypatch.setattr(near, "_BROKEN_SECONDS", 0.1)
    with Odd(instead, 2) as executor:
        queue.work(jobs.who, executor=executor, concurrency=1)
        job = queue.add(1, attempts=1)
        assert job.result(30)[1] == 1
        assert job.refresh().attempt == 1
        assert caplog.text.count(words) == 1


def test_a_function_that_is_given_later_and_cannot_be_imported_lets_jobs_wait(
    queue, shared, caplog, until, monkeypatch
):
    monkeypatch.setattr(near, "_REFUSED_SECONDS", 0.1)
    queue.work(jobs.who, executor=shared, concurrency=1)
    queue.process(lambda job: job.data)
    job = queue.add(1, attempts=1)
    until(lambda: "attempts are refused: the processor is a lambda" in caplog.text)
    with pytest.raises(UsageError, match="is a lambda"):
        queue.work(executor=shared, concurrency=1)
    queue.process(jobs.who)
    assert job.result(30)[1] == 1


# Refusals


def test_what_is_no_executor_is_refused(queue):
    with pytest.raises(UsageError, match="executor must be threads, processes") as caught:
        queue.work(jobs.who, executor="proceses")
    assert "did you mean processes?" in caught.value.hint


def test_a_hub_of_other_settings_is_refused_before_a_job_is_claimed(spawned, tmp_path):
    with agentnb.connect(home=tmp_path / "other") as other:
        mine = other.queue("mail")
        job = mine.add(1)
        with pytest.raises(ConfigError, match="the jobs are those of the embedded server") as got:
            mine.work(jobs.who, executor=spawned)
        assert "AGENTNB_HOME" in got.value.message
        assert (job.state, mine.worker) == ("waiting", None)


def test_another_prefix_of_the_same_server_is_another_store(spawned):
    with (
        agentnb.connect(key_prefix="elsewhere") as other,
        pytest.raises(ConfigError, match="prefix elsewhere"),
    ):
        other.queue("mail").work(jobs.who, executor=spawned)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": "9.9"}, "agentnb is 9.9 on the side of the worker, and "),
        ({"python": "2.7"}, "Python is 2.7 on the side of the worker, and "),
        ({"local_to": "another-host"}, "serves one host, and this process runs on another"),
        ({"local_to": ""}, "REDIS_URL is not set in this process"),
        ({"function": "no_such_module:send"}, "no_such_module cannot be imported"),
        ({"function": "tests.core.executor_jobs:sned"}, "executor_jobs has no sned"),
        ({"store": "another"}, "the jobs are those of"),
    ],
)
def test_a_far_side_says_why_it_runs_no_such_record(queue, changes, words):
    from msgspec.structs import replace

    from agentnb.core.queue.remote import job_records

    queue.process(jobs.who)
    record = job_records(queue, queue._parts, queue.queues._keys, lambda: queue.current)(None)
    assert far.check(write(record)) is None
    assert words in far.check(write(replace(record, **changes)))


def test_a_record_that_is_none_is_refused():
    assert "cannot be read" in far.check(b"nonsense")
    cut = write(Record("job", "s", "w", "q", **versions()._asdict()))[:-9]
    assert "cannot be read" in far.check(cut + b"}")


def test_a_broken_executor_says_so_and_loses_nothing(queue, caplog, until, monkeypatch):
    monkeypatch.setattr(near, "_BROKEN_SECONDS", 0.1)

    class Broken(AttemptExecutor):
        calls = 0

        def check(self, function, *args):
            pass

        def submit(self, *_, **__):
            self.calls += 1
            raise BrokenProcessPool("all are gone")

    broken = Broken()
    queue.work(jobs.who, executor=broken, concurrency=1)
    job = queue.add(1)
    until(lambda: broken.calls > 1)
    assert "takes no attempts: all are gone; start the worker again" in caplog.text
    assert queue.worker.elsewhere.away
    queue.stop()
    assert (job.state, job.refresh().attempt) == ("waiting", 0)
    queue.work(jobs.who, concurrency=1)
    assert job.result(30)[1] == 1


def test_a_queue_without_a_hub_has_no_other_side(shared_redis, shared):
    from agentnb.core.queue import Queues

    with (
        Queues(shared_redis, prefix="bare") as queues,
        pytest.raises(UsageError, match="executor= needs a hub"),
    ):
        queues.get_queue("mail").work(jobs.who, executor=shared)


# Loss


@pytest.mark.parametrize("seed", range(int(os.environ.get("AGENTNB_TEST_ROUNDS", "2"))))
def test_no_job_is_lost_or_counted_twice_while_processes_are_killed(queue, tmp_path, until, seed):
    draw = random.Random(seed)
    queue.work(jobs.nap, executor="processes", concurrency=3)
    added = [queue.add([str(tmp_path), draw.uniform(0, 0.1)], attempts=20) for _ in range(40)]
    for _ in range(4):
        ended = {tuple(one) for one in notes(tmp_path, "done")}

        def running(ended=ended):
            begun = notes(tmp_path, "begun")
            return [one[2] for one in begun if tuple(one) not in ended]

        victim = int(draw.choice(until(running)))
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, draw.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
    for job in added:
        job.result(60)
    counts = queue.counts()
    assert (counts.left, counts["completed_total"], counts["failed_total"]) == (0, 40, 0)
    begun, done = notes(tmp_path, "begun"), notes(tmp_path, "done")
    assert {id_ for id_, *_ in done} == {job.id for job in added}
    assert len({(id_, attempt) for id_, attempt, _ in begun}) == len(begun)  # none begun twice
