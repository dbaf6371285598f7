"""What every panel has: keys, help, copies and files of its rows, names for screen readers."""

from __future__ import annotations

import csv
import json

import pytest
from playwright.sync_api import expect

SETUP = """\
%load_ext agentnb
for name, kind in hub.db.tables().rows:  # of the tests before: the panel opens on the first
    _ = hub.db.execute(f'drop {kind} "{name}"')
%db --quiet create table chore (id integer primary key, title text, state text)
rows = [{"t": f"chore {n}", "s": "failed" if n % 3 else "ready"} for n in range(60)]
_ = hub.db.execute("insert into chore (title, state) values (:t, :s)", rows)"""

EVERY = """\
from agentnb.core.workflow import Task
hub.cache.set("rates", {"EUR": 1.08})
hub.events.publish("agent.done", {"task": 1})
hub.queue("mail").add({"to": "ada"})
hub.files.write_file("notes.md", "text")
hub.workflows.agent("plan")(lambda task, ctx: None)
_ = hub.workflows.create("app", [Task("a", agent="plan"), Task("b", agent="plan", approval=True)])
%git init --quiet
for name in ("db", "cache", "events", "queue", "files", "git", "workflow", "agentnb"):
    display(hub.panel(name))"""


@pytest.fixture
def panel(lab):
    """Open a notebook with a database panel, and return the panel's element."""
    lab.show("keys.ipynb", SETUP, "%db panel")
    element = lab.page.locator(".agentnb-panel")
    element.wait_for()
    rows(element).get_by_role("row").filter(has_text="chore 1").first.wait_for()
    return element


def rows(panel):
    return panel.get_by_role("grid", name="Rows")


def title(panel):
    return panel.locator(".agentnb-table-title").last


def focused(lab):
    """Return what has the focus, in a few words."""
    return lab.page.evaluate(
        "() => document.activeElement.ariaLabel || document.activeElement.title"
        " || document.activeElement.textContent"
    )


@pytest.mark.parametrize("key", ["Shift+Enter", "Control+Enter"])
def test_the_sql_runs_by_its_keys(lab, panel, key):
    cells = lab.page.locator(".jp-Notebook .jp-Cell").count()
    box = panel.locator("textarea")
    box.fill("select count(*) as many from chore")
    box.press(key)
    panel.get_by_role("columnheader", name="many").wait_for()
    expect(title(panel)).to_contain_text("select count(*) as many from chore")
    assert box.input_value() == "select count(*) as many from chore"
    assert lab.page.locator(".jp-Notebook .jp-Cell").count() == cells


def test_enter_alone_begins_a_new_line_of_sql(panel):
    box = panel.locator("textarea")
    box.fill("select 1")
    box.press("Enter")
    box.press_sequentially("as one")
    box.press("Shift+Enter")
    panel.get_by_role("columnheader", name="one").wait_for()


def test_sql_that_changes_data_is_asked_about(lab, panel):
    box = panel.locator("textarea")
    box.fill("delete from chore")
    box.press("Shift+Enter")
    yes = panel.get_by_role("button", name="Run: delete from chore (every row)")
    yes.wait_for()
    box.press("Shift+Enter")
    assert lab.execute("print(hub.db.query('select count(*) from chore').scalar())").strip() == "60"
    yes.click()
    panel.get_by_text("60 rows affected").wait_for()


def test_the_header_of_a_table_is_one_tab_stop_and_the_arrows_move_in_it(lab, panel):
    head = rows(panel).locator("button.agentnb-sort")
    assert head.count() == 3
    assert [head.nth(at).get_attribute("tabindex") for at in range(3)] == ["0", "-1", "-1"]
    head.first.focus()
    lab.page.keyboard.press("ArrowRight")
    assert focused(lab) == "Order by title"
    lab.page.keyboard.press("Enter")
    cells = rows(panel).get_by_role("columnheader")
    expect(cells.nth(1)).to_have_attribute("aria-sort", "ascending")
    assert focused(lab) == "Order by title"  # a redraw leaves it there
    lab.page.keyboard.press("ArrowLeft")
    lab.page.keyboard.press("ArrowLeft")
    assert focused(lab) == "Order by id"
    lab.page.keyboard.press("Tab")
    assert not focused(lab).startswith("Order by")


