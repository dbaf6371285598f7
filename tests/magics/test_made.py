"""The functions that cells have made: one that is run for another name withdraws the former."""

from __future__ import annotations

import pytest

from agentnb.magics.made import CellFunction, CellFunctions


@pytest.fixture
def make(tmp_path):
    """Return what makes a function whose module is kept under its name."""

    def make(name, *, withdrawn=True):
        path = tmp_path / f"{name}.py"
        path.write_text(name)
        message = f"{name}: no longer this cell"
        return CellFunction(name, path, name, lambda: (withdrawn, message))

    return make


def test_a_cell_that_is_run_for_another_name_withdraws_the_former_and_its_module(make):
    functions, former = CellFunctions(), make("a")
    assert functions.replace("cell", former) == ""
    assert functions.replace("cell", make("b")) == "a: no longer this cell"
    assert not former.path.exists()


def test_a_cell_that_is_run_again_withdraws_nothing(make):
    functions = CellFunctions()
    assert [functions.replace("cell", make("a")) for _ in range(2)] == ["", ""]
    assert make("a").path.exists()


def test_a_module_that_another_cell_has_written_stays(make):
    functions, former = CellFunctions(), make("a")
    functions.replace("cell", former)
    former.path.write_text("that of another cell")
    functions.replace("cell", make("b"))
    assert former.path.read_text() == "that of another cell"


def test_the_module_of_a_function_that_is_still_used_stays(make):
    functions, former = CellFunctions(), make("a", withdrawn=False)
    functions.replace("cell", former)
    assert functions.replace("cell", make("b")) == "a: no longer this cell"
    assert former.path.exists()


def test_two_cells_and_those_without_an_id_withdraw_nothing_of_each_other(make):
    functions = CellFunctions()
    cells = ("one", "two", None, None)
    assert [functions.replace(cell, make(f"f{i}")) for i, cell in enumerate(cells)] == [""] * 4
