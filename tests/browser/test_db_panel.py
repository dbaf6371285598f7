"""The database panel as a person meets it: in JupyterLab, by mouse and keyboard."""

from __future__ import annotations

import pytest

SETUP = """\
%load_ext agentnb
%db --quiet drop table if exists chore
%db --quiet drop table if exists note
%db --quiet create table chore (id integer primary key, title text, state text)
%db --quiet create table note (body text)
for number in range(60):
    hub.db.execute(
        "insert into chore (title, state) values (:t, :s)",
        {"t": f"chore {number}", "s": "ready" if number % 3 else "failed"},
    )
_ = hub.db.execute("insert into note values ('<img src=x onerror=alert(1)>')")"""


@pytest.fixture
def panel(lab):
    """Open a notebook with a database panel, and return the panel's element."""
    lab.show("panel.ipynb", SETUP, "%db panel")
    element = lab.page.locator(".agentnb-panel")
    element.wait_for()
    row(element, "chore").wait_for()
    return element


def row(panel, text):
    return panel.get_by_role("row").filter(has_text=text).first


def run_sql(panel, sql):
    panel.locator("textarea").fill(sql)
    panel.get_by_role("button", name="Run").click()


def test_a_table_unfolds_into_its_columns_and_shows_its_rows(lab, panel):
    row(panel, "chore").click()
    row(panel, "chore.title").wait_for()
    row(panel, "chore 1").wait_for()
    lab.screenshot("db_panel", dark=True)


def test_sql_is_run_and_an_error_is_shown_in_the_panel(lab, panel):
    run_sql(panel, "select count(*) as how_many from chore")
    panel.get_by_role("columnheader", name="how_many").wait_for()
    row(panel, "60").wait_for()
    run_sql(panel, "select * from chora")
    panel.get_by_text("did you mean chore?").wait_for()
    lab.screenshot("db_panel_error")


def test_what_a_cell_writes_appears_by_itself(lab, panel):
    lab.execute("hub.db.execute('create table fresh as select 7 as seven')")
    row(panel, "fresh").wait_for()


def test_html_in_a_value_stays_text(panel):
    row(panel, "note").click()
    panel.get_by_text("<img src=x onerror=alert(1)>").wait_for()
    assert panel.locator("img").count() == 0


def test_the_filter_holds_over_a_refresh(lab, panel):
    row(panel, "chore").click()
    row(panel, "chore 1").wait_for()
    filters = panel.get_by_placeholder("Filter", exact=False)
    filters.last.fill("state:failed")
    panel.get_by_text("20 of 60", exact=False).wait_for()
    lab.execute("hub.db.execute(\"insert into chore (title, state) values ('late', 'failed')\")")
    panel.get_by_text("21 of 61", exact=False).wait_for()
    assert filters.last.input_value() == "state:failed"


def test_a_click_is_answered_while_a_cell_is_busy(lab, panel):
    number = lab.add_cell("import time; time.sleep(20); print('slept')", wait=False)
    row(panel, "note").click()
    row(panel, "note.body").wait_for(timeout=10_000)
    assert "slept" not in lab.cell_output_text(number)
    lab.command("notebook:interrupt-kernel")
    lab.wait_idle()


def test_keys_typed_at_the_panel_are_not_shortcuts_of_the_lab(lab, panel):
    cells = lab.page.locator(".jp-Notebook .jp-Cell").count()
    panel.get_by_role("button", name="Run").focus()
    for key in ("b", "a", "x", "m", "d", "d"):
        lab.page.keyboard.press(key)
    assert lab.page.locator(".jp-Notebook .jp-Cell").count() == cells
    assert panel.is_visible()


@pytest.mark.usefixtures("panel")
def test_running_the_cell_again_replaces_the_panel(lab):
    lab.run_cell(1)
    row(lab.page.locator(".agentnb-panel"), "chore").wait_for()
    assert lab.page.locator(".agentnb-panel").count() == 1
    opened = lab.execute("print(len(get_ipython().find_magic('db').__self__.extension.panels))")
    assert opened.strip() == "1"


def test_a_closed_panel_is_gone(panel):
    panel.get_by_role("button", name="Close").click()
    panel.wait_for(state="detached")


@pytest.mark.usefixtures("panel")
def test_a_saved_panel_is_readable_without_a_kernel(lab, lab_server):
    lab.save()
    lab_server.shut_kernels()
    lab.open("panel.ipynb", kernel=False)
    lab.page.locator(".agentnb-static").get_by_text("chore", exact=True).first.wait_for()
    lab.screenshot("db_panel_saved")
