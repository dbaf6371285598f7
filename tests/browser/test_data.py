"""Data in JupyterLab: a result as a grid, by mouse and keys, live and saved, with no network."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

HOSTILE = "<img src=x onerror=alert(1)>"
SETUP = f"""\
%load_ext agentnb
_ = hub.db.execute("drop table if exists sale")
_ = hub.db.execute("create table sale (id integer primary key, city text, eur real, note text)")
cities = ["Oslo", "Rome", "Paris", "{HOSTILE}"]
_ = hub.db.execute(
    "insert into sale values (:id, :city, :eur, :note)",
    [
        {{
            "id": n,
            "city": cities[n % 7 % 4],
            "eur": round((n * 37 % 1000) ** 2 / 1000, 2),
            "note": None if n % 3 == 0 else f"n{{n}}",
        }}
        for n in range(1000)
    ],
)"""
GRID = """hub.db.query('select *, id as "<b>bold</b>" from sale order by id')"""


@pytest.fixture
def grid(lab):
    """Open a notebook with a grid, and return the grid's element."""
    assert lab.show("data.ipynb", SETUP, GRID), lab.cell_output_text(1)
    element = lab.output(1).locator(".agentnb-grid")
    expect(element.locator("th").nth(1)).to_contain_text("4 distinct")
    return element


def first(grid, column):
    """Return the cell of a column in the first row."""
    return grid.locator("tbody tr").first.locator("td").nth(column)


def header(grid, name):
    return grid.get_by_role("columnheader").filter(has=grid.page.get_by_text(name, exact=True))


def shows(grid, *, count, row):
    """Wait for the number of rows, and for the id in the first row."""
    expect(grid.get_by_role("status")).to_have_text(count)
    expect(first(grid, 0)).to_have_text(row)


def test_a_grid_sorts_filters_and_turns_pages_by_mouse(lab, grid):
    shows(grid, count="1\N{EN DASH}20 of 1,000 rows", row="0")
    grid.get_by_role("button", name="Next page").click()
    shows(grid, count="21\N{EN DASH}40 of 1,000 rows", row="20")
    grid.get_by_role("button", name="eur").click()
    expect(header(grid, "eur")).to_have_attribute("aria-sort", "ascending")
    shows(grid, count="1\N{EN DASH}20 of 1,000 rows", row="0")
    grid.get_by_role("button", name="eur").click()
    expect(header(grid, "eur")).to_have_attribute("aria-sort", "descending")
    shows(grid, count="1\N{EN DASH}20 of 1,000 rows", row="27")
    rome = grid.get_by_role("option", name="Rome: 286 rows")
    rome.click()
    shows(grid, count="1\N{EN DASH}20 of 286 rows (1,000 in all)", row="54")
    expect(rome).to_have_attribute("aria-selected", "true")
    grid.get_by_role("option", name="NULL: 95 rows").click()
    expect(grid.get_by_role("status")).to_have_text("1\N{EN DASH}20 of 95 rows (1,000 in all)")
    lab.screenshot("grid_filtered", element=grid)
    grid.get_by_role("button", name="Remove the filter city: Rome").click()
    expect(grid.get_by_role("status")).to_have_text("1\N{EN DASH}20 of 334 rows (1,000 in all)")
    # A name and a value of HTML are text.
    expect(header(grid, "<b>bold</b>")).to_be_visible()
    grid.get_by_role("option", name=HOSTILE).click()
    expect(first(grid, 1)).to_have_text(HOSTILE)
    expect(grid.get_by_role("button", name=f"city: {HOSTILE}")).to_be_visible()
    expect(lab.page.locator("img[src=x], th b")).to_have_count(0)


def test_a_grid_is_used_by_keys_alone_and_by_everybody(lab, grid, axe):
    keys = lab.page.keyboard
    grid.get_by_role("button", name="Next page").focus()
    keys.press("Enter")
    expect(grid.get_by_role("status")).to_have_text("21\N{EN DASH}40 of 1,000 rows")
    for _ in range(3):  # the column to search, the text, the rows
        keys.press("Tab")
    keys.press("Tab")
    keys.press("Enter")
    expect(header(grid, "id")).to_have_attribute("aria-sort", "ascending")
    for key in ("Tab", "Tab", "Tab", "ArrowRight", "Enter"):  # the cities' second
        keys.press(key)
    expect(grid.get_by_role("status")).to_have_text("1\N{EN DASH}20 of 286 rows (1,000 in all)")
    expect(grid.get_by_role("listbox").nth(1)).to_be_focused()
    keys.press("Enter")
    expect(grid.get_by_role("status")).to_have_text("1\N{EN DASH}20 of 1,000 rows")
    search = grid.get_by_role("searchbox")
    search.focus()
    keys.type("ris")
    keys.press("Enter")
    expect(grid.get_by_role("status")).to_have_text("1\N{EN DASH}20 of 285 rows (1,000 in all)")
    cells = lab.page.locator(".jp-Notebook .jp-Cell").count()
    grid.get_by_role("group").focus()
    for key in ("b", "x", "d", "d"):  # would insert, cut and delete cells
        keys.press(key)
    assert lab.page.locator(".jp-Notebook .jp-Cell").count() == cells
    assert lab.violations(axe, lab.output(1)) == []
    lab.screenshot("grid", element=lab.output(1), dark=True)
    lab.set_theme("JupyterLab Light")


@pytest.mark.usefixtures("grid")
def test_a_saved_grid_is_the_same_table_without_a_kernel(lab, lab_server):
    expect(lab.output(1).locator(".agentnb-static")).not_to_be_visible()
    lab.save()
    lab_server.shut_kernels()
    lab.open("data.ipynb", kernel=False)
    copy = lab.output(1).locator(".agentnb-static")
    expect(copy).to_be_visible()
    expect(copy.locator("tbody tr")).to_have_count(20)
    expect(copy.locator("tbody tr").nth(3)).to_have_text(f"3{HOSTILE}12.32NULL3")
    pictures = copy.get_by_role("img")
    expect(pictures).to_have_count(4)
    # It is not trusted: its file was changed.
    expect(pictures.first).to_have_js_property("naturalWidth", 100)
    expect(copy.get_by_text("1\N{EN DASH}20 of 1,000 rows")).to_be_visible()
    expect(lab.output(1).get_by_text("model not found")).not_to_be_visible()
    expect(lab.page.locator("img[src=x]")).to_have_count(0)
    lab.screenshot("grid_saved", element=lab.output(1))
