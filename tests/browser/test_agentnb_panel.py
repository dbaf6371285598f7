"""The panel over all services as a person meets it: in JupyterLab, by mouse and keyboard."""

from __future__ import annotations

import pytest

FILL = """\
import time
_ = hub.redis.flushdb(), [one.cancel() for one in hub.workflows.list("active")]
ill = [True]
def scrape(job):
    time.sleep(0.01)
    if ill[0] and job.data % 2:
        raise ValueError("no <title> in <img src=x onerror=alert(1)> of page " + str(job.data))
hub.queue("scrape").work(scrape)
for number in range(6):
    _ = hub.queue("scrape").add(number, attempts=1)
_ = hub.queue("mail").add({"to": "ada"})
_ = hub.workflows.agent("write")(lambda task: task.name)
later = {"name": "commit", "agent": "write", "needs": ["draft"], "approval": True}
made = hub.workflows.create("new app", tasks=[{"name": "draft", "agent": "write"}, later])
worker = hub.workflows.work()
while hub.queue("scrape").counts()["failed"] < 3 or not hub.workflows._running(1)[0].approvals:
    time.sleep(0.05)"""
CALLS = """\
for number in range(40):
    _ = hub.db.query("select 1"), hub.cache.set("a", number), hub.cache.get("ab"[number % 5 == 0])
client = hub.api("http://127.0.0.1:1", retries=0)
for number in range(5):
    try:
        client.get("/rates")
    except Exception:
        pass"""


@pytest.fixture
def panel(lab):
    """Open a notebook with the panel of a busy hub, and return the panel's element."""
    lab.show("overview.ipynb", f"%load_ext agentnb\n{FILL}", "%agentnb panel")
    element = lab.page.locator(".agentnb-panel").first
    element.get_by_text("3 things need you").wait_for()
    return element


def group(panel, name):
    return panel.get_by_role("group", name=name, exact=True)


def shot(lab, panel, name, *, dark=False):
    lab.page.set_viewport_size({"width": 1280, "height": 1500})
    lab.screenshot(name, element=panel, dark=dark)
    lab.page.set_viewport_size({"width": 1280, "height": 900})


def top(locator):
    return round(locator.bounding_box()["y"])


def test_what_needs_a_person_is_seen_to_by_its_button_and_goes(lab, panel):
    need = panel.get_by_role("listitem").filter(has_text="3 jobs of scrape failed")
    need.get_by_text("no <title> in <img src=x onerror=alert(1)>", exact=False).wait_for()
    assert panel.locator("img").count() == 0
    lab.execute(CALLS + "\nill[0] = False")
    panel.get_by_text("http://127.0.0.1:1 is left alone").wait_for()
    group(panel, "api").get_by_text("1 breaker open").wait_for()
    shot(lab, panel, "agentnb_panel")
    retry = need.get_by_role("button", name="retry 3")
    retry.focus()
    lab.page.keyboard.press("Enter")
    sure = panel.get_by_role("button", name="Retry 3 failed jobs of scrape")
    sure.wait_for()
    shot(lab, panel, "agentnb_panel_confirm")
    sure.click()
    panel.get_by_text("3 jobs of scrape run again").wait_for()
    need.wait_for(state="detached")
    assert lab.execute("print(hub.queue('scrape').counts()['failed'])").strip() == "0"
    shot(lab, panel, "agentnb_panel_done", dark=True)


def test_a_heading_opens_its_panel_and_an_error_its_trace(lab, panel):
    panel.get_by_role("button", name="%trace").first.click()
    panel.get_by_text("queue.process", exact=False).first.wait_for()
    panel.get_by_role("button", name="Hide the trace").click()
    panel.get_by_role("button", name="Queues", exact=True).click()
    below = panel.locator(".agentnb-panel")
    below.get_by_role("row").filter(has_text="scrape").first.wait_for()
    shot(lab, panel, "agentnb_panel_below")
    below.get_by_role("button", name="Close panel").click()
    below.wait_for(state="detached")
    panel.get_by_text("3 things need you").wait_for()


def test_two_cards_are_in_a_row_where_it_is_narrow(lab, panel):
    cards = panel.locator(".agentnb-board-card")
    assert top(cards.nth(0)) == top(cards.nth(3))
    panel.evaluate("e => { e.style.width = '420px'; }")
    assert top(cards.nth(0)) == top(cards.nth(1)) < top(cards.nth(2))
    assert panel.evaluate("e => e.scrollWidth <= e.clientWidth")
    shot(lab, panel, "agentnb_panel_narrow")


def test_nothing_is_asked_for_while_the_panel_is_scrolled_away(lab, panel):
    state = "print(hub._notebook.panels._opened[0].panel._refresher.parked)"
    for expected, margin in (("True", "9000px"), ("False", "0")):
        lab.page.evaluate(
            "m => { document.querySelector('.agentnb-board').style.marginTop = m; }", margin
        )
        for _ in range(50):
            if lab.execute(state).strip() == expected:
                break
            lab.page.wait_for_timeout(100)
        assert lab.execute(state).strip() == expected
    panel.get_by_text("3 things need you").wait_for()


@pytest.mark.usefixtures("panel")
def test_a_saved_panel_is_readable_without_a_kernel(lab, lab_server):
    lab.save()
    lab_server.shut_kernels()
    lab.open("overview.ipynb", kernel=False, fresh=True)
    copy = lab.page.locator(".agentnb-static")
    copy.get_by_text("3 jobs of scrape failed").wait_for()
    assert "ago" not in copy.inner_text()
    lab.screenshot("agentnb_panel_saved")
