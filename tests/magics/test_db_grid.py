"""Results in a kernel: a grid where a person has the notebook open, a table elsewhere."""

from __future__ import annotations

import json

import pytest

from agentnb.core.errors import ConfigError, UsageError

VIEW = "application/vnd.jupyter.widget-view+json"
SQL = "with recursive n(i) as (select 0 union all select i + 1 from n limit {}) select i from n"
MANY = f"hub.db.query('{SQL.format(26)}')"
FEW = f"hub.db.query('{SQL.format(25)}')"
OPENED = """
import agentnb.panels, gc
from agentnb.core.grid import Grid
found = get_ipython().find_magic("db").__self__
extension = getattr(found, "extension", found)  # the magic is made at its first use
grids = [one for one in gc.get_objects() if isinstance(one, Grid) and not one._closed]
print(len(extension.panels), len(grids))
"""


def kinds(outputs):
    return [(kind, sorted(data) if isinstance(data, dict) else data) for kind, data in outputs]


VIEW_AND_COPY = [
    ("display_data", [VIEW, "text/plain"]),
    ("display_data", ["text/html", "text/plain"]),
]
TABLE = [("execute_result", ["text/html", "text/plain"])]


@pytest.fixture(scope="module", autouse=True)
def opened(kernel):
    kernel.run("hub.db")  # says that the home is private from now on


@pytest.fixture(autouse=True)
def settings_as_before(kernel):
    yield
    kernel.run("os.environ.pop('AGENTNB_GRID', None)\n%agentnb reset")


def set_mode(kernel, mode):
    kernel.run(f"os.environ['AGENTNB_GRID'] = {mode!r}\n%agentnb reset")


def printed(kernel, code):
    return kernel.run(code)[0].strip()


def test_more_than_25_rows_are_a_grid_and_its_copy_where_a_person_looks(kernel):
    view, copy = kernel.outputs(MANY, cell="c1")
    assert kinds([view, copy]) == VIEW_AND_COPY
    assert view[1]["text/plain"] == ""
    assert 'alt="i: 0' in copy[1]["text/html"]
    assert copy[1]["text/plain"].endswith("25 of 26 rows shown")
    assert len(json.dumps(copy[1])) < 20_000
    assert kinds(kernel.outputs(FEW, cell="c2")) == TABLE


@pytest.mark.parametrize("source", [
    "%db {}",
    "%%db\n{}",
    "%db --all {}",
    "x = hub.db.query('{}')\nx",
    "from IPython.display import display\ndisplay(hub.db.query('{}'))",
    "%db --as arrow x << {}\nagentnb_result = hub.db.query('{}')\nagentnb_result",
])  # fmt: skip
def test_it_is_a_grid_in_whatever_way_it_is_shown(kernel, source):
    sql = SQL.format(30)
    assert kinds(kernel.outputs(source.format(sql, sql), cell="ways")) == VIEW_AND_COPY


def test_what_is_assigned_shows_nothing(kernel):
    assert kernel.outputs(f"%db kept << {SQL.format(30)}", cell="c1") == []
    assert kernel.outputs(f"%db --grid kept << {SQL.format(3)}", cell="c1") == []
    assert kinds(kernel.outputs("kept", cell="c1")) == VIEW_AND_COPY


def test_a_program_that_runs_notebooks_sees_the_table_as_ever(kernel):
    # nbclient, nbval and papermill send no id of the cell.
    assert kinds(kernel.outputs(MANY)) == TABLE
    assert kinds(kernel.outputs(f"%db {SQL.format(2000)}")) == TABLE
    before = kernel.outputs(MANY)
    set_mode(kernel, "never")
    assert kernel.outputs(MANY) == before


def test_the_setting_is_always_or_never(kernel):
    set_mode(kernel, "never")
    assert kinds(kernel.outputs(MANY, cell="c1")) == TABLE
    set_mode(kernel, "always")
    assert kinds(kernel.outputs(MANY)) == VIEW_AND_COPY
    assert kinds(kernel.outputs(FEW)) == TABLE


def test_the_options_are_for_one_statement(kernel):
    few, many = SQL.format(3), SQL.format(30)
    assert kinds(kernel.outputs(f"%db --grid {few}", cell="c1")) == VIEW_AND_COPY
    assert kinds(kernel.outputs(f"%db --no-grid {many}", cell="c1")) == TABLE
    set_mode(kernel, "never")
    assert kinds(kernel.outputs(f"%db --grid {few}", cell="c1")) == VIEW_AND_COPY
    assert (
        kinds(kernel.outputs("hub.db.query('select 1').grid(page=5)", cell="c1")) == VIEW_AND_COPY
    )
    # Without a person: asked for by name, as a panel is.
    assert kinds(kernel.outputs(f"%db --grid {few}")) == VIEW_AND_COPY


def test_each_result_of_a_script_shows_in_its_own_way(kernel):
    few, many = SQL.format(3), SQL.format(30)
    found = kernel.outputs(f"%%db\n{few};\n{many}", cell="c1")
    line, (kind, table), second, *rest = found
    assert "with recursive" in line[1]["text/plain"]
    assert (kind, table["text/plain"]) == ("display_data", "i\n0\n1\n2")
    assert "with recursive" in second[1]["text/html"]
    assert kinds(rest) == VIEW_AND_COPY
    assert kinds(kernel.outputs(f"%%db\n{few};\n{few}", cell="c1")) == TABLE


