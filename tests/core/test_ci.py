"""The script of continuous integration reads the project's files as they are."""

from __future__ import annotations

import re
import subprocess
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
