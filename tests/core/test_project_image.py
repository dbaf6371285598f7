"""The Dockerfile of a new project is built and run, from a base of this machine."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

import agentnb
from agentnb.core.project import init_project

BASE = """
FROM {image}
COPY agentnb /bin/agentnb
COPY python /bin/python
"""
AGENTNB = """#!/bin/sh
cat /pip
echo "user=$(id -u) home=$AGENTNB_HOME workspace=$AGENTNB_WORKSPACE path=$PYTHONPATH"
stat -c "owner=%u" /data
find /app | sort | xargs
echo "$@"
"""
PYTHON = """#!/bin/sh
echo "$@" > /pip
"""


@pytest.fixture
def base(docker, docker_image, docker_engine, tmp_path):
    """Return the name of an image that stands for one that has Python and agentnb."""
    name = f"agentnb-test-{os.getpid()}-base"
    (tmp_path / "base").mkdir()
    for tool, text in (("agentnb", AGENTNB), ("python", PYTHON)):
        (tmp_path / "base" / tool).write_text(text)
        (tmp_path / "base" / tool).chmod(0o755)
    docker.build_image(tmp_path / "base", name, text=BASE.format(image=docker_image))
    yield name
    for tag in (f"{name}-shop", name):
        for one in docker_engine.images(name=tag):
            docker_engine.remove_image(one["Id"], force=True)


def test_the_image_of_a_worker_is_built_on_a_base_and_has_no_settings(docker, base, tmp_path):
    folder = init_project(tmp_path / "shop").folder
    (folder / ".env").write_text("DATABASE_URL=postgresql://ada:hunter22@db/shop\n")
    (folder / "shop" / ".env").write_text("GITHUB_TOKEN=hunter22\n")
    docker.build_image(folder, f"{base}-shop", args={"BASE": base})
    pip, user, owner, files, command = docker.run(f"{base}-shop").check().stdout.splitlines()
    assert pip == (
        "-m pip install --no-cache-dir --find-links wheels --requirement requirements.txt"
    )
    assert user == "user=10001 home=/data/home workspace=/data/workspace path=/app"
    assert owner == "owner=10001"  # a volume there has the owner of the folder
    assert files.split() == [
        *("/app", "/app/requirements.txt", "/app/shop"),
        *("/app/shop/__init__.py", "/app/shop/agents.py", "/app/wheels", "/app/wheels/README.md"),
    ]
    assert command == "worker --agents --app shop.agents --log json"


REAL = """#!/bin/sh
exec {python} -m agentnb.cli "$@"
"""


def test_the_image_runs_the_project_s_agents_with_a_real_worker(
    docker, base, docker_engine, tmp_path
):
    """The base has no Python: that of this machine is mounted where it is, read-only."""
    folder = init_project(tmp_path / "shop").folder
    docker.build_image(folder, f"{base}-shop", args={"BASE": base})
    worker = tmp_path / "agentnb"
    worker.write_text(REAL.format(python=sys.executable))
    worker.chmod(0o755)
    own = {sys.prefix, sys.base_prefix, str(Path(agentnb.__file__).parent)}
    mounted = {one for one in ("/usr", "/lib", "/lib64", *own) if Path(one).exists()}
    binds = [f"{one}:{one}:ro" for one in sorted(mounted)]
    made = docker_engine.create_container(
        f"{base}-shop",
        ["agentnb", "worker", "--agents", "--app", "shop.agents", "--log", "json", "--drain"],
        environment={"PYTHONPATH": f"/app:{Path(agentnb.__file__).parents[1]}"},
        host_config=docker_engine.create_host_config(
            binds=[*binds, f"{worker}:/bin/agentnb:ro"],
            network_mode="none",
            tmpfs={"/tmp": "mode=1777"},
        ),
    )
    try:
        docker_engine.start(made)
        code = docker_engine.wait(made, timeout=120)["StatusCode"]
        printed = docker_engine.logs(made).decode()
    finally:
        docker_engine.remove_container(made, force=True)
    assert code == 0, printed
    messages = [json.loads(line)["message"] for line in printed.splitlines()]
    assert "agent collect is shop.agents:collect" in messages
    assert messages[-1] == "stopped: 0 completed, 0 failed"
