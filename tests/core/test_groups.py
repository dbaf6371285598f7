"""Tests that share something run in one process, the longest first."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.groups import (
    SECONDS,
    EngineLock,
    Stopwatch,
    check_stable,
    group_of,
    order_of,
    stable_id,
)

ROOT = Path(__file__).parents[2]
BROWSER = "tests/browser/test_b_panel.py"
FILES = [BROWSER, "tests/core/test_x.py", "tests/core/test_y.py"]
CONFTEST = """
import os
from tests.groups import Groups, order_of, pytest_report_to_serializable

def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: order_of(item.nodeid))

def pytest_xdist_make_scheduler(config, log):
    return Groups(config, log)

def pytest_runtest_call(item):
    with open(os.environ["PYTEST_XDIST_WORKER"], "a") as log:
        log.write(item.nodeid.partition("::")[0] + "\\n")
"""


@pytest.mark.parametrize(
    ("nodeid", "group"),
    [
        ("tests/cli/test_cli.py::test_a", "tests/cli/test_cli.py"),
        ("tests/core/test_docker_logs.py::test_a[x]", "docker"),
        ("tests/magics/test_docker_magic.py::test_a", "docker"),
        ("tests/browser/test_docker_panel.py::test_a", "browser-panels"),
        ("tests/browser/test_start.py::test_a", "browser"),
        ("notebooks/07_docker.ipynb::Cell 0", "docker"),
        ("tests/notebooks/test_tutorials_run.py::test_a[07_docker]", "docker"),
        ("tests/browser/test_start.py::test_a[07_docker]", "browser"),
        ("notebooks/01_db.ipynb::Cell 3", "notebooks/01_db.ipynb"),
    ],
)
def test_a_group_is_a_file_or_all_that_need_the_engine_or_a_browser(nodeid, group):
    assert group_of(nodeid) == group


def test_the_engine_is_first_then_the_longest(monkeypatch):
    monkeypatch.setitem(SECONDS, "tests/core/test_long.py", 9999)
    monkeypatch.setitem(SECONDS, "browser", 99)
    monkeypatch.setitem(SECONDS, "browser-panels", 99)
    names = ["tests/core/test_docker.py", "tests/core/test_long.py", "tests/browser/test_start.py"]
    names += ["tests/browser/test_db_panel.py", "tests/browser/test_docker_panel.py"]
    names += ["tests/core/test_nearest.py"]
    assert sorted(dict.fromkeys([*names[2:], *names]), key=order_of) == names


def test_the_engine_is_locked_until_a_test_follows_that_does_not_use_it(tmp_path):
    docker, other = (
        SimpleNamespace(nodeid=f"tests/core/test_{name}.py") for name in ("docker", "x")
    )
    lock = EngineLock(tmp_path)
    held = []
    for item, following in [(docker, docker), (docker, other), (other, docker), (docker, None)]:
        running = lock.pytest_runtest_protocol(item, following)
        next(running)
        held.append(is_locked(tmp_path))
        with contextlib.suppress(StopIteration):
            running.send(None)
        held.append(is_locked(tmp_path))
    assert held == [True, True, True, False, False, False, True, False]


def is_locked(folder):
    """Return whether another process would wait for the only file of a folder."""
    for file in folder.iterdir():
        with file.open("w") as again:
            try:
                fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    return False


def test_each_group_with_a_duration_is_one_that_there_is():
    files = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("tests/*/test_*.py")}
    files |= {path.relative_to(ROOT).as_posix() for path in ROOT.glob("notebooks/*.ipynb")}
    assert set(SECONDS) <= {group_of(file) for file in files}


SURROGATE = """
import logging

def test_a():
    logging.getLogger().error("\\ud800")

def test_b():
    assert False, "\\udfff"
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return a folder with three files of tests, one of them a browser's."""
    folder = tmp_path_factory.mktemp("grouped")
    (folder / "conftest.py").write_text(CONFTEST)
    for file in ("browser/test_b_panel.py", "core/test_x.py", "core/test_y.py"):
        path = folder / "tests" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("def test_a(): ...\ndef test_b(): ...\ndef test_c(): ...\n")
    (folder / "tests/core/surrogate.py").write_text(SURROGATE)
    return folder


@pytest.fixture
def grouped(project):
    """Return what runs the tests in some processes; it gives what each process ran."""

    def run(count, *options, failed=0):
        for log in project.glob("gw*"):
            log.unlink()
        words = [sys.executable, "-m", "pytest", "-q", "-p", "xdist", "-n", str(count), *options]
        words += ["-p", "no:cacheprovider", "--rootdir=.", "--import-mode=importlib"]
        environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            words, cwd=project, check=False, env=environment, timeout=60, stdout=subprocess.PIPE
        )
        assert done.returncode == failed, done.stdout
        return [log.read_text().split() for log in project.glob("gw*")]

    return run


def test_a_group_runs_in_one_process(grouped):
    ran = grouped(2)
    assert [len([file for file in files if file == BROWSER]) for files in ran].count(3) == 1
    assert Counter(file for files in ran for file in files) == dict.fromkeys(FILES, 3)


def test_the_longest_group_is_first_in_the_only_process(grouped):
    (files,) = grouped(1)
    assert files[:3] == [BROWSER] * 3
    assert Counter(files) == dict.fromkeys(FILES, 3)


def test_a_text_that_cannot_be_encoded_ends_no_run(grouped):
    ran = grouped(2, "tests/core/surrogate.py", "tests/core/test_x.py", failed=1)
    files = Counter(file for files in ran for file in files)
    assert files == {"tests/core/surrogate.py": 2, "tests/core/test_x.py": 3}


def test_durations_of_long_groups_are_written_the_longest_first(tmp_path):
    watch = Stopwatch(tmp_path / "seconds.json")
    for nodeid, duration in [("a.py::x", 3), ("b.py::x", 9), ("a.py::y[1]", 4), ("c.py::x", 1)]:
        watch.pytest_runtest_logreport(SimpleNamespace(nodeid=nodeid, duration=duration))
    watch.pytest_sessionfinish()
    found = json.loads((tmp_path / "seconds.json").read_text())
    assert list(found.items()) == [("b.py", 9), ("a.py", 7)]


def test_every_file_that_runs_containers_is_in_the_group_of_the_engine():
    fixture = re.compile(r"\b(make_docker|docker_image)\b")
    paths = [path for path in (ROOT / "tests").rglob("test_*.py") if "browser" not in path.parts]
    paths = [path for path in paths if fixture.search(path.read_text()) and path != Path(__file__)]
    assert {group_of(path.relative_to(ROOT).as_posix()) for path in paths} == {"docker"}


def test_the_id_of_a_set_lists_its_elements_in_order():
    assert stable_id({1, "a", None}) == "{'a', 1, None}"
    assert stable_id(set()) == "set()"


def test_the_id_of_a_parameter_has_no_address():
    assert stable_id([object(), 1]) == "[<object object>, 1]"


def test_the_test_command_uses_four_processes():
    for file in ("README.md", "CONTRIBUTING.md"):
        assert ".venv/bin/pytest -n 6\n" in (ROOT / file).read_text()


def test_an_id_that_differs_between_processes_is_refused():
    good, bad = (SimpleNamespace(nodeid=f"test_x.py::test_a[{one}]") for one in (3, object()))
    check_stable([good])
    with pytest.raises(pytest.UsageError, match="ids=stable_id"):
        check_stable([good, bad])
