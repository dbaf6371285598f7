"""The Dockerfile of the page about services is built and run, from a base of this machine."""

from __future__ import annotations

import json
import os

import pytest

from .test_service_guide import block

BASE = """
FROM {image}
COPY agentnb /bin/agentnb
COPY nothing /bin/apt-get
COPY nothing /bin/pip
RUN mkdir -p /var/lib/apt/lists
"""
AGENTNB = """#!/bin/sh
echo "user=$(id -u) home=$AGENTNB_HOME workspace=$AGENTNB_WORKSPACE path=$PYTHONPATH"
stat -c "owner=%u" /data
ls /app /app/service
echo "$@"
"""


@pytest.fixture
def base(docker, docker_image, docker_engine, tmp_path):
    """Return the name of an image that stands for the one of Python, with stand-ins for tools."""
    name = f"agentnb-test-{os.getpid()}-python"
    for tool, text in (("agentnb", AGENTNB), ("nothing", "#!/bin/sh\n")):
        path = tmp_path / "base" / tool
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    docker.build_image(tmp_path / "base", name, text=BASE.format(image=docker_image))
    yield name
    for tag in (f"{name}-service", name):
        for one in docker_engine.images(name=tag):
            docker_engine.remove_image(one["Id"], force=True)


def test_the_dockerfile_makes_an_image_of_a_user_without_rights(docker, base, tmp_path):
    first, _, rest = block("dockerfile").partition("\n")
    assert first.startswith("FROM python:3.")
    context = tmp_path / "context"
    (context / "service").mkdir(parents=True)
    (context / "service" / "jobs.py").write_text("")
    (context / "requirements.txt").write_text("agentnb-toolkit[postgres]\n")
    name = f"{base}-service"
    docker.build_image(context, name, text=f"FROM {base}\n{rest}")
    done = docker.run(name).check()
    lines = done.stdout.splitlines()
    assert lines[:2] == [
        "user=10001 home=/data/home workspace=/data/workspace path=/app",
        "owner=10001",  # a volume there has the owner of the folder
    ]
    assert {"requirements.txt", "service", "jobs.py"} <= set(lines)
    command = json.loads(rest.rpartition("\nCMD ")[2])
    assert lines[-1] == " ".join(command[1:])