def test_a_panel_has_few_tab_stops(panel):
    stops = panel.evaluate(
        "e => [...e.querySelectorAll('button, input, select, textarea, [tabindex]')].filter("
        "n => n.tabIndex >= 0 && !n.disabled && n.checkVisibility()).length"
    )
    # Four of the bar, the connection, the box and its button, and four of each of two tables.
    assert stops <= 17


def test_the_help_tells_the_keys_and_escape_closes_it(lab, panel):
    help_button = panel.get_by_role("button", name="Help: keys")
    help_button.click()
    panel.get_by_text("run the SQL in the box").wait_for()
    expect(help_button).to_have_attribute("aria-expanded", "true")
    lab.page.keyboard.press("Escape")
    panel.get_by_text("run the SQL in the box").wait_for(state="hidden")


def test_rows_are_copied_and_saved_as_they_are_filtered(lab, panel):
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    panel.get_by_placeholder("Filter", exact=False).last.fill("state:ready")
    panel.get_by_text("20 of 60 rows").wait_for()
    panel.get_by_role("button", name="Copy Rows").click()
    panel.get_by_text("copied 20 rows").wait_for()
    text = lab.page.evaluate("() => navigator.clipboard.readText()")
    assert text.splitlines()[:2] == ["id\ttitle\tstate", "1\tchore 0\tready"]
    with lab.page.expect_download() as download:
        panel.get_by_role("button", name="Save Rows as CSV").click()
    assert download.value.suggested_filename == "table-chore.csv"
    saved = list(csv.reader(download.value.path().read_text().splitlines()))
    assert len(saved) == 21
    with lab.page.expect_download() as download:
        panel.get_by_role("button", name="Save Rows as JSON").click()
    assert json.loads(download.value.path().read_text())[0] == {
        "id": 1,
        "title": "chore 0",
        "state": "ready",
    }


def test_a_table_that_is_wider_than_its_room_says_so_at_its_edge(panel):
    box = panel.locator("textarea")
    columns = ", ".join(f"'{n} ' || '{'x' * 60}' as column_{n}" for n in range(8))
    box.fill(f"select '2026-03-02 09:14:40+00:00' as moment, {columns}")
    box.press("Shift+Enter")
    panel.get_by_role("columnheader", name="column_7").wait_for()
    frame = panel.locator(".agentnb-scroll-frame").last
    assert "agentnb-more-right" in frame.get_attribute("class")
    moment = rows(panel).get_by_role("gridcell").first
    assert moment.evaluate("e => e.scrollWidth <= e.clientWidth")
    frame.locator(".agentnb-scroll").evaluate("e => { e.scrollLeft = e.scrollWidth; }")
    expect(frame).not_to_have_class("agentnb-more-right")
    expect(frame).to_have_class("agentnb-scroll-frame agentnb-more-left")


def test_axe_finds_nothing_in_any_panel(lab, axe):
    lab.open(lab.write("every.ipynb", SETUP, EVERY))
    assert lab.run_all()
    panels = lab.page.locator(".agentnb-panel")
    expect(panels).to_have_count(8)
    for at in range(8):  # each has been filled
        panels.nth(at).get_by_role("grid").or_(panels.nth(at).get_by_role("list")).first.wait_for()
    size = lab.page.viewport_size
    lab.page.set_viewport_size(size | {"height": 9000})  # what is scrolled away has no contrast
    assert lab.violations(axe, panels) == []
    for at in range(8):
        label = panels.nth(at).get_attribute("aria-label")
        lab.screenshot(f"panel_{label}".lower(), element=panels.nth(at), dark=True)
    lab.page.set_viewport_size(size)
