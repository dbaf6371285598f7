"""``agentnb worker --agents`` and ``agentnb migrate``, as processes."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys

import pytest

import agentnb
from agentnb.cli.worker.show import JobLines
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


FAR = """
import os
from agentnb.core.queue import processor
from agentnb.core.workflow import agent

@agent("where")
def of_task(task, ctx):
    return os.getpid()

@processor("where")
def of_job(job):
    return os.getpid()
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
    worker.hear("  agents  worker started")
    info = hub.workflows.agent_info("scaffold")
    assert (info.state, info.capabilities) == ("idle", ("code",))
    workflow = hub.workflows.create("x", [Task("scaffold", data=0.5)])
    until((tmp_path / "begun").exists, 30)
    assert worker.end() == 0
    assert workflow.wait(10).result == {"scaffold": "done"}
    assert any(f"scaffold  {workflow.id}/scaffold  completed" in line for line in worker.lines)
    assert hub.workflows.agent_info("scaffold").state == "no worker"


def test_tasks_and_jobs_run_in_processes_of_one_worker(place, start_worker, tmp_path, hub):
    (tmp_path / "far_app.py").write_text(FAR)
    worker = start_worker(
        place["AGENTNB_HOME"],
        *("--app", "far_app", "--agents", "--concurrency", "1"),
        **place | {"AGENTNB_EXECUTOR": "processes"},
    )
    worker.hear("worker started", count=2)
    workflow = hub.workflows.create("x", [Task("where"), Task("again", agent="where")])
    tasks = workflow.wait(60).result
    job = hub.queue("where").add().result(60)
    assert tasks["where"] == tasks["again"]  # one process for tasks
    assert len({worker.pid, tasks["where"], job}) == 3  # and one for jobs
    worker.hear("agents  1 process, on ")
    assert worker.end() == 0


def test_a_task_that_kills_its_process_is_told_and_counted(place, start_worker, tmp_path, hub):
    (tmp_path / "far_app.py").write_text(
        FAR + '\n@agent("dies", attempts=2, backoff=0.01)\n'
        "def dies(task, ctx):\n    os.kill(os.getpid(), 9)\n"
    )
    words = ("--app", "far_app", "--agents", "--concurrency", "1", "--executor", "processes")
    worker = start_worker(place["AGENTNB_HOME"], *words, **place)
    worker.hear("worker started")
    workflow = hub.workflows.create("x", [Task("dies")], unknown="wait")
    worker.hear(r"dies  \w+/dies  task is reclaimed: its worker died \(")
    worker.hear(r"dies  \w+/dies  failed .* attempt 2: its worker died \(")
    assert workflow.refresh().state == "failed"
    assert worker.end() == 0
    assert any("stopped: 0 completed, 1 failed" in line for line in worker.lines)


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
    until(lambda: {one.name for one in hub.workflows.agent_infos()} >= {"early", "late"})
    tasks = [Task("early"), Task("late", needs=["early"])]
    assert hub.workflows.create("x", tasks).wait(120).result["late"] == {"early": 1}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--agents", "scafold", "--app", "agents_app"], "did you mean scaffold"),
        (["--agents", "--app", "json"], "json marks no agent"),
        (["--agents", "--processes", "--executor", "threads"], "exclude each other"),
        (["--agents", "--executor", "proceses"], "did you mean processes?"),
        (["--agents", "--executor", "dask://"], "must be threads, processes, dask://HOST:PORT"),
    ],
)
def test_a_worker_that_cannot_begin_says_why(place, tmp_path, words, said):
    done = run(["worker", *words], place, tmp_path)
    assert done.returncode == 2
    assert said in done.stderr


BOTH = (
    APP
    + """
from agentnb.core.queue import processor

@processor("prices")
def price(job):
    return job.data + 1

@processor("mail")
def send(job):
    return "sent"

@agent("review")
def review(task, ctx):
    return "good"
"""
)


@pytest.fixture
def both(place, start_worker, tmp_path):
    """Return what starts a worker with two apps, which mark queues and agents."""
    (tmp_path / "both.py").write_text(BOTH)
    (tmp_path / "again.py").write_text("from both import price, review")
    apps = ["--app", "both", "--app", "again"]
    return lambda *words: start_worker(place["AGENTNB_HOME"], *words, *apps, **place)


