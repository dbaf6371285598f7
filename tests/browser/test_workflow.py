"""Workflows as a person meets them in JupyterLab: cells that make and run them, and the panel."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

LOAD = """import os, time
os.environ["DATABASE_URL"] = "sqlite:///NAME.db"
%load_ext agentnb"""
PLAN = """%%agent plan
["api", "web"]"""
SCAFFOLD = """%%agent scaffold --attempts 1
for part in range(1, 6):
    print("part", part, "<b>not bold</b>")
    ctx.progress(part / 5, f"file {part} of 5")
    time.sleep(0.3)
{"files": 5, "app": task.data["name"]}"""
PUBLISH = """%%agent publish --attempts 1
if task.name == "broken":
    raise ValueError("<img src=x onerror=alert(1)> is no image")
"published" """
LINES = """
plan
# the two of them at once
api: scaffold {"name": "my-api"} <- plan
web: scaffold {"name": "my-web"} <- plan !priority=1
release: publish <- api, web !approve
announce: publish <- release"""
BROKEN = """%%workflow broken --run
plan
broken: publish <- plan
after: publish <- broken"""


def see(lab, name):
    """Take a picture in the light theme and one in the dark."""
    lab.screenshot(name, dark=True)


@pytest.fixture
def tall(lab):
    lab.page.set_viewport_size({"width": 1280, "height": 1350})
    yield lab
    lab.page.set_viewport_size({"width": 1280, "height": 900})


def open_notebook(lab, name, *cells):
    """Open a notebook on a database of its own."""
    lab.open(
        lab.write(f"{name}.ipynb", LOAD.replace("NAME", name), PLAN, SCAFFOLD, PUBLISH, *cells)
    )


def node(place, name):
    return place.locator(f'[data-pick="{name}"]').first


def test_a_workflow_runs_in_its_cell_and_stops_where_a_person_is_asked(tall):
    lab = tall
    open_notebook(lab, "workflow", f"%%workflow new-app --run{LINES}")
    for number in range(4):
        lab.run_cell(number)
    lab.run_cell(4, wait=False)
    output = lab.output(4)
    # While it runs the picture moves.
    expect(node(output, "plan")).to_contain_text("completed")
    expect(node(output, "api")).to_contain_text(re.compile(r"[24680]+%"))
    see(lab, "workflow_running")
    lab.wait_idle()
    expect(output.locator(".agentnb-workflow")).to_have_count(1)
    expect(node(output, "release")).to_contain_text("needs approval")
    expect(output).to_contain_text("%workflow approve")
    assert output.locator("b, img").count() == 0
    see(lab, "workflow_asks")
    number = lab.add_cell("%workflow approve new-app\n%workflow run new-app")
    output = lab.output(number)
    expect(node(output, "announce")).to_contain_text("completed")
    number = lab.add_cell("%workflow")
    expect(lab.output(number)).to_contain_text("5 completed")
    number = lab.add_cell(BROKEN)
    output = lab.output(number)
    expect(node(output, "after")).to_contain_text("skipped")
    expect(output).to_contain_text("is no image")
    assert output.locator("img").count() == 0
    lab.page.locator(".agentnb-workflow").last.scroll_into_view_if_needed()
    see(lab, "workflow_failed")


def test_the_panel_moves_and_a_click_approves(tall):
    lab = tall
    open_notebook(lab, "workflow_panel", "%workflow panel")
    lab.run_all()
    panel = lab.page.locator(".agentnb-panel")
    panel.get_by_text("%%workflow NAME --run", exact=False).wait_for()
    see(lab, "workflow_panel_empty")
    cells = lab.page.locator(".jp-Notebook .jp-Cell").count()
    lab.add_cell(f"%%workflow new-app --key once{LINES}\n")
    expect(node(panel, "plan")).to_contain_text("waiting")
    panel.get_by_text("no worker serves agent plan", exact=False).wait_for()
    lab.execute("_ = hub.workflows.work()")
    expect(node(panel, "api")).to_contain_text(re.compile(r"\d0%"))
    node(panel, "api").click()
    panel.get_by_role("region", name="Log").get_by_text("part", exact=False).wait_for()
    panel.scroll_into_view_if_needed()
    see(lab, "workflow_panel")
    approve = panel.get_by_role("button", name="Approve release")
    approve.wait_for()
    # Keys that are pressed in the picture stay there: none is a shortcut of the Lab.
    node(panel, "api").focus()
    for key in ("b", "x", "d", "d", "ArrowRight", "Enter"):
        lab.page.keyboard.press(key)
    assert lab.page.locator(".jp-Notebook .jp-Cell").count() == cells + 1
    picked = panel.locator(".widget-html").filter(has_text="agent scaffold")
    expect(picked).to_contain_text("web")
    see(lab, "workflow_panel_asks")
    approve.click()
    panel.get_by_text("release is approved").wait_for()
    expect(node(panel, "announce")).to_contain_text("completed")
    lab.execute("_ = hub.workflows.create('broken', [{'name': 'broken', 'agent': 'publish'}])")
    tasks = panel.get_by_role("grid", name="Tasks")
    expect(tasks).to_contain_text("is no image")
    assert panel.locator("img").count() == 0
    lab.execute("_ = hub.workflows.agent('publish')(lambda _: 'mended')")
    panel.get_by_role("button", name="Retry").click()
    expect(tasks).to_contain_text("mended")


def test_the_panel_answers_while_a_cell_is_busy(lab):
    asks = "%%workflow asks\nrelease: publish !approve"
    open_notebook(lab, "workflow_busy", asks, "%workflow panel asks")
    lab.run_all()
    panel = lab.page.locator(".agentnb-panel")
    approve = panel.get_by_role("button", name="Approve release")
    approve.wait_for()
    number = lab.add_cell("time.sleep(20); print('slept')", wait=False)
    approve.click()
    panel.get_by_text("release is approved").wait_for(timeout=10_000)
    assert "slept" not in lab.cell_output_text(number)
    lab.command("notebook:interrupt-kernel")
    lab.wait_idle()


ASKS = """from typing import Literal
from datetime import date
from pydantic import BaseModel, Field

