"""What nbval, which runs each cell, and the browser, which runs each tutorial, do not look at."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
TUTORIALS = sorted(NOTEBOOKS.glob("*.ipynb"))


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_tutorials():
    assert [path.stem for path in TUTORIALS][:2] == ["00_start", "01_db"]


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_is_short_and_was_saved_with_its_outputs(path):
    tutorial = nbformat.read(path, as_version=4)
    six_agents = any(cell.source.startswith("%%agent") for cell in tutorial.cells)
    assert len(tutorial.cells) <= (42 if six_agents else 28)
    # nbval compares nothing in a cell that was saved without having been run.
    assert all(cell.execution_count for cell in code_cells(tutorial))


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_can_be_run_again_and_after_the_others_which_share_its_database(path):
    # A run may have ended in the middle: what its end drops does not count.
    before = ""
    for cell in code_cells(nbformat.read(path, as_version=4)):
        before += cell.source
        for table in re.findall(r"create table (?!if not exists)(\w+)", cell.source):
            assert f"drop table if exists {table}" in before


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_holds_no_secret_and_no_path_of_a_machine(path):
    from agentnb.core.check import scan_notebook

    assert scan_notebook(path) == []
    assert str(Path.home()) + "/" not in path.read_text(encoding="utf-8")


def test_the_first_tutorials_run_on_postgresql_as_they_are(postgres_url, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    for path in TUTORIALS[:2]:
        notebook = nbformat.read(path, as_version=4)
        where = {"metadata": {"path": str(NOTEBOOKS)}}
        NotebookClient(notebook, timeout=60, kernel_name="python3", resources=where).execute()
