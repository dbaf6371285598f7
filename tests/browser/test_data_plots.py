"""Plots and cells that are shown again, in JupyterLab with no network: drawn, named, saved."""

from __future__ import annotations

import base64
import json
import re
from xml.etree import ElementTree as ET

import pytest
from playwright.sync_api import expect

PLOTS = """\
%load_ext agentnb
from agentnb.core.db import Result
cities = ["Oslo", "Rome", "<img src=x onerror=alert(1)>"]
_ = hub.db.execute("drop table if exists visit")
_ = hub.db.execute("create table visit (day text, city text, eur real)")
_ = hub.db.execute(
    "insert into visit values (date('2026-01-01', :n || ' days'), :city, :n)",
    [{"n": n, "city": cities[n % 3]} for n in range(1500)],
)"""
BARS = "%db --plot city,eur select * from visit"
CACHED = """\
%%cache drawn --rerun
print("printed")
_place = display("first", display_id=True)
display(hub.db.plot("select * from visit", "day", "eur"))
_place.update("last")
print("the end")
42"""
OUTPUTS = "n => jupyterapp.shell.currentWidget.content.widgets[n].model.outputs.toJSON()"
CAPTION = "sum of eur by city, of 1,500 rows"
LINE = "mean of eur by day, of 1,500 rows"


@pytest.fixture
def plots(lab):
    """Open a notebook with bars and a cached cell that draws a line, and run it."""
    assert lab.show("plots.ipynb", PLOTS, BARS, CACHED), lab.cell_output_text(1)
    expect(lab.output(1).locator("canvas")).to_be_visible()
    return lab


def shown(lab, number):
    """Return what a cell shows: kinds, texts and names of drawings, in their order."""
    found = []
    for output in json.loads(json.dumps(lab.page.evaluate(OUTPUTS, number))):
        data = output.get("data", {})
        data.pop("image/png", None)  # JupyterLab adds it when it has drawn
        text = "".join(output.get("text", ""))
        found.append((output["output_type"], text, data, output.get("metadata")))
    return found


def test_a_cached_cell_shows_its_print_its_plot_and_its_update_again(plots):
    first = shown(plots, 2)
    kinds = [kind for kind, *_ in first]
    assert kinds == ["stream", "display_data", "display_data", "stream", "execute_result"]
    assert first[1][2]["text/plain"] == "'last'"
    again = plots.add_cell(CACHED.replace(" --rerun", ""))
    expect(plots.output(again).locator("canvas")).to_be_visible()
    note, *rest = shown(plots, again)
    assert note[2]["text/plain"].startswith("%%cache drawn: from ")
    assert rest == first
    expect(plots.output(again).locator("[role=graphics-document]")).to_have_attribute(
        "aria-label", LINE
    )
    plots.screenshot("cached", element=plots.cell(again))


def test_a_plot_is_drawn_named_and_saved_without_a_network(plots, axe):
    from nbconvert import HTMLExporter

    drawing = plots.output(1).locator("[role=graphics-document]")
    expect(drawing).to_have_attribute("aria-label", CAPTION)
    box = drawing.locator("canvas").bounding_box()
    plots.page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.4)
    tooltip = plots.page.locator("#vg-tooltip-element.visible")
    expect(tooltip).to_contain_text("<img src=x onerror=alert(1)>")
    expect(tooltip).to_contain_text("375250")
    expect(plots.page.locator("img[src=x]")).to_have_count(0)
    plots.page.mouse.move(0, 0)
    plots.screenshot("plot", element=plots.output(1), dark=True)
    assert plots.violations(axe, plots.output(1)) == []
    plots.save()
    saved = (plots.root / "plots.ipynb").read_text()
    assert CAPTION in saved
    html, _ = HTMLExporter(template_name="basic").from_filename(plots.root / "plots.ipynb")
    drawings = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', html)
    names = [ET.fromstring(base64.b64decode(one)).get("aria-label") for one in drawings]
    assert names == [CAPTION, LINE]
    assert "<img src=x" not in html
    (plots.root / "saved.ipynb").write_text(saved)
    plots.open("saved.ipynb", kernel=False)
    expect(plots.output(1).locator("[role=graphics-document]")).to_have_attribute(
        "aria-label", CAPTION
    )
