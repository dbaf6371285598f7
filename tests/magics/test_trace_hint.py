"""A failed cell names ``%trace``, in its traceback and nowhere else."""

from __future__ import annotations

import re

import nbformat
import pytest
from nbclient import NotebookClient

LINE = "%trace shows what it caused"
FAILS = "hub.db.query('select 1')\nraise ValueError('no')"


@pytest.fixture
def shown(shell, capsys):
    """Run a cell of the notebook, which has a number; return what it prints and its error."""

    def run_cell(source):
        capsys.readouterr()
        shell.run_cell(source, store_history=True)
        captured = capsys.readouterr()
        return captured.out + captured.err

    return run_cell


def test_a_cell_that_failed_after_a_call_names_it_once(shown):
    assert shown(FAILS).count(LINE) == 1
    assert shown("hub.db.query('select no_such_column')").count(LINE) == 1


@pytest.mark.parametrize(
    "source", ["1 / 0", "this is no Python", "%trace ffffff", "hub.db.query('select 1')"]
)
def test_a_cell_that_called_nothing_or_did_not_fail_does_not(shown, source):
    shown("hub.db.query('select 1')")
    assert LINE not in shown(source)


def test_an_error_of_a_cell_that_called_nothing_names_no_trace(shown):
    shown("hub.db.query('select 1')")
    named = re.compile(r"^\x1b\[2mtrace [0-9a-f]{8}", re.MULTILINE)
    assert named.search(shown("hub.db.query('select no_such_column')"))
    assert not named.search(shown("%trace ffffff"))


def test_it_can_be_switched_off_and_on(shown):
    assert "hints are off" in shown("%agentnb hints off")
    assert LINE not in shown(FAILS)
    shown("%agentnb hints on")
    assert LINE in shown(FAILS)
    assert "hints must be" in shown("%agentnb hints maybe")


def test_whole_tracebacks_have_it_too(shown):
    shown("%agentnb debug on")
    assert LINE in shown("hub.db.query('select no_such_column')")


def test_a_handler_of_the_users_gets_its_error_as_it_was(shell, shown):
    seen = []

    def handler(_shell, _kind, error, _trace, tb_offset=None):  # noqa: ARG001 - IPython's
        seen.append(error)

    shell.set_custom_exc((ValueError,), handler)
    assert LINE not in shown(FAILS)
    assert [str(error) for error in seen] == ["no"]
    assert not hasattr(seen[0], "__notes__")


def test_what_shows_tracebacks_otherwise_stays_when_the_extension_goes(shell, shown):
    def mine(_kind, error, _lines):
        print("mine:", error)  # noqa: T201 - as a handler would

    own = shell._showtraceback
    shell._showtraceback = mine
    assert "mine: no\n" in shown(FAILS)
    assert LINE not in shown(FAILS)
    shell.run_line_magic("unload_ext", "agentnb")
    assert shell._showtraceback is mine
    shell._showtraceback = own
    assert LINE not in shown("1 / 0")


def test_a_saved_notebook_has_it_in_the_traceback_and_in_no_output(project):
    notebook = nbformat.v4.new_notebook()
    for source in ("%load_ext agentnb\nhub.db.ping()", FAILS):
        notebook.cells.append(nbformat.v4.new_code_cell(source))
    client = NotebookClient(
        notebook, allow_errors=True, timeout=60, resources={"metadata": {"path": str(project)}}
    )
    client.execute()
    (output,) = notebook.cells[1].outputs
    assert output.output_type == "error"
    assert LINE in output.traceback[-1]
    assert (output.ename, output.evalue) == ("ValueError", "no")


def test_an_error_behind_which_is_a_group_is_shown_short_as_any_other(shell, shown):
    source = """
from agentnb.errors import UnavailableError
try:
    raise ExceptionGroup("tasks", [OSError("a secret")])
except ExceptionGroup as group:
    try:
        raise ValueError("between") from group
    except ValueError as error:
        raise UnavailableError("away", service="mcp", hint="start it") from error
"""
    text = shown(source)
    assert "(mcp): away" in text
    assert "start it" in text
    assert "Traceback" not in text
    assert "a secret" not in text
    assert "Traceback" in shown("raise ExceptionGroup('tasks', [OSError('own')])")
    shell.run_line_magic("unload_ext", "agentnb")
    assert "showtraceback" not in vars(shell) or "Traceback" in shown(source)
    shell.run_line_magic("load_ext", "agentnb")
