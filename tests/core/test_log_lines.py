"""Each event that the integrations have to log: its line, its logger and its level."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import signal
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

import agentnb
from agentnb.core.errors import AgentnbError
from agentnb.core.trace import ServiceLog, use

from .api_server import says

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "hunter22hunter22"  # what is in files and replies
TOKEN = f"ghp_{'x' * 36}"


@dataclass
class Kit:
    """A hub, what the rows need beside it, and what has been logged."""

    hub: agentnb.Hub
    request: Any
    until: Any
    home: Any

    def fixture(self, name):
        return self.request.getfixturevalue(name)


def refused(call):
    with contextlib.suppress(AgentnbError):
        call()


def database_error(kit):
    refused(lambda: kit.hub.db.query("select nothing"))


def operation_failed(kit):
    with contextlib.suppress(ValueError):
        kit.hub.db.run(lambda _: int("no"))


def redis_error(kit):
    pid = int(kit.hub.redis.info("server")["process_id"])
    os.kill(pid, signal.SIGKILL)
    kit.hub.redis.get("x")


def unreadable_event(kit):
    with kit.hub.events.subscribe("made", print):
        kit.hub.redis.publish(kit.hub.events._keys.channel("made"), f"{{no json, token={TOKEN}")
        kit.until(kit.hub.events.dead_letters, seconds=20)


def publish(kit):
    kit.hub.events.publish("made", {"password": SECRET, "n": 1, "text": "x" * 1000})


def subscribe(kit):
    kit.hub.events.subscribe("made", print).close()


def job(kit):
    kit.hub.queue("q").work(lambda job: job.data["n"])
    kit.hub.queue("q").add({"n": 1, "password": SECRET}).result(timeout=20)
    kit.until(lambda: kit.hub.queue("q").counts()["completed"], seconds=20)
    kit.hub.queue("q").stop()


def failing_job(kit):
    def fail(_):
        raise ValueError(f"password={SECRET}")

    kit.hub.queue("q").work(fail)
    refused(lambda: kit.hub.queue("q").add({}, attempts=1).result(timeout=20))
    kit.hub.queue("q").stop()


def unreadable(kit):
    refused(lambda: kit.hub.files.read_file("nothing"))


def taken(kit):
    kit.hub.files.write_file("a/b", "x")
    refused(lambda: kit.hub.files.write_file("a", SECRET))


def no_directory(kit):
    kit.hub.files.write_file("a", "x")
    refused(lambda: kit.hub.files.ensure_directory("a/b"))


def outside(kit):
    refused(lambda: kit.hub.files.write_file("../out", SECRET))


def write(kit):
    kit.hub.files.write_file("a", SECRET)


def rest_of_files(kit):
    write(kit)
    kit.hub.files.read_file("a")
    kit.hub.files.copy_file("a", "b")
    kit.hub.files.move("b", "c")
    kit.hub.files.delete("c")


def repository(kit):
    repo = kit.hub.repo("app")
    repo.initialize()
    kit.hub.files.write_file("app/a", SECRET)
    repo.add_files()
    repo.commit("first")
    return repo


def branch(kit):
    repository(kit).create_branch("fix")


def push(kit):
    bare = kit.home.parent / "bare.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", bare], check=True)
    repo = repository(kit)
    subprocess.run(
        ["git", "-C", str(repo.path), "remote", "add", "origin", f"file://{bare}"], check=True
    )
    repo.push("origin", repo.current_branch())


def clone(kit):
    source = repository(kit).path
    kit.hub.repo().clone(f"file://{source}", "copy")


def ask(kit, path="/x", **options):
    web = kit.fixture("web")
    web.on("/x", says(200, {"n": 1}))
    web.on("/failing", says(500, {"n": 1}))
    refused(lambda: kit.hub.api(web.url, auth=SECRET, **options).post(path, {"password": SECRET}))


def ask_nobody(kit):
    refused(lambda: kit.hub.api("http://127.0.0.1:1", timeout=1).post("/x", {}))


def ask_again(kit):
    web = kit.fixture("web")
    web.on("/x", says(503, {}), says(200, {}))
    kit.hub.api(web.url).get("/x")


def build(kit):
    image = kit.fixture("docker_image")
    kit.hub.docker.build_image(None, "app:1", text=f"FROM {image}\nENV A=1\n")
    kit.hub.docker.prune(images=True)


def failing_build(kit):
    image = kit.fixture("docker_image")
    text = f"FROM {image}\nRUN echo token={TOKEN}; exit 3\n"
    refused(lambda: kit.hub.docker.build_image(None, "app:1", text=text))
    kit.hub.docker.prune(images=True)


def container(kit):
    docker = kit.hub.docker
    one = docker.run_container(kit.fixture("docker_image"), ["sleep", "60"], env={"TOKEN": TOKEN})
    docker.exec(one.name, ["true"])
    docker.stop_container(one.name, grace=0)


def run(kit):
    kit.hub.docker.run(kit.fixture("docker_image"), ["echo", SECRET])


def failing_container(kit):
    kit.fixture("docker_image")
    refused(lambda: kit.hub.docker.run_container("no-such-image", ["true"]))
    refused(lambda: kit.hub.docker.stop_container("nothing"))
    refused(lambda: kit.hub.docker.exec("nothing", ["true"]))


def socket(kit, do=None):
    peer = kit.fixture("peer")
    client = kit.hub.websocket(peer.url(f"/?token={SECRET}"))
    errors = []
    client.on("error", errors.append)
    client.connect()
    if do is not None:
        client.send({"do": "raw", "text": do})
        kit.until(lambda: errors, seconds=20)
    client.disconnect()
    return client


def malformed(kit):
    socket(kit, do="{no json")


def no_socket(kit):
    client = kit.hub.websocket("ws://127.0.0.1:1/", timeout=1)
    refused(client.connect)


def unsent(kit):
    kit.hub.websocket("ws://127.0.0.1:1/").send({"n": 1})


@dataclass
class Row:
    """An event, the line that tells of it, and what brings it about."""

    text: str  # a regular expression
    logger: str
    level: str
    does: Callable[[Kit], object]
    data: tuple[str, ...] = ()


_FAILED = ("queue", "job_id", "error", "attempt", "left", "state", "ms")
ROWS = [
    Row("database connected", "db", "INFO", lambda kit: kit.hub.db.query("select 1")),
    Row("database error", "db", "ERROR", database_error),
    Row("database operation failed", "db", "ERROR", operation_failed),
    Row("database disconnected", "db", "INFO", lambda kit: kit.hub.db.query("select 1")),
    Row("redis connected", "redis", "INFO", lambda kit: kit.hub.redis.get("x"), ("target",)),
    Row("redis error", "redis", "ERROR", redis_error, ("target",)),
    Row("redis disconnected", "redis", "INFO", lambda kit: kit.hub.redis.get("x")),
    Row("failed to parse event", "events", "ERROR", unreadable_event, ("channel", "message")),
    Row("event published", "events", "DEBUG", publish, ("channel", "event")),
    Row("subscribed to channel", "events", "DEBUG", subscribe, ("channel",)),
    Row("unsubscribed from channel", "events", "DEBUG", subscribe, ("channel",)),
    Row("processing job", "queue", "INFO", job, ("queue", "job_id")),
    Row("job completed", "queue", "INFO", job, ("queue", "job_id", "data")),
    Row("job [a-z0-9]+ of q failed at attempt 1 of 1", "queue", "ERROR", failing_job, _FAILED),
    Row(
        "directory created",
        "files",
        "DEBUG",
        lambda kit: kit.hub.files.ensure_directory("a"),
        ("path",),
    ),
    Row("failed to create directory", "files", "ERROR", no_directory, ("path", "error")),
    Row("file written", "files", "DEBUG", write, ("path",)),
    Row("failed to write file", "files", "ERROR", taken, ("path", "error")),
    Row("failed to write file", "files", "ERROR", outside, ("path", "error")),
    Row("failed to read file", "files", "ERROR", unreadable, ("path", "error")),
    Row("file read", "files", "DEBUG", rest_of_files, ("path",)),
    Row("copied", "files", "DEBUG", rest_of_files, ("path", "to")),
    Row("moved", "files", "DEBUG", rest_of_files, ("path", "to")),
    Row("deleted", "files", "DEBUG", rest_of_files, ("path",)),
    Row("git repository initialized", "git", "INFO", repository, ("path",)),
    Row("repository cloned", "git", "INFO", clone, ("url", "path")),
    Row("changes committed", "git", "INFO", repository, ("sha",)),
    Row("changes pushed", "git", "INFO", push, ("remote", "branch")),
    Row("branch created", "git", "INFO", branch, ("branch",)),
    Row("API request POST", "api", "DEBUG", ask, ("method", "url", "data")),
    Row("API response POST", "api", "DEBUG", ask, ("status", "url")),
    Row(
        "API response error",
        "api",
        "ERROR",
        lambda kit: ask(kit, "/failing"),
        ("status", "url", "error"),
    ),
    Row("API request error", "api", "ERROR", ask_nobody, ("url", "error")),
    Row("API request retry", "api", "WARNING", ask_again, ("attempt", "left")),
    Row("Docker build completed", "docker", "INFO", build, ("tag",)),
    Row("Docker build failed", "docker", "ERROR", failing_build, ("tag", "error")),
    Row("container started", "docker", "INFO", container, ("image", "id")),
    Row("container stopped", "docker", "INFO", container, ("id",)),
    Row("exec in container", "docker", "DEBUG", container, ("container", "exit_code")),
    Row("container ended", "docker", "DEBUG", run, ("id", "exit_code")),
    Row("container failed to start", "docker", "ERROR", failing_container, ("image", "error")),
    Row("container failed to stop", "docker", "ERROR", failing_container, ("container", "error")),
    Row("exec failed", "docker", "ERROR", failing_container, ("container", "error")),
    Row("WebSocket connected", "websocket", "INFO", socket, ("url",)),
    Row("failed to parse WebSocket message", "websocket", "ERROR", malformed, ("url", "error")),
    Row("WebSocket disconnected", "websocket", "INFO", socket, ("url",)),
    Row("WebSocket error", "websocket", "ERROR", no_socket, ("url", "error")),
    Row("WebSocket not connected, message not sent", "websocket", "WARNING", unsent),
]


class Lines(logging.Handler):
    def __init__(self):
        super().__init__(logging.DEBUG)
        self.records = []

    def emit(self, record):
        self.records.append(record)


@pytest.fixture
def records():
    """Return what is logged under agentnb, down to DEBUG."""
    logger, lines = logging.getLogger("agentnb"), Lines()
    before = logger.level
    logger.addHandler(lines)
    logger.setLevel(logging.DEBUG)
    yield lines.records
    logger.setLevel(before)
    logger.removeHandler(lines)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.text} by {row.does.__name__}")
def test_an_event_is_logged_on_its_service_and_level(row, records, request, redis_home, until):
    workspace = redis_home.parent / "workspace"
    with use(None), agentnb.connect(home=redis_home, workspace=workspace) as hub:
        hub_id = hub.runtime.hub_id
        row.does(Kit(hub, request, until, redis_home))
    ours = [one for one in records if getattr(one, "hub", None) == hub_id]
    found = [one for one in ours if re.match(row.text, one.getMessage())]
    assert found, "\n".join(f"{one.name} {one.getMessage()}" for one in records)
    one = found[0]
    assert (one.name, one.levelname) == (f"agentnb.{row.logger}", row.level)
    assert set(row.data) <= set(getattr(one, "data", {}))
    told = "\n".join(f"{one.getMessage()} {getattr(one, 'data', '')}" for one in records)
    assert SECRET not in told
    assert TOKEN not in told
    logs = redis_home / "logs"
    lines = [line for file in logs.glob("agentnb-*") for line in file.read_text().splitlines()]
    assert [line for line in map(json.loads, lines) if re.match(row.text, line["message"])]


def test_what_an_event_carries_is_cut_and_says_so(records, redis_home):
    with agentnb.connect(home=redis_home) as hub:
        hub.events.publish("made", {"text": "x" * 10_000})
    [one] = [one for one in records if one.getMessage().startswith("event published")]
    assert one.data["event"].endswith("x…")
    assert len(one.data["event"]) == 301


@pytest.mark.parametrize(("level", "count"), [(None, 0), ("DEBUG", 1)])
def test_a_setting_says_what_the_homes_log_takes(tmp_path, monkeypatch, level, count):
    if level:
        monkeypatch.setenv("AGENTNB_LOG_LEVEL", level)
    with agentnb.connect(home=tmp_path / "home", workspace=tmp_path / "w") as hub:
        hub.files.write_file("a", "x")
        hub.db.query("select 1")
        assert hub.logs.path.read_text().count("file written: a") == count


def test_a_logger_that_the_user_sets_to_debug_is_in_the_homes_log(tmp_path):
    logger = logging.getLogger("agentnb.files")
    logger.setLevel(logging.DEBUG)
    try:
        with agentnb.connect(home=tmp_path / "home", workspace=tmp_path / "w") as hub:
            hub.files.write_file("a", "x")
            hub.db.query("select 1")
            text = hub.logs.path.read_text()
    finally:
        logger.setLevel(logging.NOTSET)
    assert "file written: a" in text
    assert '"level":"DEBUG","logger":"agentnb.db"' not in text


def test_two_hubs_keep_their_lines_apart(tmp_path):
    def hub(name):
        return agentnb.connect(home=tmp_path / name, workspace=tmp_path / f"{name}-w")

    with hub("one") as one, hub("two") as two:
        for each in (one, two):
            with contextlib.suppress(AgentnbError):
                each.files.read_file(each.runtime.hub_id)
        for mine, other in ((one, two), (two, one)):
            text = mine.logs.path.read_text()
            assert f"failed to read file: {mine.runtime.hub_id}" in text
            assert f"failed to read file: {other.runtime.hub_id}" not in text


def test_a_service_log_of_no_hub_is_taken_by_every_hub():
    _, kwargs = ServiceLog("files").process("x", {"extra": {"trace_id": "1"}})
    assert kwargs == {"extra": {"trace_id": "1"}}
