"""%docker and its panel as a person meets them: in JupyterLab, on a real engine."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

SETUP = """\
%load_ext agentnb
web = hub.docker.run_container({image!r}, ["sh", "-c",
    "n=0; while :; do n=$((n+1)); echo request $n; [ $((n % 7)) = 0 ] && echo error $n >&2; "
    "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 0.2; done"], name="agentnb-lab-web")
done = hub.docker.run_container({image!r}, ["sh", "-c", "echo '<img src=x onerror=alert(1)>'"],
    name="agentnb-lab-done")
_ = hub.docker.network("agents")
_ = hub.docker.build_image(None, {tag!r}, text="FROM {image}")"""


@pytest.fixture
def tag(docker_image):
    return f"{docker_image.partition(':')[0]}-lab:latest"


@pytest.fixture
def panel(lab, docker_image, docker_engine, tag):
    setup = SETUP.format(image=docker_image, tag=tag)
    lab.open(lab.write("docker.ipynb", setup, "%docker panel"))
    lab.run_all()
    element = lab.page.locator(".agentnb-panel")
    element.wait_for()
    row(element, "agentnb-lab-web").wait_for()
    yield element
    lab.execute("hub.docker.prune(images=True); hub.close()")
    assert docker_engine.containers(all=True, filters={"name": "agentnb-lab"}) == []


def row(panel, text):
    return panel.get_by_role("row").filter(has_text=text).first


def test_containers_live_with_their_log_and_numbers(lab, panel, tag):
    row(panel, "agentnb-lab-web").click()
    panel.locator("pre").get_by_text("request", exact=False).first.wait_for()
    row(panel, tag).wait_for()
    row(panel, "agents").wait_for()
    box = panel.get_by_placeholder("Lines that contain", exact=False)
    box.fill("error")
    box.press("Enter")
    panel.get_by_text("of the last", exact=False).wait_for()
    assert "request" not in panel.locator("pre").inner_text()
    plot = panel.get_by_role("img", name="Processor")
    expect(plot).to_have_attribute("aria-label", re.compile("%, between"))
    lab.screenshot("docker_panel", dark=True)
    row(panel, "agentnb-lab-done").click()
    box.fill("")
    box.press("Enter")
    panel.locator("pre").get_by_text("<img src=x").wait_for()
    assert panel.locator("img").count() == 0


def test_a_container_is_stopped_from_the_panel(lab, panel):
    row(panel, "agentnb-lab-done").click()
    panel.get_by_text("agentnb-lab-done ·", exact=False).wait_for()
    panel.get_by_role("button", name="Stop and remove").click()
    panel.get_by_role("button", name="Stop and remove agentnb-lab-done").click()
    panel.get_by_text("agentnb-lab-done: stopped and removed").wait_for()
    assert lab.execute("print(len(hub.docker.list()))").strip() == "1"


def test_a_cell_runs_in_a_container_and_a_build_has_a_bar(lab, docker_image, tag):
    lab.open(
        lab.write(
            "run.ipynb",
            "%load_ext agentnb",
            f"%%docker build -t {tag}\nFROM {docker_image}\nENV GREETING=hello\nRUN true",
            f"%%docker run {tag}\necho $GREETING from $(id -u)\necho slow; sleep 3; echo late >&2",
            "%docker",
        )
    )
    for number in range(2):
        lab.run_cell(number)
    bar = lab.output(1).locator("progress")
    assert bar.get_attribute("value") == bar.get_attribute("max") == "3"
    lab.run_cell(2, wait=False)
    lab.output(2).get_by_text("slow").wait_for()
    assert "late" not in lab.cell_output_text(2)  # it is shown while it runs
    lab.output(2).get_by_text("exit code 0").wait_for()
    assert "hello from 65534" in lab.cell_output_text(2)
    lab.run_cell(3)
    lab.screenshot("docker_cells")
    lab.execute("hub.docker.prune(images=True); hub.close()")