def test_a_worker_serves_the_queues_and_the_agents_of_its_apps(hub, both, place):
    worker = both("--agents")
    prefix = place["AGENTNB_KEY_PREFIX"]
    for line in (
        rf"prices  price \(both:price\), 5 threads, on the embedded server of .*, prefix {prefix}$",
        r"mail  send \(both:send\), 5 threads",
        r"agent review is both:review",
        rf"agents  5 threads, on .*workflows.db, prefix {prefix}$",
    ):
        worker.hear(line)
    job = hub.queue("prices").add(1)
    workflow = hub.workflows.create("x", [Task("review")])
    assert job.result(timeout=30) == 2
    assert workflow.wait(120).result == {"review": "good"}
    assert worker.end() == 0
    assert not [line for line in worker.lines if "not worked on" in line]


@pytest.mark.parametrize(
    ("words", "worked_on", "left"),
    [
        ([], ["prices", "mail"], ["agent scaffold", "agent review"]),
        (["mail"], ["mail"], ["prices", "agent scaffold", "agent review"]),
        (["mail", "--agents"], ["mail", "agents"], ["prices"]),
        (["--agents", "review"], ["agents"], ["prices", "mail", "agent scaffold"]),
        (["mail", "--processes"], ["mail"], ["prices", "agent scaffold", "agent review"]),
    ],
)
def test_a_worker_says_which_queues_and_agents_of_its_apps_it_leaves(both, words, worked_on, left):
    worker = both("--drain", "--concurrency", "1", *words)
    assert worker.wait() == 0
    said = "\n".join(worker.lines)
    found = re.findall(
        r"^\S+  (\S+|agent \S+)\s+is registered by both and not worked on", said, re.MULTILINE
    )
    assert found == left
    served = r"^\S+  (\S+)  (?:.*, )?1 (?:thread|process), on "
    assert re.findall(served, said, re.MULTILINE) == worked_on


def test_a_worker_that_drains_says_which_tasks_paused_workflows_leave(hub, both):
    hub.workflows.agent("review", print)
    made = [hub.workflows.create("x", [Task("review")]).pause() for _ in range(2)]
    worker = both("--agents", "--drain")
    worker.hear(r"agents  2 tasks of paused workflows are left: hub.workflows.resume\(WORKFLOW\)")
    assert worker.wait() == 0
    made[0].resume()
    worker = both("--agents", "--drain")
    worker.hear(r"agents  1 task of a paused workflow is left")
    assert made[0].refresh().state == "completed"


def test_a_queue_after_agents_is_said_to_be_a_queue(place, tmp_path):
    (tmp_path / "both.py").write_text(BOTH)
    words = ["worker", "--app", "both", "--agents", "review", "mail"]
    done = run(words, place, tmp_path)
    assert done.returncode == 2
    assert "mail is a queue, not an agent" in done.stderr
    assert "hint: name queues before --agents: agentnb worker mail --agents" in done.stderr


def test_lines_of_an_executor_are_shown_by_a_worker_of_any_hub():
    lines = []
    with JobLines("a-hub", lambda outcome, line, _: lines.append((outcome, line))):
        logging.getLogger("agentnb.work").warning("the Dask scheduler cannot be reached")
        logging.getLogger("agentnb.queue").warning("of another hub")
    assert lines == [("", "executor  the Dask scheduler cannot be reached")]


def test_two_apps_with_different_agents_of_one_name_are_refused(place, tmp_path):
    (tmp_path / "first.py").write_text(APP)
    (tmp_path / "second.py").write_text(APP)
    done = run(["worker", "--agents", "--app", "first", "--app", "second"], place, tmp_path)
    assert done.returncode == 2
    assert "both apps have an agent for scaffold: first and second" in done.stderr


def test_an_app_of_agents_alone_names_them_where_queues_are_asked_for(place, tmp_path):
    done = run(["worker", "--app", "agents_app"], place, tmp_path)
    assert done.returncode == 2
    assert "it marks agents, scaffold: add --agents" in done.stderr


def test_migrate_says_what_it_did(place, tmp_path, fresh_url):
    place |= {"DATABASE_URL": fresh_url}
    first, again = (run(["migrate"], place, tmp_path) for _ in range(2))
    assert first.returncode == again.returncode == 0, first.stderr
    version = re.search(r"have version (\d{4}) now, before: None", first.stdout)[1]
    assert f"have version {version}, the newest" in again.stdout
    assert "Traceback" not in first.stderr
