"""Type checkers know the results of agentnb's functions, and find mistakes in calls of them.

`typed/results.py` states the type of each important result by `assert_type`. `typed/mistakes.py`
has a mistake in each line that ends in ``# mistake``. Both checkers run once over all files, and
over the sample service and a project of ``agentnb init``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from agentnb.core.project import init_project

TYPED = Path(__file__).parent / "typed"
ROOT = Path(__file__).parents[2]
SCRIPTS = Path(sysconfig.get_path("scripts"))
SERVICE = ROOT / "notebooks/scripts/service"
LINES = (TYPED / "mistakes.py").read_text(encoding="utf-8").splitlines()
MARKED = [number for number, line in enumerate(LINES, 1) if line.endswith("# mistake")]
# mypy reads the packages whose types the results and the service show, and no other: the thousands
# of files behind the rest are three quarters of its time. A type that is missing here would be
# Any: `assert_type` of a result fails, and a mistake is not found.
READ = ("agentnb", "fastapi", "msgspec", "pandas", "polars", "pydantic", "starlette")
_CONFIG = f"""[mypy]
follow_imports = skip
[mypy-{",".join(f"{name}.*" for name in READ)}]
follow_imports = silent
"""
_MYPY = re.compile(r"(?P<file>[^:]+\.py):(?P<line>\d+): error: (?P<message>.*)")


def run(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return done.stdout


def checked_by_mypy(folder):
    (folder / "mypy.ini").write_text(_CONFIG)
    options = ["--strict", f"--cache-dir={os.devnull}", "--hide-error-context"]
    for line in run([sys.executable, "-m", "mypy", *options, "."], folder).splitlines():
        if found := _MYPY.match(line):
            yield Path(found["file"]).name, int(found["line"]), found["message"]


def checked_by_pyright(folder):
    (folder / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    command = [SCRIPTS / "pyright", "--outputjson", "--pythonpath", sys.executable]
    for one in json.loads(run(command, folder))["generalDiagnostics"]:
        if one["severity"] == "error":
            yield Path(one["file"]).name, one["range"]["start"]["line"] + 1, one["message"]


@pytest.fixture(scope="module", params=["mypy", "pyright"])
def found(request, tmp_path_factory):
    """Return the errors of a checker: the file, the line, the message."""
    # Elsewhere agentnb is an installed package, whose own lines are not checked.
    folder = tmp_path_factory.mktemp(request.param)
    for path in TYPED.glob("*.py"):
        shutil.copy(path, folder)
    shutil.copytree(SERVICE, folder / "service", ignore=shutil.ignore_patterns("__pycache__"))
    project = init_project(tmp_path_factory.mktemp("project") / "shop").folder
    shutil.copytree(project / "shop", folder / "shop")
    shutil.copy(project / "tests" / "test_agents.py", folder)
    check = {"mypy": checked_by_mypy, "pyright": checked_by_pyright}[request.param]
    return list(check(folder))


def test_what_is_right_has_no_error(found):
    assert [each for each in found if each[0] != "mistakes.py"] == []


def test_each_mistake_is_found_and_nothing_else(found):
    lines = {line for file, line, _ in found if file == "mistakes.py"}
    missed = [LINES[number - 1].strip() for number in MARKED if number not in lines]
    other = [each for each in found if each[0] == "mistakes.py" and each[1] not in MARKED]
    assert (missed, other) == ([], [])
