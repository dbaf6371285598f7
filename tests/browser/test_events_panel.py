"""The events panel, and a cell that handles events, as a person meets them in JupyterLab."""

from __future__ import annotations

import pytest

SETUP = """\
%load_ext agentnb
_ = hub.redis.delete(hub.events._event_log.key, hub.events._dead.key)
def fail(event):
    raise ValueError(f"no agent takes task {event.data['task']}")
_ = hub.events.subscribe("agent.task.failed", fail, name="retry_later")
for number in range(30):
    _ = hub.events.publish("agent.task.completed", {"task": number, "seconds": number / 10})
_ = hub.events.publish("agent.task.failed", {"task": 30, "why": "<img src=x onerror=alert(1)>"})
_ = hub.events.publish("workflow.created", "release notes", correlation_id="order 7")"""


@pytest.fixture
def panel(lab):
    """Open a notebook with an events panel, and return the panel's element."""
    lab.show("events.ipynb", SETUP, "%events panel")
    element = lab.page.locator(".agentnb-panel")
    element.wait_for()
    row(element, "release notes").wait_for()
    return element


def row(panel, text):
    return panel.get_by_role("row").filter(has_text=text).first


def fill(panel, placeholder, text):
    box = panel.get_by_placeholder(placeholder, exact=False).first
    box.fill(text)
    box.press("Enter")


def test_events_come_by_themselves_and_a_click_shows_the_envelope(lab, panel):
    for burst in range(5):
        lab.execute(f"for n in range({burst * 9}): hub.events.publish('agent.step', {{'n': n}})")
    row(panel, '"n": 35').wait_for()
    row(panel, "agent.step").click()
    panel.locator("pre").get_by_text('"traceparent"', exact=False).wait_for()
    assert panel.locator("img").count() == 0
    lab.screenshot("events_panel", dark=True)


def test_the_filter_holds_while_events_come(lab, panel):
    fill(panel, "Channel, such as", "workflow.*")
    row(panel, "agent.task.completed").wait_for(state="detached")
    lab.execute("hub.events.publish('agent.x', 1), hub.events.publish('workflow.done', 'second')")
    row(panel, "second").wait_for()
    fill(panel, "Text in the data", "release")
    row(panel, "second").wait_for(state="detached")
    row(panel, "release notes").wait_for()


def test_a_paused_panel_stands_still_and_misses_nothing(lab, panel):
    panel.get_by_role("button", name="Pause").click()
    lab.execute("hub.events.publish('while.paused', 'kept')")
    lab.page.wait_for_timeout(2500)
    assert row(panel, "while.paused").count() == 0
    panel.get_by_role("button", name="Resume").click()
    row(panel, "while.paused").wait_for()


def test_an_event_is_published_and_a_dead_letter_replayed(lab, panel):
    panel.get_by_placeholder("Channel", exact=True).fill("from.the.box")
    panel.get_by_placeholder("Data:", exact=False).fill('{"by": "hand"}')
    panel.get_by_role("button", name="Publish").click()
    row(panel, '{"by": "hand"}').wait_for()
    letters = panel.get_by_role("grid", name="Dead letters")
    letters.get_by_role("row").filter(has_text="retry_later").first.click()
    panel.locator("pre").get_by_text("no agent takes task 30", exact=False).wait_for()
    lab.screenshot("events_panel_dead")
    lab.execute("fail = None; hub.events.unsubscribe('agent.task.failed')")
    panel.get_by_role("button", name="Replay").click()
    panel.get_by_text("published anew").wait_for()
    letters.get_by_text("every event was handled", exact=False).or_(
        panel.get_by_text("every event was handled", exact=False)
    ).first.wait_for()


def test_a_cell_handles_events_and_shows_what_it_prints_under_itself(lab):
    lab.open(
        lab.write(
            "handler.ipynb",
            "%load_ext agentnb",
            '%%events on order.*\nprint(event.channel, "->", event.data["id"])',
            "for n in range(3):\n"
            '    hub.events.publish("order.paid", {"id": n})\n'
            'print("published")',
        )
    )
    lab.run_all()
    lab.output(1).get_by_text("order.paid -> 2", exact=False).wait_for()
    lab.output(1).get_by_text("3 handled", exact=False).wait_for()
    assert lab.cell_output_text(2) == "published"
    lab.screenshot("events_handler")
    lab.output(1).get_by_role("button", name="Unsubscribe").click()
    lab.output(1).get_by_text("unsubscribed", exact=False).first.wait_for()
    assert lab.execute("print(len(hub.events.subscriptions()))").strip() == "0"


@pytest.mark.usefixtures("panel")
def test_a_saved_panel_is_readable_without_a_kernel(lab, lab_server):
    lab.save()
    lab_server.shut_kernels()
    lab.open("events.ipynb", kernel=False)
    lab.page.locator(".agentnb-static").get_by_text("workflow.created").first.wait_for()
    lab.screenshot("events_panel_saved")
