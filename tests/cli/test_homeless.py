"""The command line where nothing can be written: no HOME, ``/`` as the working directory."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.request

import pytest

from agentnb.core.redis.binary import find_binary

JOBS = """
from agentnb.core.queue import processor
from agentnb.core.workflow import agent

@processor("mail")
def send(job):
    return "sent"

@agent("review")
def review(task, ctx):
    return "good"
"""
# As a container runs: a user id without a name and a home, that owns nothing. It may read, since
# the interpreter of the tests may lie in the home of another user.
_OTHER_USER = (
    *("setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"),
    *("--inh-caps=-all,+dac_read_search", "--ambient-caps=+dac_read_search"),
    "--bounding-set=-all,+dac_read_search",
)
TOKEN = "a-token-of-twenty-one"


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory):
    """Return the URL of a server that every user can connect to."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("server")
    words = [str(find_binary()), "--port", str(port), "--dir", str(folder), "--save", ""]
    with (folder / "out").open("w") as out, subprocess.Popen(words, stdout=out) as process:
        yield f"redis://127.0.0.1:{port}/0"
        process.terminate()


@pytest.fixture
def environment(redis_url, tmp_path):
    (tmp_path / "jobs_app.py").write_text(JOBS)
    (tmp_path / "open.ipynb").write_text(json.dumps({"cells": [], "nbformat": 4}))
    writable = tmp_path / "data"
    writable.mkdir()
    writable.chmod(0o777)
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(tmp_path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "REDIS_URL": redis_url,
        "DATABASE_URL": f"sqlite:///{writable}/agentnb.db",
    }


def start(words, environment):
    within = _OTHER_USER if os.geteuid() == 0 and shutil.which("setpriv") else ()
    return subprocess.Popen(
        [*within, sys.executable, "-m", "agentnb.cli", *words],
        cwd="/",
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(words, environment):
    with start(words, environment) as process:
        try:
            said, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    return process.returncode, said


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--version"], 0, "agentnb "),
        (["status"], 0, "AGENTNB_KEY_PREFIX"),
        (["check", "NOTEBOOK"], 0, "no secrets in 1 of 1"),
        (["migrate"], 0, "the tables of workflows have version"),
        (["worker", "--app", "jobs_app", "--drain"], 0, "mail  send (jobs_app:send)"),
        (["worker", "--app", "jobs_app", "--drain", "--processes"], 0, "stopped: 0 completed"),
        (["worker", "--app", "jobs_app", "--agents", "--drain"], 0, "agent review is"),
        (["tutorials", "here"], 2, "name a folder that you may write to"),
        (["serve", "--port", "0"], 2, "set AGENTNB_HOME to a folder that you may write to"),
    ],
)
def test_a_command_needs_no_home_or_says_what_to_set(environment, tmp_path, words, code, said):
    words = [str(tmp_path / "open.ipynb") if word == "NOTEBOOK" else word for word in words]
    found = run(words, environment)
    assert said in found[1]
    assert found[0] == code, found[1]
    assert "Traceback" not in found[1]


def test_a_tilde_without_a_home_is_an_error_of_the_setting(environment):
    code, said = run(["status"], environment | {"AGENTNB_HOME": "~/agentnb"})
    assert code == 2
    assert "'~/agentnb' has no home directory" in said
    assert "set HOME, or give the path" in said


def test_a_server_of_events_with_a_token_needs_no_home(environment):
    with start(["serve", "--port", "0"], environment | {"AGENTNB_SERVE_TOKEN": TOKEN}) as process:
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        try:
            lines = [process.stdout.readline()]
            while lines[-1] and "stops it" not in lines[-1]:
                lines.append(process.stdout.readline())
            address = lines[0].split()[-1].replace("ws://", "http://").removesuffix("/ws")
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(f"{address}/no-such-page", timeout=20)
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) == 0
        finally:
            watchdog.cancel()
            process.kill()
    assert "clients need the URL" in "".join(lines)
    assert TOKEN not in "".join(lines)


def test_git_without_a_home_reads_the_settings_of_the_system(environment):
    code = "from agentnb.core.git.config import contents; print(*contents(None, None))"
    within = _OTHER_USER if os.geteuid() == 0 and shutil.which("setpriv") else ()
    done = subprocess.run(
        [*within, sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "/etc/gitconfig" in done.stdout, done.stderr
