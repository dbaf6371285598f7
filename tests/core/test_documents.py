"""Documents of the repository name files, settings and pages that exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from agentnb.core.settings import FIELDS

ROOT = Path(__file__).parents[2]
DOCUMENTS = (
    *("README.md", "CONTRIBUTING.md", "SECURITY.md", "tests/benchmarks/README.md"),
    *(f"notebooks/guide/{path.name}" for path in (ROOT / "notebooks" / "guide").glob("*.md")),
)
_LINK = re.compile(r"\]\((?!https?://|#)(?P<path>[^)\s#]+)(?:#[^)\s]*)?\)")
_PATH = re.compile(r"`(?P<path>(?:agentnb|notebooks|tests|\.ci)/[\w./-]*)`")
_COMMAND = re.compile(
    r"^(?:\.venv/bin/|    )?(?:pytest|python3?) (?P<path>tests/\S+)", re.MULTILINE
)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_file_that_a_document_names_is_there(name):
    document = ROOT / name
    text = document.read_text()
    links = [document.parent / found["path"] for found in _LINK.finditer(text)]
    paths = [ROOT / found["path"] for found in [*_PATH.finditer(text), *_COMMAND.finditer(text)]]
    assert [str(path) for path in (*links, *paths) if not path.exists()] == []


def test_every_setting_is_in_the_guide():
    text = (ROOT / "notebooks" / "guide" / "settings.md").read_text()
    assert [field.variable for field in FIELDS if f"`{field.variable}`" not in text] == []


def test_the_source_archive_has_the_documents():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packed = project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"):
        assert f"/{name}" in packed
        assert (ROOT / name).is_file()


def test_the_oldest_supported_python_is_said_everywhere_alike():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["requires-python"] == ">=3.11"
    for name in ("README.md", "CONTRIBUTING.md"):
        assert "Python 3.11 or newer" in (ROOT / name).read_text()
