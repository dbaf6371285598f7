"""The cache panel as a person meets it: in JupyterLab, by mouse and keyboard."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

SETUP = """\
%load_ext agentnb
_ = hub.cache.invalidate("*")
for number in range(40):
    hub.cache.set(f"user:{number}", {"name": f"user {number}", "roles": ["agent"]}, ttl=900)
hub.cache.set("rates", {"EUR": 1.1, "CHF": 0.95, "note": "<img src=x onerror=alert(1)>"}, ttl=90)
hub.cache.set("report", "All tests pass.")"""

ASKED = """[hub.cache.get(key) for key in ["rates"] * 6 + ["nothing"] for _ in range(8)]"""


@pytest.fixture
def panel(lab):
    """Open a notebook with a cache panel, and return the panel's element."""
    lab.show("cache.ipynb", SETUP, "%cache panel")
    element = lab.page.locator(".agentnb-panel")
    element.wait_for()
    row(element, "rates").wait_for()
    return element


def row(panel, text):
    return panel.get_by_role("row").filter(has_text=text).first


def use(panel, pattern):
    panel.get_by_placeholder("Pattern", exact=False).fill(pattern)
    panel.get_by_placeholder("Pattern", exact=False).press("Enter")


def test_keys_are_listed_and_a_picked_one_shows_its_value(lab, panel):
    panel.get_by_text("42 keys", exact=True).wait_for()
    row(panel, "rates").click()
    panel.locator("pre").get_by_text('"EUR": 1.1', exact=False).wait_for()
    panel.get_by_text("s left", exact=False).or_(
        panel.get_by_text("min left", exact=False)
    ).first.wait_for()
    assert panel.locator("img").count() == 0
    lab.execute(ASKED)
    plot = panel.get_by_role("img", name="Hit ratio")
    expect(plot).to_have_attribute("aria-label", re.compile("^Hit ratio of this notebook: 8"))
    lab.screenshot("cache_panel", dark=True)


def test_a_pattern_is_applied_and_survives_a_refresh(lab, panel):
    use(panel, "user:3*")
    panel.get_by_text("11 keys", exact=True).wait_for()
    lab.execute("hub.cache.set('user:333', 'late')")
    row(panel, "user:333").wait_for()
    panel.get_by_text("12 keys", exact=True).wait_for()
    use(panel, "nobody")
    panel.get_by_text("For keys that hold it: *nobody*", exact=False).wait_for()


def test_a_pattern_is_invalidated_after_it_was_confirmed(lab, panel):
    use(panel, "user:*")
    panel.get_by_text("40 keys", exact=True).wait_for()
    panel.get_by_role("button", name="Invalidate").click()
    sure = panel.get_by_role("button", name="Remove 40 keys: user:*")
    sure.wait_for()
    lab.screenshot("cache_panel_confirm")
    assert lab.execute("print(len(hub.cache.keys()))").strip() == "42"
    sure.click()
    panel.get_by_text("user:*: 40 keys removed").wait_for()
    panel.get_by_text("No key matches user:*").wait_for()
    sure.wait_for(state="hidden")
    assert lab.execute("print(hub.cache.keys())").strip() == "['rates', 'report']"


def test_a_double_click_on_invalidate_removes_nothing(lab, panel):
    panel.get_by_role("button", name="Invalidate").dblclick()
    lab.page.wait_for_timeout(1000)
    assert lab.execute("print(len(hub.cache.keys()))").strip() == "42"


def test_the_picked_key_is_removed(lab, panel):
    row(panel, "report").click()
    panel.locator("pre").get_by_text("All tests pass.").wait_for()
    panel.get_by_role("button", name="Remove").click()
    panel.get_by_text("report: removed").wait_for()
    assert lab.execute("print(hub.cache.get('report'))").strip() == "None"


def test_what_a_cell_caches_appears_by_itself(lab, panel):
    lab.add_cell("%%cache slow\nanswer = 6 * 7\nanswer")
    row(panel, "slow").wait_for()


def test_a_click_is_answered_while_a_cell_is_busy(lab, panel):
    number = lab.add_cell("import time; time.sleep(20); print('slept')", wait=False)
    row(panel, "report").click()
    panel.locator("pre").get_by_text("All tests pass.").wait_for(timeout=10_000)
    assert "slept" not in lab.cell_output_text(number)
    lab.command("notebook:interrupt-kernel")
    lab.wait_idle()


def test_keys_typed_at_the_panel_are_not_shortcuts_of_the_lab(lab, panel):
    cells = lab.page.locator(".jp-Notebook .jp-Cell").count()
    row(panel, "report").click()
    panel.locator("pre").wait_for()
    buttons = panel.get_by_role("button", name="Invalidate")
    for element in (buttons, panel.locator("pre"), panel.get_by_role("grid")):
        element.focus()
        for key in ("b", "a", "x", "m", "d", "d"):
            lab.page.keyboard.press(key)
    assert lab.page.locator(".jp-Notebook .jp-Cell").count() == cells
    assert panel.is_visible()


def test_an_empty_cache_says_what_to_type(lab):
    lab.open(
        lab.write("empty.ipynb", "%load_ext agentnb\n_ = hub.cache.invalidate('*')", "%cache panel")
    )
    lab.run_all()
    panel = lab.page.locator(".agentnb-panel")
    panel.get_by_text("Nothing is cached yet. Type in a cell:", exact=False).wait_for()
    lab.screenshot("cache_panel_empty")


@pytest.mark.usefixtures("panel")
def test_a_saved_panel_is_readable_without_a_kernel(lab, lab_server):
    lab.save()
    lab_server.shut_kernels()
    lab.open("cache.ipynb", kernel=False)
    lab.page.locator(".agentnb-static").get_by_text("rates", exact=True).first.wait_for()
    lab.screenshot("cache_panel_saved")
