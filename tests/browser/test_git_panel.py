"""The git panel as a person meets it: in JupyterLab, by mouse and keyboard."""

from __future__ import annotations

import re

import pytest

SETUP = """\
import json, os, shutil, subprocess
from pathlib import Path
%load_ext agentnb
shutil.rmtree("work", ignore_errors=True)
shutil.rmtree("origin.git", ignore_errors=True)
os.environ |= {"GIT_CONFIG_GLOBAL": str(Path("gitconfig").absolute()), "GIT_CONFIG_NOSYSTEM": "1"}
Path("gitconfig").write_text("[user]\\nname = Ada\\nemail = ada@example.com\\n")
git = hub.git.at("work")
git.initialize()
os.chdir("work")
subprocess.run(["git", "init", "-q", "--bare", "-b", "main", "../origin.git"], check=True)
def notebook(*sources):
    cells = [{"cell_type": "code", "id": f"c{n}", "metadata": {}, "execution_count": None,
              "source": s, "outputs": []} for n, s in enumerate(sources)]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})
lines = "def parse(text):\\n    words = text.split()\\n    return words\\n"
Path("parser.py").write_text(lines * 5)
Path("plan.ipynb").write_text(notebook("import math", "radius = 2", "math.pi * radius ** 2"))
git.add_files(); git.commit("Plan the parser")
git.add_remote("origin", "../origin.git"); _ = git.push()
for name in ("fix", "docs"):
    git.create_branch(f"agent/{name}", "main")
    Path(f"{name}.txt").write_text(name); git.commit(f"Agent: {name}", paths=[f"{name}.txt"])
git.switch("main")
subprocess.run(["git", "merge", "-q", "--no-ff", "-m", "Merge agent/fix", "agent/fix"], check=True)
Path("parser.py").write_text(Path("parser.py").read_text().replace("split()", "split(',')", 1))
Path("plan.ipynb").write_text(notebook("import math", "radius = 3", "math.pi * radius ** 2", "1"))
Path("notes <b>.md").write_text("# Notes\\n\\n<img src=x onerror=alert(1)>\\n")"""


@pytest.fixture
def panel(lab):
    """Open a notebook with a git panel, and return the panel's element."""
    lab.show("git.ipynb", SETUP, "%git panel")
    element = lab.page.locator(".agentnb-panel")
    element.wait_for()
    row(element, "parser.py").wait_for()
    return element


def row(panel, text):
    return panel.get_by_role("row").filter(has_text=text).first


def labelled(panel, name):
    # Of the button's name an icon is a part too.
    return panel.locator("button").filter(has_text=re.compile(rf"^\s*{name}$"))


def press(panel, name):
    labelled(panel, name).click()


def in_view(panel):
    panel.evaluate("element => element.scrollIntoView({block: 'start'})")


def told(lab, code):
    return lab.execute(f"print({code})").strip()


def test_a_picked_file_shows_what_has_changed_in_it(lab, panel):
    row(panel, "parser.py").click()
    panel.locator("mark").first.wait_for()
    panel.get_by_text("2 to push · origin/main", exact=False).wait_for()
    assert panel.locator("svg[role=img]").get_attribute("aria-label") == "Graph of 4 commits"
    in_view(panel)
    lab.screenshot("git_panel")
    row(panel, "plan.ipynb").click()
    panel.get_by_text("code cell 2: changed").wait_for()
    in_view(panel)
    lab.screenshot("git_panel_notebook", dark=True)
    row(panel, "notes").click()
    panel.get_by_text("<img src=x onerror=alert(1)>", exact=False).wait_for()
    assert panel.locator("img").count() == 0


def test_files_are_staged_committed_and_pushed(lab, panel):
    row(panel, "parser.py").click()
    press(panel, "Stage")
    panel.get_by_text("parser.py: staged", exact=True).wait_for()
    assert told(lab, "git.status().staged") == "['parser.py']"
    press(panel, "Unstage")
    panel.get_by_text("no longer staged").wait_for()
    press(panel, "Stage")
    panel.get_by_text("parser.py: staged", exact=True).wait_for()
    panel.get_by_placeholder("The message of the commit").fill("Split by commas")
    press(panel, "Commit")
    panel.get_by_text("Split by commas", exact=False).first.wait_for()
    row(panel, "parser.py").wait_for(state="detached")
    assert told(lab, "git.log()[0].subject") == "Split by commas"
    assert told(lab, "git.status().changed") == "['plan.ipynb']"
    press(panel, "Push")
    panel.get_by_text("main → origin/main", exact=False).wait_for()
    panel.get_by_text("up to date · origin/main").wait_for()


def test_branches_are_made_and_chosen(lab, panel):
    box = panel.get_by_placeholder("New branch", exact=False)
    box.fill("agent/new")
    box.press("Enter")
    panel.get_by_text("on agent/new, which is new").wait_for()
    assert told(lab, "git.current_branch()") == "agent/new"
    panel.locator("select").select_option("main")
    panel.get_by_text("on main", exact=True).wait_for()
    assert told(lab, "git.current_branch()") == "main"