def test_a_cut_result_is_a_grid_that_says_so(kernel):
    view, copy = kernel.outputs(f"%db {SQL.format(2000)}", cell="c1")
    assert VIEW in view[1]
    assert "limited to 1,000 rows; there are more" in copy[1]["text/html"]
    assert "limited to 1,000 rows; there are more" in copy[1]["text/plain"]


def test_a_grid_is_closed_with_the_next_run_of_its_cell_and_with_the_hub(kernel):
    kernel.outputs(f"{MANY}.grid(); {MANY}", cell="c1")
    kernel.outputs(MANY, cell="c2")
    assert printed(kernel, OPENED) == "2 2"
    kernel.outputs(MANY, cell="c1")
    assert printed(kernel, OPENED) == "2 2"
    kernel.outputs("1", cell="c1")
    assert printed(kernel, OPENED) == "1 1"
    kernel.run("hub.close()")
    assert printed(kernel, OPENED) == "0 0"


def test_of_grids_shown_in_a_loop_the_newest_fifty_stay_open(kernel):
    kernel.run("from agentnb.core.db import Result\nfrom IPython.display import display")
    shown = "for n in range({}): display(Result(['i'], [(n,)] * 26))"
    assert len(kernel.outputs(shown.format(52), cell="c1")) == 2 * 52
    assert printed(kernel, OPENED) == "50 50"
    names = "[each.panel._known['rows'][0][0] for each in extension.panels._opened]"
    assert printed(kernel, f"print({names}[0], {names}[-1])") == "2 51"
    kernel.outputs(MANY, cell="c1")
    assert printed(kernel, OPENED) == "1 1"


@pytest.mark.parametrize(
    "before", ["%db create temp table mine as select 1 as i", "%db begin"], ids=["state", "held"]
)
def test_a_cut_result_of_a_session_with_state_is_not_asked_for_elsewhere(kernel, before):
    offers = "print([each.panel.state()['more'] for each in extension.panels._opened])"
    kernel.outputs(f"%db {SQL.format(2000)}", cell="c1")
    printed(kernel, OPENED)
    assert printed(kernel, offers) == "[True]"
    kernel.run(before)
    kernel.outputs(f"%db {SQL.format(2000)}", cell="c1")
    assert printed(kernel, offers) == "[False]"


def test_a_cell_that_is_kept_by_the_cache_keeps_the_copy(kernel):
    cell = f"%%cache grids\ndisplay({MANY})\n{MANY}"
    kernel.run("from IPython.display import display\n%cache rm grids")
    first = kernel.outputs(cell, cell="c1")
    assert kinds(first) == VIEW_AND_COPY * 2
    note, copy, *value = kernel.outputs(cell, cell="c1")
    assert "%%cache grids: from" in note[1]["text/plain"]
    assert copy == first[1]
    assert kinds(value) == VIEW_AND_COPY


def test_an_error_of_the_grid_is_a_line_and_the_rows_are_a_table(kernel):
    kernel.run("from agentnb.core.grid import Grid\nfrom agentnb.errors import UsageError")
    kernel.run("def broken(*_): raise UsageError('no page', service='grid', hint='turn')")
    kernel.run("working, Grid.page = Grid.page, broken")
    found = kernel.outputs(MANY, cell="c1")
    kernel.run("Grid.page = working")
    assert found[0] == ("stderr", "no grid: no page (turn)\n")
    assert kinds(found[1:]) == TABLE


def test_a_terminal_shows_a_table_and_refuses_what_it_cannot_show(run):
    assert "i\n" in repr(run(f"%db {SQL.format(30)}")).replace(" ", "")
    assert repr(run(f"{MANY}.grid()")) == repr(run(MANY))
    with pytest.raises(UsageError, match="a grid needs a notebook"):
        run(f"%db --grid {SQL.format(30)}")


@pytest.mark.parametrize(
    ("options", "others"),
    [
        ("--grid --no-grid", "--grid and --no-grid exclude each other"),
        ("--grid --as pandas", "--grid and --as pandas exclude each other"),
        ("--grid --plot i", "--grid and --plot exclude each other"),
        ("--no-grid --explain", "--no-grid and --explain exclude each other"),
    ],
)
def test_options_that_exclude_each_other_are_refused(run, options, others):
    with pytest.raises(UsageError, match=others):
        run(f"%db {options} select 1 as i")


def test_a_setting_of_another_word_is_refused(run, monkeypatch):
    monkeypatch.setenv("AGENTNB_GRID", "sometimes")
    with pytest.raises(ConfigError, match="AGENTNB_GRID must be auto, always or never"):
        run("hub.db.query('select 1')")


def test_unloading_leaves_nothing_behind(shell):
    table = shell.display_formatter.ipython_display_formatter
    shell.run_line_magic("unload_ext", "agentnb")
    known = [*table.deferred_printers, *((kind.__module__,) for kind in table.type_printers)]
    assert [one for one in known if one[0].startswith("agentnb")] == []
