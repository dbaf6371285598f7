"""The files panel as a person meets it: in JupyterLab, by mouse and keyboard."""

from __future__ import annotations

import pytest

SETUP = """\
import base64, os, shutil
shutil.rmtree("shelf", ignore_errors=True)
os.environ["AGENTNB_WORKSPACE"] = "shelf"  # others leave repositories in the notebooks' own
%load_ext agentnb
hub.files.write_file("README.md", "# Agents\\n\\nThe <b>plan</b> of the day.\\n")
hub.files.write_file("src/agents/planner.py", "def plan(task):\\n    return [task]\\n" * 40)
hub.files.write_file("src/agents/coder.py", "def code(plan):\\n    return plan\\n" * 30)
hub.files.write_file("src/main.py", "from agents import planner\\n" * 12)
hub.files.write_file("data/runs.csv", "id,agent\\n" + "1,planner\\n" * 900)
hub.files.write_file("logs/run-1.log", "step done\\n" * 2500)
hub.files.write_file("plot.png", base64.b64decode(PNG))"""

PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAIAAAACUFjqAAAAEklEQVR4nGP4z8CAB+GTG8HSALfKY52fTcuYAAAAAElF"
    "TkSuQmCC"
)


@pytest.fixture
def panel(lab):
    """Open a notebook with a files panel, and return the panel's element."""
    lab.show("files.ipynb", f"PNG = {PNG!r}\n{SETUP}", "%files panel")
    element = lab.page.locator(".agentnb-panel")
    element.wait_for()
    row(element, "README.md").wait_for()
    return element


def row(panel, text):
    return panel.get_by_role("row").filter(has_text=text).first


def test_a_folder_is_unfolded_and_a_file_is_looked_into(lab, panel):
    row(panel, "src").click()
    row(panel, "agents").click()
    row(panel, "planner.py").click()
    panel.locator("pre").get_by_text("def plan(task):", exact=False).wait_for()
    panel.get_by_text("80 lines", exact=False).wait_for()
    lab.screenshot("files_panel")
    row(panel, "plot.png").click()
    panel.locator("img").wait_for()
    lab.screenshot("files_panel_plot", dark=True)
    row(panel, "README.md").click()
    panel.locator("pre").get_by_text("The <b>plan</b>", exact=False).wait_for()
    assert panel.locator("pre b").count() == 0


def test_what_a_cell_writes_appears_by_itself(lab, panel):
    lab.add_cell("%%files write notes/today.md\nread the plan\n")
    row(panel, "notes").wait_for()
    changes = panel.get_by_role("row").filter(has_text="notes/today.md")
    changes.filter(has_text="created").wait_for()
    lab.screenshot("files_panel_changes")


def test_a_folder_is_removed_after_it_was_confirmed(lab, panel):
    row(panel, "logs").click()
    panel.get_by_role("button", name="Remove").click()
    sure = panel.get_by_role("button", name="Remove logs and 1 file in it")
    sure.wait_for()
    assert lab.execute("print(hub.files.exists('logs'))").strip() == "True"
    sure.click()
    panel.get_by_text("logs: removed").wait_for()
    assert lab.execute("print(hub.files.exists('logs'))").strip() == "False"


def test_keys_typed_at_the_panel_are_not_shortcuts_of_the_lab(lab, panel):
    cells = lab.page.locator(".jp-Notebook .jp-Cell").count()
    row(panel, "README.md").click()
    panel.locator("pre").wait_for()
    for element in (
        panel.get_by_role("button", name="Remove"),
        panel.locator("pre"),
        panel.get_by_role("grid").first,
    ):
        element.focus()
        for key in ("b", "a", "x", "m", "d", "d"):
            lab.page.keyboard.press(key)
    assert lab.page.locator(".jp-Notebook .jp-Cell").count() == cells
    assert panel.is_visible()


def test_an_empty_workspace_says_what_to_type(lab):
    empty = SETUP.partition("hub.files.write_file")[0]
    lab.open(lab.write("empty.ipynb", empty, "%files panel"))
    lab.run_all()
    panel = lab.page.locator(".agentnb-panel")
    panel.get_by_text("The workspace is empty. Type in a cell:", exact=False).wait_for()
    lab.screenshot("files_panel_empty")


@pytest.mark.usefixtures("panel")
def test_a_saved_panel_is_readable_without_a_kernel(lab, lab_server):
    lab.save()
    lab_server.shut_kernels()
    lab.open("files.ipynb", kernel=False)
    lab.page.locator(".agentnb-static").get_by_text("README.md", exact=False).first.wait_for()
    lab.screenshot("files_panel_saved")
