"""The examples of the guide and of the README to testing are run, as a user's tests are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FILE = re.compile(r"^```python\n# (?P<name>\w+\.py)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def files_of(page):
    """Return the examples of a page that are files, by their names."""
    return {found["name"]: found["text"] for found in _FILE.finditer(page.read_text())}


def run(pytester, files):
    for name, text in files.items():
        pytester.path.joinpath(name).write_text(text)
    options = ("-p", "agentnb.testing.plugin", "-p", "no:cacheprovider", "-W", "error")
    return pytester.runpytest_subprocess("--strict-markers", *options).parseoutcomes()


def test_the_examples_of_the_guide_pass(pytester):
    files = files_of(ROOT / "notebooks" / "guide" / "testing.md")
    assert len(files) == 7
    tests = sum(text.count(" def test_") + text.count("\ndef test_") for text in files.values())
    assert run(pytester, files) == {"passed": tests}


def test_the_example_of_the_readme_passes(pytester):
    files = files_of(ROOT / "README.md")
    assert run(pytester, files) == {"passed": 1}
