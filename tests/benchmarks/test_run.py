"""The command of the benchmarks' README works where the package is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import agentnb

RUN = Path(__file__).with_name("run.py")


def run(folder, *words):
    """Run the benchmarks with the installed package only; the checkout is not on the path."""
    links = folder / "packages"
    links.mkdir()
    (links / "agentnb").symlink_to(Path(agentnb.__file__).parent)
    path = os.pathsep.join([str(links), sysconfig.get_path("purelib")])
    return subprocess.run(
        [sys.executable, "-S", str(RUN), *words],  # without site no editable install is looked at
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


@pytest.mark.parametrize("subject", ["panel", "spans"])
def test_a_subject_is_measured_where_the_package_is_installed(tmp_path, subject):
    done = run(tmp_path, "--quick", subject)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("| | agentnb | beside it | value | target | met |\n")
    assert len([line for line in done.stdout.splitlines() if line.startswith("| ")]) > 1


def test_a_subject_that_there_is_not_is_refused_with_those_there_are(tmp_path):
    done = run(tmp_path, "nothing")
    assert done.returncode == 2
    assert "no subject nothing; there are: load_ext, db" in done.stderr
