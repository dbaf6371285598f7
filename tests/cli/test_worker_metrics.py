"""``agentnb worker --metrics``: what Prometheus and Kubernetes are told."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time

import pytest

import agentnb
from agentnb.core.errors import ConfigError, TaskFailed
from agentnb.core.metrics.address import read_address
from agentnb.core.metrics.server import MetricsServer
from agentnb.core.queue import TaskQueue
from agentnb.core.redis import RedisClient
from agentnb.core.redis.binary import find_binary
from tests.metrics import address_of, get, samples, scrape
from tests.waiting import until

JOBS = """
import multiprocessing, os, time
from concurrent.futures import ProcessPoolExecutor

def echo(job):
    if job.data == "never":
        raise ValueError
    if job.data == "once" and job.attempt == 1:
        raise KeyError
    return job.data

def dies(job):
    if not job.data:
        os.kill(os.getpid(), 9)

def pool():
    # A fork of a worker, which has threads, may hang.
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))

def slow(job):
    job.log("begun")
    time.sleep(job.data)

from agentnb.core.workflow import agent

@agent("write")
def write(task, ctx):
    return task.data

@agent("fails", attempts=2, backoff=0.01)
def fails(task, ctx):
    raise ValueError
"""


@pytest.fixture
def worker(start_worker, steady_home, tmp_path):
    """Return what starts a worker that offers metrics at a port that is free."""
    (tmp_path / "jobs.py").write_text(JOBS)

    def start(*words, home=steady_home, metrics="127.0.0.1:0", **options):
        more = [] if metrics is None else ["--metrics", metrics]
        return start_worker(home, *words, *more, **options)

    return start


@pytest.fixture
def queue(steady_home, request):
    with RedisClient(home=steady_home) as client, TaskQueue(client) as queues:
        yield queues.get_queue(f"m{abs(hash(request.node.name)):x}")


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_the_counts_of_a_workload_are_exact(worker, queue, executor):
    for _ in range(20):
        queue.add("well")
    queue.add("once", attempts=2, backoff=0.01)
    queue.add("never", attempts=2, backoff=0.01)
    queue.add("later", delay=3600)
    one = worker(queue.name, "--processor", "jobs:echo", "--executor", executor)
    address = address_of(one)
    until(lambda: queue.counts().ended == 22)
    name = queue.name
    ended = ("agentnb_job_duration_seconds_count", name)
    found = until(lambda: (new := scrape(address))[ended] == 24 and new["agentnb_up",] and new)
    outcomes = {"completed": 21, "retried": 2, "failed": 1, "released": 0, "cancelled": 0}
    assert samples(found, "agentnb_jobs_total") == {
        (name, outcome): count for outcome, count in (outcomes | {"lost": 0, "parked": 0}).items()
    }
    assert found["agentnb_jobs_started_total", name] == 24
    assert found["agentnb_job_duration_seconds_count", name] == 24
    assert found["agentnb_job_duration_seconds_bucket", name, "+Inf"] == 24
    assert found["agentnb_job_wait_seconds_count", name] == 22
    assert found["agentnb_queue_ended_total", name, "completed"] == 21
    states = {"delayed": 1, "completed": 21, "failed": 1}
    assert samples(found, "agentnb_queue_jobs") == {
        (name, state): states.get(state, 0)
        for state in ("waiting", "paused", "delayed", "active", "completed", "failed", "cancelled")
    }
    assert found["agentnb_workers", name] == found["agentnb_up",] == 1
    assert found["agentnb_queue_oldest_seconds", name] == 0
    assert samples(found, "process_resident_memory_bytes")
    assert one.end() == 0


def test_a_paused_queue_shows_its_oldest_job_and_no_label_is_an_id_or_a_url(worker, queue):
    job = queue.add("first", key="order-17")
    queue.pause()
    address = address_of(worker(queue.name, "--processor", "jobs:echo"))
    found = until(lambda: (new := scrape(address))["agentnb_up",] and new)
    assert found["agentnb_queue_jobs", queue.name, "paused"] == 1
    assert 0 < found["agentnb_queue_oldest_seconds", queue.name] < 60
    assert found["agentnb_queue_paused", queue.name] == 1
    accept = "application/openmetrics-text; version=1.0.0"
    text = get(address, "/metrics", Accept=accept)[1]
    assert text.endswith("# EOF\n")
    for secret in (job.id, "order-17", "unix://", "redis://", ".sock"):
        assert secret not in text
    assert get(address, "/")[0] == 404
    host, port = address.split(":")
    silent = [socket.create_connection((host, int(port))) for _ in range(10)]
    assert get(address, "/metrics?name[]=x")[0] == 200  # and those that say nothing wait
    for one in silent:
        one.close()
    another = worker(queue.name, "--processor", "jobs:echo", AGENTNB_METRICS=address, metrics=None)
    assert another.wait() == 2
    assert "the port is taken" in another.lines[0]
    assert "--metrics 127.0.0.1:0 takes a free one" in another.lines[1]


def test_the_tasks_of_agents_are_counted(worker, tmp_path):
    home = tmp_path / ".agentnb"
    one = worker("--app", "jobs", "--agents", home=home)
    address = address_of(one)
    one.hear("worker started")
    with agentnb.connect(start=tmp_path, home=home) as hub:
        tasks = [{"name": "a", "agent": "write"}, {"name": "b", "agent": "write"}]
        made = hub.workflows.create("w", [*tasks, {"name": "c", "agent": "fails"}])
        with pytest.raises(TaskFailed):
            made.wait(timeout=30)
    ended = [("write", "completed"), ("fails", "failed")]
    found = until(
        lambda: (
            [(new := scrape(address))["agentnb_tasks_total", *one] for one in ended] == [2, 1]
            and new
        )
    )
    assert found["agentnb_tasks_total", "fails", "retried"] == 1
    assert found["agentnb_tasks_started_total", "write"] == 2
    assert found["agentnb_task_wait_seconds_count", "write"] == 2
    states = ("waiting", "delayed", "active", "parked")
    assert samples(found, "agentnb_agent_tasks") == {
        (agent, state): 0 for agent in ("fails", "write") for state in states
    }
    assert found["agentnb_agent_workers", "write"] == 1
    assert ("agentnb_call_duration_seconds_count", "workflow", "task", "ok") in found


def test_a_worker_whose_pool_is_broken_is_not_ready(worker, queue):
    one = worker(queue.name, "--processor", "jobs:dies", "--executor", "jobs:pool")
    address = address_of(one)
    until(lambda: get(address, "/readyz")[0] == 200)
    queue.add(attempts=1)
    one.hear("1 failed|its worker died|takes no attempts")
    job = queue.add(1)
    _, text = until(lambda: (new := get(address, "/readyz"))[0] == 503 and new)
    assert json.loads(text)["services"]["executor"] == "away"
    one.hear("the executor takes no attempts: .*; start the worker again")
    one.process.kill()
    one.wait()
    assert job.refresh().state in {"waiting", "active"}  # and was not failed


def test_a_worker_is_live_and_ready_until_it_is_told_to_stop(worker, queue):
    one = worker(queue.name, "--processor", "jobs:slow", "--concurrency", 2)
    address = address_of(one)
    until(lambda: get(address, "/readyz")[0] == 200)
    status, text = get(address, "/healthz")
    assert (status, json.loads(text)) == (200, {"ok": True, "state": "working"})
    assert json.loads(get(address, "/readyz")[1])["services"]["redis"] == "ok"
    job = queue.add(3)
    until(job.logs)
    one.process.send_signal(signal.SIGTERM)
    status, text = until(lambda: (new := get(address, "/readyz"))[0] == 503 and new)
    assert json.loads(text) == {"ok": False, "state": "stopping", "services": {}}
    assert get(address, "/healthz")[0] == get(address, "/metrics")[0] == 200
    assert job.state == "active"  # readiness failed while the job ran on
    assert one.wait() == 0
    assert job.state == "completed"


def test_a_scrape_is_quick_and_says_so_while_redis_is_away(worker, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [find_binary(), "--port", str(port), "--save", "", "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            one = worker(
                *("mail", "--processor", "jobs:echo", "--wait", 30),
                home=tmp_path / ".agentnb",
                REDIS_URL=f"redis://127.0.0.1:{port}",
            )
            address = address_of(one)
            one.hear("worker started")
            assert scrape(address)["agentnb_up",] == 1
            server.send_signal(signal.SIGSTOP)
            began = time.monotonic()
            found = scrape(address)
            assert time.monotonic() - began < 5
            assert found["agentnb_up",] == 0
            assert not samples(found, "agentnb_queue_jobs")
            assert found["agentnb_jobs_started_total", "mail"] == 0
            assert get(address, "/healthz")[0] == 200
            status, text = get(address, "/readyz")
            assert (status, json.loads(text)["ok"]) == (503, False)
            server.send_signal(signal.SIGCONT)
            until(lambda: scrape(address)["agentnb_up",] == 1)
        finally:
            server.kill()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("nowhere", "HOST:PORT"),
        ("", "HOST:PORT"),
        (":9464", "all interfaces are 0.0.0.0:9464"),
        ("0:9464", "all interfaces are 0.0.0.0:9464"),
        ("::1:9464", "HOST:PORT"),
        ("http://127.0.0.1:9464", "HOST:PORT"),
        ("127.0.0.1:70000", "0 to 65,535"),
        ("127.0.0.1:", "0 to 65,535"),
    ],
)
def test_a_wrong_address_is_refused(text, what):
    with pytest.raises(ValueError, match=what):
        read_address(text)


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("203.0.113.9:9464", "this machine has no such address"),
        ("no.such.host.invalid:9464", "no such host is known"),
    ],
)
def test_an_address_of_no_interface_is_an_error(address, what):
    with pytest.raises(ConfigError, match=what):
        MetricsServer(read_address(address), {})


@pytest.mark.parametrize("how", ["option", "variable"])
def test_a_wrong_address_is_an_error_before_work_is_taken(worker, queue, how):
    job = queue.add("well")
    given = {"AGENTNB_METRICS": ":1", "metrics": None} if how == "variable" else {"metrics": ":1"}
    one = worker(queue.name, "--processor", "jobs:echo", "--drain", **given)
    assert one.wait() == 2
    assert "must be HOST:PORT" in one.lines[0]
    assert len(one.lines) <= 2
    assert job.state == "waiting"


def test_a_missing_package_is_an_error_with_the_line_that_installs_it(
    start_worker, steady_home, tmp_path, queue
):
    (tmp_path / "site").mkdir()
    code = "import sys; sys.modules['prometheus_client'] = None\n"
    (tmp_path / "site/sitecustomize.py").write_text(code)
    words = [queue.name, "--processor", "json:loads", "--metrics", "0"]
    one = start_worker(steady_home, *words, PYTHONPATH=str(tmp_path / "site"))
    assert one.wait() == 2
    assert "needs prometheus_client, which is not installed here" in one.lines[0]
    assert "pip install prometheus_client" in one.lines[1]


def test_another_interface_is_said(worker, queue):
    one = worker(queue.name, "--processor", "jobs:echo", metrics="0.0.0.0:0")
    port = one.hear(r"http://0\.0\.0\.0:(\d+)/metrics.*, open to other machines")[1]
    assert get(f"127.0.0.1:{port}", "/healthz")[0] == 200


def test_a_port_alone_is_one_of_this_machine():
    assert str(read_address("9464")) == "127.0.0.1:9464"
    assert read_address("localhost:1").is_local
    assert read_address("[::1]:1").is_local
    assert not read_address("[::]:1").is_local
    assert not read_address("10.0.0.1:1").is_local