class Place(BaseModel):
    city: str
    zip: int | None = None

class Order(BaseModel):
    title: str = Field(description="In a few words")
    eur: int = Field(ge=1, le=100)
    urgent: bool = False
    size: Literal["small", "big"]
    day: date | None = None
    place: Place
    tags: list[str] = []

def ask(task, ctx):
    order = ctx.ask("order", "How much?\\n<img src=x onerror=alert(1)>", form=Order, to="ada")
    return order.model_dump(mode="json")

_ = hub.workflows.agent("asks")(ask)
_ = hub.workflows.create("buy", [{"name": "plan", "agent": "asks"}])
_ = hub.workflows.work()"""


def test_a_question_of_a_task_is_answered_by_its_form(tall):
    lab = tall
    open_notebook(lab, "workflow_question", ASKS, "%workflow panel buy")
    lab.run_all()
    panel = lab.page.locator(".agentnb-panel")
    form = panel.locator(".agentnb-form")
    answer = form.get_by_role("button", name="Answer plan")
    answer.wait_for()
    expect(form).to_contain_text("waits for ada: How much?")
    assert form.locator("img").count() == 0
    expect(node(panel, "plan")).to_contain_text("parked")
    form.get_by_title("Title").fill("paper")
    form.get_by_title("Eur").fill("500")
    answer.click()
    expect(form).to_contain_text("must be at most 100, got 500")
    expect(form.get_by_role("alert")).to_have_count(3)
    form.scroll_into_view_if_needed()
    see(lab, "workflow_question")
    # What was typed stays while the panel goes on.
    form.get_by_title("Eur").fill("5")
    form.get_by_role("checkbox", name="Urgent").check()
    form.get_by_title("Size").select_option("big")
    form.get_by_label("Day").fill("2030-01-02")
    form.get_by_title("City").fill("Rome")
    form.get_by_title("Tags").fill('["a"]')
    lab.page.wait_for_timeout(1500)
    answer.click()
    expect(node(panel, "plan")).to_contain_text("completed")
    expect(form).to_have_count(0)
    number = lab.add_cell("hub.workflows.get('buy').result['plan']")
    found = lab.output(number)
    for part in ("'eur': 5", "'urgent': True", "'size': 'big'", "'2030-01-02'", "'city': 'Rome'"):
        expect(found).to_contain_text(part)
