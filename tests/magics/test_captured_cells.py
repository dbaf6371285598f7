"""`%agentnb record` keeps the calls of cells, and `%trace capture` makes tests of them."""

from __future__ import annotations

import json

import nbformat
import pytest

from agentnb.core.errors import ReplayDiverged
from agentnb.core.tape.cells import cell_source, definition

CELL = '''\
from statistics import mean
text = """select :n as n
  union all select 4"""
found = hub.db.query(text, {"n": limits["n"]})
rates = [row.n for row in found]
if mean(rates) > limits["most"]:
    raise ValueError(f"too many: {rates}")
'''


@pytest.fixture
def cells(shell, capsys):
    """Return what runs a cell as a notebook does, and gives its result."""

    def run(source):
        found = shell.run_cell(source, store_history=True)
        capsys.readouterr()
        return found

    return run


def executed(path):
    """Return the names of a test's file."""
    names = {"__file__": str(path), "__name__": path.stem}
    exec(compile(path.read_text(), str(path), "exec"), names)
    return names


def captured(cells, project, number):
    """Capture a cell as a test, and return the file."""
    path = project / "test_cell.py"
    found = cells(f"hub.trace.capture('cell:{number}', test={str(path)!r}, overwrite=True)")
    found.raise_error()
    return path


def test_a_cell_that_fails_becomes_a_test_with_its_values(cells, project):
    said = repr(cells("%agentnb record failed").result)
    assert said.startswith("jobs, tasks and cells that are recorded: those that fail")
    cells("limits = {'n': 8, 'most': 5}\nhub.db.query('select 1')")
    failed = cells(CELL)
    cells("limits = None")
    assert isinstance(failed.error_in_exec, ValueError)
    assert [path.name[-15:] for path in (project / ".agentnb/tapes").iterdir()] == [
        "cell-3-1.tape.json"[-15:]
    ]
    path = captured(cells, project, 3)
    text = path.read_text()
    assert "def cell_3(hub, limits):" in text
    assert "# It failed: ValueError: too many: [8, 4]" in text
    with pytest.raises(ValueError, match=r"too many: \[8, 4\]"):
        executed(path)["test_cell_3"]()
    path.write_text(text.replace("> limits['most']", "> 9"))
    executed(path)["test_cell_3"]()
    path.write_text(text.replace("select 4", "select 5"))
    with pytest.raises(ReplayDiverged, match="step 1 went another way"):
        executed(path)["test_cell_3"]()


def test_a_cell_that_awaits_and_completes_is_captured_by_its_trace(cells, project):
    cells("%agentnb record all")
    cells("import asyncio as aio")
    cells("n = 3").raise_error()
    cells("await aio.sleep(0)\nn = (await hub.db.aquery('select :n as n', {'n': n})).scalar() + 1")
    cells("found = hub.db.query('select 9')")
    trace = cells("hub.trace.last(2).id").result
    path, book = project / "test_awaits.py", project / "awaits.ipynb"
    cells(f"%trace capture {trace[:8]} --test {path} --to {book}").raise_error()
    assert "import asyncio as aio" in path.read_text()
    assert "async def cell_4(hub, n):" in path.read_text()
    executed(path)["test_cell_4"]()
    notebook = nbformat.read(book, as_version=4)
    nbformat.validate(notebook)
    sources = [one.source for one in notebook.cells]
    assert "result = await cell_4(tape.hub, **tape.names)" in sources[-1]
    assert [one[:5] for one in sources].count("<div>") == 1
    cells("%agentnb record off")
    cells("hub.db.query('select 10')")
    tapes = [json.loads(one.read_text()) for one in (project / ".agentnb/tapes").iterdir()]
    assert sorted(one["unit"]["id"] for one in tapes) == ["4", "5", "6", "7"][: len(tapes)]
    assert not any("select 10" in str(one["steps"]) for one in tapes)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("%db select 1\n1 / 0", "it uses magics"),
        ("twice(hub.db.query('select 1').scalar())\n1 / 0", "nor imported: twice"),
        ("hub.db.query('select 1')\nfrom math import *\n1 / 0", "its code cannot be that of"),
    ],
    ids=["magics", "function", "star"],
)
def test_a_cell_that_no_test_can_run_is_refused(cells, project, cell, message):
    cells("%agentnb record failed")
    cells("def twice(n):\n    return 2 * n")
    assert cells(cell).error_in_exec is not None
    found = cells("hub.trace.capture('cell:3', test='test_x.py')").error_in_exec
    assert message in str(found)
    assert found.hint
    assert not (project / "test_x.py").exists()


def test_a_cell_before_is_captured_and_a_closed_hub_records_nothing(cells, project, shown):
    cells("%agentnb record failed")
    cells("hub.db.query('select 6 as n')\n1 / 0")
    cells("%trace capture -1 --test test_before.py").raise_error()
    assert "def cell_2(hub):" in (project / "test_before.py").read_text()
    cells("hub.close()")
    said = shown("hub.db.query('select 7')")
    assert "this hub is closed" in said
    assert "Error in callback" not in said


def test_a_replay_within_a_recorded_cell_is_answered_by_its_own_tape(cells, project):
    cells("from agentnb.testing import record, replay")
    cells("with record('a.tape.json', hub=hub): hub.db.query('select 7 as n')").raise_error()
    cells("%agentnb record all")
    found = cells("with replay('a.tape.json') as tape: n = tape.hub.db.query('select 7 as n')")
    found.raise_error()
    assert not list((project / ".agentnb").glob("tapes/*cell-4-*"))


def test_the_names_of_a_cell_are_those_that_it_takes_from_the_notebook():
    def helper():
        pass

    names = {"a": 1, "b": [2], "c": helper, "d": object(), "print": print, "json": json, "e": 5}
    found = cell_source(
        "def inner(b):\n    return a + b\nd = inner(3)\nprint(json.dumps(d), [e for e in b])", names
    )
    assert (found.names, found.imports, found.missing) == (
        {"a": 1, "b": [2]},
        ["import json"],
        [],
    )

    class Odd:
        def __len__(self):
            raise RuntimeError("no length")

    assert cell_source("a, big, odd", {"big": range(10**9), "odd": Odd()})[1:] == (
        {},
        [],
        ["big", "odd"],
    )
    assert cell_source("c()\nd.x", names).missing == ["c", "d"]
    assert cell_source("await f(\n", names)[1:] == ({}, [], [])
    assert cell_source("async for x in a:\n    await b", names).names == {"a": 1, "b": [2]}
    text, awaited = definition("cell", 'x = """a\n  b"""\nawait x', ["x"])
    assert awaited
    space = {}
    exec(text, space)
    assert space["cell"].__code__.co_consts[1] == "a\n  b"
