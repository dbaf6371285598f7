"""A test has the markers of its folder, its file, its fixtures and its parameters."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.markers import MARKERS, left_out, mark

ROOT = Path(__file__).parents[2]
FAST = " and ".join(f"not {name}" for name in MARKERS)


def markers_of(path, *fixtures, **parameters):
    found = []
    item = SimpleNamespace(path=ROOT / path, fixturenames=fixtures, add_marker=found.append)
    item.callspec = SimpleNamespace(params=parameters)
    mark(item, ROOT)
    return found


@pytest.mark.parametrize(
    ("path", "fixtures", "parameters", "expected"),
    [
        ("tests/core/test_paths.py", ["tmp_path"], {"n": 1, "names": {"a"}}, []),
        ("tests/browser/test_lab.py", [], {}, ["browser"]),
        ("tests/panels/test_docker_panel.py", ["docker_engine"], {}, ["docker", "slow"]),
        (
            "tests/notebooks/test_x.py",
            [],
            {"tutorial": Path("07_docker.ipynb")},
            ["docker", "slow"],
        ),
        ("notebooks/07_docker.ipynb", [], {}, ["docker", "slow"]),
        ("tests/core/test_db.py", ["fresh_url", "postgres_url"], {}, ["postgres"]),
        ("tests/core/test_db.py", ["db"], {"db": "postgresql"}, ["postgres"]),
        ("tests/core/test_db.py", ["db"], {"db": "sqlite"}, []),
        ("tests/core/test_api_faults.py", [], {}, ["faults"]),
    ],
)
def test_a_test_is_marked_by_what_it_asks_for(path, fixtures, parameters, expected):
    assert markers_of(path, *fixtures, **parameters) == expected


@pytest.mark.parametrize("name", MARKERS)
def test_every_clue_means_something(name):
    places = [path for top in ("tests", "notebooks") for path in (ROOT / top).rglob("*")]
    texts = [path.read_text() for path in places if path.suffix == ".py"]
    code = "\n".join(text for text in texts if "MARKERS = {" not in text)
    for clue in MARKERS[name].clues:
        here = any(path.match(clue) or path.match(f"{clue}.*") for path in places)
        fixture = re.search(rf"@pytest.fixture[^\n]*\ndef {re.escape(clue)}\(", code)
        value = clue[:1] == "=" and f'"{clue[1:]}"' in code
        assert here or fixture or value, clue


def test_what_a_run_leaves_out_is_read_from_its_expression():
    assert [name for name in MARKERS if left_out(FAST, name)] == [*MARKERS]
    assert not left_out("docker and not postgres", "docker")
    assert not left_out("", "docker")
    assert not left_out("not node", "node")  # an ability of a machine that is no marker


def test_the_guide_for_contributors_has_the_fast_tests():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    assert f'.venv/bin/pytest -m "{FAST}"\n' in text
    assert f"({', '.join(f'`{name}`' for name in MARKERS)})" in text


def test_the_markers_are_known_to_pytest(pytestconfig):
    assert {line.partition(":")[0] for line in pytestconfig.getini("markers")} >= {*MARKERS}
