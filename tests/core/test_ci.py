"""The script of continuous integration reads the project's files as they are."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.markers import MARKERS

ROOT = Path(__file__).parents[2]
SCRIPT = (ROOT / ".ci" / "run").read_text()
BOUNDED = [
    *("docker", "huey", "ipykernel", "ipython", "opentelemetry-exporter-otlp-proto-http"),
    *("opentelemetry-sdk", "pebble", "redis", "urllib3"),
]


def output_of(name):
    """Return what a function of one line prints."""
    line = re.search(rf"^{name}\(\) \{{.*\}}$", SCRIPT, re.MULTILINE)[0]
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{line}\n{name}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_the_script_has_no_syntax_error():
    subprocess.run(["bash", "-n", ROOT / ".ci" / "run"], check=True)


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("bounded", BOUNDED),
        ("fast", [" and ".join(f"not {marker}" for marker in MARKERS)]),
    ],
)
def test_a_function_finds_what_it_looks_for(name, lines):
    assert sorted(output_of(name)) == lines


FLAKY = """
import pytest
from pathlib import Path

def test_that_passes():
    pass

@pytest.mark.parametrize("name", ["a::b c", "[d]"])
def test_that_is_flaky(name, request):
    before = Path(str(hash(name)))
    known = before.exists()
    before.touch()
    assert known
"""


@pytest.fixture
def run_tests(tmp_path):
    """Return what runs the tests of a file as the script does: the exit code, and who passed."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "rerun.py", tmp_path / ".ci")
    (tmp_path / "pytest.ini").touch()
    (tmp_path / "pytest").write_text(
        "#!/bin/sh\nexport PYTHONHASHSEED=0 PYTEST_DISABLE_PLUGIN_AUTOLOAD=1\n"
        f'exec {sys.executable} -m pytest -p xdist "$@"\n'
    )
    (tmp_path / "pytest").chmod(0o755)
    function = re.search(r"^run_tests\(\) \{$.*?^\}$", SCRIPT, re.MULTILINE | re.DOTALL)[0]

    def run(text, *options):
        (tmp_path / "test_some.py").write_text(text)
        call = f"run_tests ./pytest log ./pytest {' '.join(options)}"
        lines = ["set -euo pipefail", "scratch=.", function, call]
        done = subprocess.run(
            ["bash", "-c", "\n".join(lines)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        passed = tmp_path / "again"
        return done.returncode, passed.read_text().splitlines() if passed.exists() else []

    return run


def test_a_failed_test_that_passes_alone_is_named_and_fails_nothing(run_tests):
    ids = ("[d]", "a::b c")
    names = [f"test_some.py::test_that_is_flaky[{one}]" for one in ids]
    assert run_tests(FLAKY, "-n", "2") == (
        0,
        [f"passed only when run again, alone: {name}" for name in names],
    )


def test_a_test_that_fails_twice_ends_the_run_as_failed(run_tests):
    code, passed = run_tests(f"{FLAKY}\ndef test_that_fails():\n    assert not 1")
    assert (code, len(passed)) == (1, 2)


def test_many_failed_tests_are_not_run_again(run_tests):
    text = FLAKY.replace('"a::b c"', "*'uvwxyz'")
    assert run_tests(text) == (1, [])


@pytest.mark.parametrize("text", ["import nothing_of_that_name", ""])
def test_a_run_that_is_broken_is_not_run_again(run_tests, text):
    assert run_tests(text)[0] > 1


def test_a_name_is_that_of_a_test_or_of_a_whole_notebook():
    spec = importlib.util.spec_from_file_location("rerun", ROOT / ".ci" / "rerun.py")
    rerun = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rerun)
    failed = ["a/b.py::test_c[d.ipynb::Cell 1]", "a/e.ipynb::Cell 2", "a/e.ipynb::Cell 3"]
    for last in (
        "3 failed in 2.51s",
        "==== 3 failed, 4 passed in 105.07s (0:01:45) ====",
        "==== 4 passed, 3 errors in 105.07s (0:01:45) ====",
    ):
        assert rerun.failed_tests([last], failed) == [failed[0], "a/e.ipynb"]
    for last in ("", "==== 4 passed in 1.50s ====", "Segmentation fault"):
        assert rerun.failed_tests([last], failed) == []
    assert rerun.failed_tests([], failed) == []
    assert rerun.failed_tests(["1 error in 2.51s"], ["a/b.py"]) == []
