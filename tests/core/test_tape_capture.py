"""`hub.trace.capture`: last night's failure becomes a test or a notebook by one line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import nbformat
import pytest

from agentnb.core.errors import NotFoundError, UsageError
from agentnb.core.workflow import Task
from agentnb.testing import isolated_hub, run_until_idle

NIGHT = """
def remind(job):
    found = job.hub.db.query("select :n as n, 'tea' as kind", {"n": job.data["n"]})[0]
    if found.n > 1:
        raise ValueError(f"no {found.kind} <b>")
    return found.kind

def net(task):
    return 5

def total(task, ctx):
    ctx.step("rate", lambda: ctx.db.query("select 7 as n").scalar())
    raise KeyError("total")
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return a folder with the module of a user, which is imported, and a hub."""
    folder = tmp_path_factory.mktemp("night")
    (folder / "nightly_jobs.py").write_text(NIGHT)
    sys.path.insert(0, str(folder))
    with isolated_hub() as hub:
        hub.record("all")
        yield folder, hub
    sys.path.remove(str(folder))
    sys.modules.pop("nightly_jobs", None)


@pytest.fixture(scope="module")
def jobs(project):
    """Return the ids of a job that failed and of one that completed, and the workflow's."""
    import nightly_jobs

    _, hub = project
    hub.queue("night").process(nightly_jobs.remind)
    found = [hub.queue("night").add({"n": n}, attempts=1).id for n in (2, 1)]
    hub.queue("cell").process(lambda job: job.data)
    found.append(hub.queue("cell").add(1).id)
    hub.workflows.agent("net")(nightly_jobs.net)
    hub.workflows.agent("total")(nightly_jobs.total)
    tasks = [Task("net"), Task("total", needs=["net"], attempts=2)]
    hub.workflows.create("order 17", tasks)
    run_until_idle(hub, skip=True)
    return found


def pytest_of(folder, *words, apart=True):
    """Run tests without a network where that is possible, as the captured ones promise."""
    unshare = shutil.which("unshare")
    alone = [unshare, "--net"] if unshare and apart else []
    if alone and subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        alone = []
    options = ("-p", "agentnb.testing.plugin", "-p", "no:cacheprovider", "-q", *words)
    command = [*alone, sys.executable, "-m", "pytest", *options]
    environment = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(folder), "PATH": "/bin"}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=folder, env=environment
    ).stdout


def test_a_failed_job_becomes_a_test_that_fails_until_the_code_is_mended(project, jobs):
    folder, hub = project
    path = folder / "tests" / "test_night.py"
    made = hub.trace.capture(f"job:{jobs[0]}", test=path)
    assert (made.test, made.notebook, len(made.tapes)) == (path, None, 1)
    assert made.tapes[0].stat().st_mode & 0o777 == 0o600
    assert "ValueError: no tea <b>" in path.read_text()
    others = {
        "mended": NIGHT.replace("found.n > 1", "found.n > 2"),
        "another": NIGHT.replace(":n as n, 'tea'", ":n as n, 'ale'"),
    }
    for name, text in others.items():
        (folder / f"{name}_jobs.py").write_text(text)
        test = path.read_text().replace("nightly_jobs", f"{name}_jobs")
        path.with_name(f"test_{name}.py").write_text(test)
    found = pytest_of(folder, "tests")
    assert "1 passed" in found
    assert "FAILED tests/test_night.py::test_job_" in found
    assert "ValueError: no tea <b>" in found
    assert "FAILED tests/test_another.py::test_job_" in found
    assert "step 1 went another way: recorded db.query" in found


def test_a_workflow_becomes_a_test_for_each_task_with_its_last_attempt(project, jobs):
    folder, hub = project
    assert jobs
    path = folder / "test_order.py"
    made = hub.trace.capture("workflow:order 17", test=path)
    assert len(made.tapes) == 2
    text = path.read_text()
    compile(text, "test", "exec")
    assert "tape.check(tape.run(net))" in text
    assert "# It failed: KeyError: 'total'" in text
    units = [json.loads(tape.read_text())["unit"] for tape in made.tapes]
    assert [(unit["task"], unit["attempt"]) for unit in units] == [("net", 1), ("total", 2)]
    assert units[1]["steps"] == {"rate": 7}
    same = hub.trace.capture(units[0]["trace_id"][:8], test=path, overwrite=True)
    assert same.tapes == made.tapes


def test_a_notebook_replays_each_cell(project, jobs):
    folder, hub = project
    path = folder / "night.ipynb"
    made = hub.trace.capture(f"job:{jobs[0]}", to=path)
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    [waterfall] = [one.source for one in notebook.cells if one.source.startswith("<div>")]
    assert "db.query" in waterfall
    assert "\n" not in waterfall
    assert "Its code:\n\n    def remind(job):\n        found = job.hub" in notebook.cells[-2].source
    assert "It failed: `ValueError: no tea &lt;b>`" in notebook.cells[-2].source
    assert notebook.cells[-1].metadata.tags == ["raises-exception"]
    words = ("--nbval", "--nbval-current-env", "-p", "nbval.plugin", path.name)
    done = pytest_of(folder, *words, apart=False)  # a kernel is spoken to by the loopback
    assert "2 passed" in done, done
    assert "night." in made.tapes[0].name


@pytest.mark.parametrize(
    ("name", "says"), [("test_a.py", False), ("a_test.py", False), ("night.py", True)]
)
def test_a_file_that_pytest_does_not_collect_is_said(project, jobs, name, says):
    folder, hub = project
    path = folder / "names" / name
    said = str(hub.trace.capture(f"job:{jobs[0]}", test=path))
    assert (f"pytest collects test_*.py and *_test.py: pytest {path} runs this" in said) is says


@pytest.mark.parametrize(
    ("target", "options", "error", "message"),
    [
        ("job:none", {"test": "test_x.py"}, NotFoundError, "no attempt of job:none was recorded"),
        ("job", {"test": "test_x.py"}, NotFoundError, "no attempt of job was recorded"),
        ("", {"test": "test_x.py"}, UsageError, "capture takes a text"),
        (5, {"test": "test_x.py"}, UsageError, "capture takes a text"),
        ("job:none", {}, UsageError, "neither was named"),
        ("job:none", {"test": "x.txt"}, UsageError, r"test must be the path of a \.py file"),
        ("job:none", {"to": "x.py"}, UsageError, r"to must be the path of a \.ipynb file"),
        ("job:none", {"test": __file__}, UsageError, "exists"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(project, target, options, error, message):
    _, hub = project
    with pytest.raises(error, match=message) as caught:
        hub.trace.capture(target, **options)
    assert caught.value.hint


def test_a_function_that_no_test_can_import_is_refused(project, jobs):
    folder, hub = project
    path = folder / "test_cell.py"
    with pytest.raises(UsageError, match="cannot be captured: it has none"):
        hub.trace.capture(f"job:{jobs[2]}", test=path)
    assert not path.exists()


def test_a_notebook_in_another_folder_than_the_test_finds_the_tape(project, jobs):
    folder, hub = project
    made = hub.trace.capture(
        f"job:{jobs[0]}", test=folder / "apart" / "test_a.py", to=folder / "books" / "a.ipynb"
    )
    source = nbformat.read(made.notebook, as_version=4).cells[-1].source
    assert f'replay("../apart/{made.tapes[0].name}")' in source
