"""The examples of the guide and of the README to testing are run, as a user's tests are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FILE = re.compile(r"^```python\n# (?P<name>\w+\.py)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def files_of(page):
    """Return the examples of a page that are files, by their names."""
    return {found["name"]: found["text"] for found in _FILE.finditer(page.read_text())}


def run(pytester, monkeypatch, files):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # most of the time of such a run
    for name, text in files.items():
        pytester.path.joinpath(name).write_text(text)
    options = ("-p", "agentnb.testing.plugin", "-p", "anyio", "-p", "no:cacheprovider")
    return pytester.runpytest_subprocess(
        "--strict-markers", "-W", "error", *options
    ).parseoutcomes()


def test_the_examples_of_the_guide_pass(pytester, monkeypatch):
    files = files_of(ROOT / "notebooks" / "guide" / "testing.md")
    assert len(files) == 8
    tests = sum(text.count(" def test_") + text.count("\ndef test_") for text in files.values())
    assert run(pytester, monkeypatch, files) == {"passed": tests}


def test_the_example_of_the_readme_passes(pytester, monkeypatch):
    files = files_of(ROOT / "README.md")
    assert run(pytester, monkeypatch, files) == {"passed": 1}
