"""Calls of Docker in traces and on tapes: answered without an engine, and without a secret."""

from __future__ import annotations

import contextlib
import json

import pytest

import agentnb
from agentnb.core.docker import DockerManager
from agentnb.core.errors import NotReplayable, ReplayDiverged
from agentnb.core.trace import use
from agentnb.testing import record, replay

CANARY = "Zq7canary9Xw"
"""A secret that the settings know."""
HIDDEN = "vB3unknown8Kp"
"""One that no setting has, where only its place tells what it is."""


def test_calls_of_docker_are_replayed_without_an_engine(docker, docker_image, tmp_path):
    path = tmp_path / "docker.tape.json"

    def work(docker):
        ran = docker.run(docker_image, ["sh", "-c", "echo tea; echo no >&2; exit 3"])
        container = docker.run_container(docker_image, ["sleep", "60"])
        inside = docker.exec(container, ["sh", "-c", "echo $0 in", "x"])
        names = [row[0] for row in docker.list().rows]
        docker.stop_container(container, grace=0)
        found = [ran.exit_code, ran.stdout, ran.stderr, inside.check().stdout, names]
        return [*found, container.name, container.policy]

    with record(path):
        first = work(docker)
    assert first[:4] == [3, "tea\n", "no\n", "x in\n"]
    assert first[4] == [first[5]]
    with DockerManager(host="unix:///nowhere/docker.sock", home=tmp_path / "other") as nowhere:
        with replay(path) as tape:
            assert work(nowhere) == first
            assert [step.operation for step in tape.steps] == [
                *("run", "run_container", "exec", "list", "stop_container")
            ]

        def others():
            with replay(path):
                nowhere.run(docker_image, ["echo", "ale"])

        with pytest.raises(ReplayDiverged, match=r"step 1 went another way: .*command"):
            others()
        with record(path):
            docker.events(since=0, follow=False)

        def events():
            with replay(path):
                nowhere.events(since=0, follow=False)

        with pytest.raises(NotReplayable, match="events of an engine are not recorded"):
            events()


def test_no_secret_of_docker_is_in_a_span_or_on_a_tape(docker_image, tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_TOKEN", CANARY)
    path = tmp_path / "docker.tape.json"
    shell = f"echo https://ada:{HIDDEN}@host {CANARY}; exit 3"
    (tmp_path / "context").mkdir()
    tag = f"{docker_image.partition(':')[0]}-secret:1"
    with (
        use(None),
        agentnb.connect(home=tmp_path / "home", database_url="sqlite://") as hub,
        hub.trace.run("leaks") as run,
        record(path, hub=hub),
    ):
        calls = (
            lambda: hub.docker.run(docker_image, ["sh", "-c", shell], env={"TOKEN": HIDDEN}),
            lambda: hub.docker.run(f"ada:{CANARY}", ["true"]),
            lambda: hub.docker.build_image(
                tmp_path / "context",
                text=f"FROM {docker_image}\nARG TOKEN\nRUN false # {CANARY}",
                tag=tag,
                args={"TOKEN": HIDDEN},
            ),
            lambda: hub.docker.inspect(CANARY),
            lambda: hub.docker.pull(f"https://ada:{HIDDEN}@127.0.0.1:9/{CANARY}"),
        )
        for call in calls:
            with contextlib.suppress(agentnb.AgentnbError):
                call()
    with agentnb.connect(home=tmp_path / "home", database_url="sqlite://") as hub:
        trace = hub.trace.get(run.trace_id)
        views = [repr(trace), trace._repr_html_(), json.dumps(trace.to_dict())]
    names = {span.name for span in trace.find(service="docker")}
    assert {"run", "build_image", "inspect"} <= names
    written = [one.read_text() for one in (tmp_path / "home/logs").glob("*.jsonl")]
    for text in (*views, *written, path.read_text()):
        assert CANARY[:6] not in text
        assert HIDDEN[:6] not in text