def test_a_switch_that_would_lose_changes_is_told_and_taken_back(lab, panel):
    lab.execute(
        "git.switch('agent/docs'); p = Path('parser.py'); p.write_text('x'); "
        "git.commit('x', paths=['parser.py']); git.switch('main') ; p.write_text('mine')"
    )
    lab.execute("Path('parser.py').write_text('mine')")
    panel.locator("select").select_option("agent/docs")
    panel.locator(".agentnb-error").get_by_text("parser.py", exact=False).wait_for()
    assert told(lab, "Path('parser.py').read_text()") == "mine"
    branch = told(lab, "git.current_branch()")
    lab.wait_for(
        "b => document.querySelector('.agentnb-panel select').selectedOptions[0].text === b",
        branch,
    )


def test_what_a_cell_changes_appears_by_itself(lab, panel):
    lab.add_cell("Path('late.txt').write_text('x')")
    row(panel, "late.txt").wait_for()


def test_keys_typed_at_the_panel_are_not_shortcuts_of_the_lab(lab, panel):
    cells = lab.page.locator(".jp-Notebook .jp-Cell").count()
    row(panel, "parser.py").click()
    panel.locator("mark").first.wait_for()
    for element in (
        labelled(panel, "Stage all"),
        panel.get_by_role("region", name="Difference"),
        panel.get_by_role("grid"),
        panel.locator("summary").first,
    ):
        element.focus()
        for key in ("b", "a", "x", "m", "d", "d"):
            lab.page.keyboard.press(key)
    assert lab.page.locator(".jp-Notebook .jp-Cell").count() == cells
    assert panel.is_visible()


CONFLICT = """\
for branch, mark in (("agent/docs", "';'"), ("main", "None")):
    Path("parser.py").write_text(lines * 5); Path("plan.ipynb").write_text(notebook("import math"))
    subprocess.run(["git", "clean", "-qfd"], check=True)
    git.restore("."); git.switch(branch)
    Path("parser.py").write_text((lines * 5).replace("split()", f"split({mark})", 1))
    Path("plan.ipynb").write_text(notebook("import math", f"radius = {len(mark)}", "math.tau"))
    git.add_files(); git.commit(f"Split by {mark}")"""


def test_a_conflict_is_shown_side_by_side_and_left_by_mouse(lab):
    lab.open(
        lab.write("git_conflict.ipynb", SETUP, CONFLICT, "git.merge('agent/docs')", "%git panel")
    )
    lab.run_all()
    panel = lab.page.locator(".agentnb-panel")
    row(panel, "plan.ipynb").click()
    panel.get_by_text("code cell 2").wait_for()
    row(panel, "parser.py").click()
    panel.get_by_text("theirs: agent/docs").wait_for()
    panel.get_by_text("Merging · 2 files in conflict").wait_for()
    in_view(panel)
    lab.screenshot("git_conflict", dark=True)
    press(panel, "Take theirs")
    panel.get_by_text("parser.py: theirs taken and staged").wait_for()
    row(panel, "plan.ipynb").click()
    panel.get_by_text("code cell 2").wait_for()
    press(panel, "Take ours")
    panel.get_by_text("no file is in conflict", exact=False).wait_for()
    press(panel, "Continue merge")
    panel.get_by_text("Merging", exact=False).wait_for(state="hidden")
    assert told(lab, "git.show().message") == "Merge branch 'agent/docs'"
    assert told(lab, "Path('parser.py').read_text().count(';')") == "1"
    lab.execute("Path('parser.py').write_text('x')")
    row(panel, "parser.py").click()
    press(panel, "Discard")
    press(panel, "Discard the changes of parser.py")
    panel.get_by_text("parser.py: changes discarded").wait_for()
    assert told(lab, "git.status().clean") == "True"


def test_results_of_the_magic_are_readable_in_light_and_dark(lab):
    lab.open(lab.write("git_results.ipynb", SETUP, "%git status", "%git diff", "%git log --all"))
    lab.run_all()
    lab.output(3).locator("svg[role=img]").wait_for()
    assert lab.output(2).locator("mark").count() > 0
    lab.output(3).scroll_into_view_if_needed()
    lab.screenshot("git_results", dark=True)


def test_no_repository_says_what_to_type(lab):
    empty = "%load_ext agentnb\nimport os, tempfile\nos.chdir(tempfile.mkdtemp())"
    lab.open(lab.write("git_empty.ipynb", empty, "%git panel"))
    lab.run_all()
    lab.page.locator(".agentnb-panel").get_by_text("%git init", exact=False).wait_for()


@pytest.mark.usefixtures("panel")
def test_a_saved_panel_is_readable_without_a_kernel(lab, lab_server):
    lab.save()
    lab_server.shut_kernels()
    lab.open("git.ipynb", kernel=False)
    lab.page.locator(".agentnb-static").get_by_text("parser.py", exact=True).first.wait_for()
    lab.screenshot("git_panel_saved")
