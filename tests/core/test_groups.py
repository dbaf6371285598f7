"""Tests that share something run in one process, and those of browsers run last."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.groups import group_of, order_of, stable_id

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("nodeid", "group"),
    [
        ("tests/cli/test_cli.py::test_a", "tests/cli/test_cli.py"),
        ("tests/core/test_docker_logs.py::test_a[x]", "docker"),
        ("tests/magics/test_docker_magic.py::test_a", "docker"),
        ("tests/browser/test_docker_panel.py::test_a", "tests/browser/test_docker_panel.py"),
        ("notebooks/07_docker.ipynb::Cell 0", "docker"),
        ("notebooks/01_db.ipynb::Cell 3", "notebooks/01_db.ipynb"),
    ],
)
def test_a_group_is_a_file_or_all_that_need_the_engine(nodeid, group):
    assert group_of(nodeid) == group


def test_the_engine_is_first_and_browsers_are_last():
    names = ["tests/browser/test_start.py", "tests/cli/test_cli.py", "tests/core/test_docker.py"]
    assert sorted(names, key=order_of) == [names[2], names[1], names[0]]


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


def test_the_test_command_uses_two_processes():
    assert ".venv/bin/pytest -n 2" in (ROOT / "README.md").read_text()
