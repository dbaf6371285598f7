"""``agentnb worker --agents`` and ``agentnb migrate``, as processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

import agentnb
from agentnb.core.cellmodule import CellModule, keep_module
from agentnb.core.modules import module_path
from agentnb.core.workflow import Task

APP = """
import pathlib, time
from agentnb.core.workflow import agent

@agent("scaffold", capabilities=["code"], timeout=30)
def scaffold(task, ctx):
    pathlib.Path("begun").touch()
    time.sleep(task.data or 0)
    return "done"
"""


@pytest.fixture
def place(steady_home, tmp_path):
    """Return the settings of a worker, with an app in the test's own folder."""
    (tmp_path / "agents_app.py").write_text(APP)
    return {
        "DATABASE_URL": f"sqlite:///{tmp_path}/workflows.db",
        "AGENTNB_KEY_PREFIX": f"cli-{tmp_path.name}",
        "AGENTNB_HOME": str(steady_home),
    }


@pytest.fixture
def hub(place):
    hub = agentnb.connect(
        home=place["AGENTNB_HOME"],
        database_url=place["DATABASE_URL"],
        key_prefix=place["AGENTNB_KEY_PREFIX"],
    )
    with hub:
        yield hub


def run(words, place, folder):
    return subprocess.run(
        [sys.executable, "-m", "agentnb.cli", *words],
        cwd=folder,
        env={**os.environ, **place},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def keep(home, name, source, namespace=None):
    made = CellModule(
        source, "run", namespace or {}, ("agentnb.core.workflow", "agent", f"{name!r}, attempts=1")
    )
    keep_module(home, module_path(home, "agent", name), made.text)


def test_a_worker_does_the_tasks_of_a_modules_agents_and_ends_when_told(
    hub, place, start_worker, tmp_path, until
):
    worker = start_worker(place["AGENTNB_HOME"], "--agents", "--app", "agents_app", **place)
    worker.hear("worker started")
    info = hub.workflows.agent_info("scaffold")
    assert (info.state, info.capabilities) == ("idle", ("code",))
    workflow = hub.workflows.create("x", [Task("scaffold", data=0.5)])
    until((tmp_path / "begun").exists, 30)
    assert worker.end() == 0
    assert workflow.wait(10).result == {"scaffold": "done"}
    assert any(f"scaffold  {workflow.id}/scaffold  completed" in line for line in worker.lines)
    assert hub.workflows.agent_info("scaffold").state == "no worker"


def test_a_worker_finds_what_cells_have_made_and_what_they_make_later(
    hub, place, start_worker, tmp_path, until
):
    home = tmp_path / "home"
    home.mkdir()
    keep(home, "early", "def run(task, ctx):\n    return 1")
    keep(home, "bound", "def run(task, ctx):\n    return rate", {"rate": 2})
    worker = start_worker(home, "--agents", **place | {"AGENTNB_HOME": str(home)})
    worker.hear("agent early is %%agent early")
    worker.hear("agent bound waits: agent bound uses names of its notebook: rate")
    worker.hear("worker started")
    keep(home, "late", "def run(task, ctx):\n    return ctx.inputs")
    worker.hear("agent late is")
    until(lambda: {one.name for one in hub.workflows.agent_infos()} >= {"early", "late"}, 20)
    tasks = [Task("early"), Task("late", needs=["early"])]
    assert hub.workflows.create("x", tasks).wait(20).result["late"] == {"early": 1}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--agents", "scafold", "--app", "agents_app"], "did you mean scaffold"),
        (["--agents", "--app", "json"], "json marks no agent"),
        (["--agents", "--app", "agents_app", "--processes"], "--processes is for queues"),
    ],
)
def test_a_worker_that_cannot_begin_says_why(place, tmp_path, words, said):
    done = run(["worker", *words], place, tmp_path)
    assert done.returncode == 2
    assert said in done.stderr


def test_migrate_says_what_it_did(place, tmp_path, fresh_url):
    place |= {"DATABASE_URL": fresh_url}
    first, again = (run(["migrate"], place, tmp_path) for _ in range(2))
    assert first.returncode == again.returncode == 0, first.stderr
    version = re.search(r"have version (\d{4}) now, before: None", first.stdout)[1]
    assert f"have version {version}, the newest" in again.stdout
    assert "Traceback" not in first.stderr
