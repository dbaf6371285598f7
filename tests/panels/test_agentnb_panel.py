"""The panel over all services; what the browser adds is tested there."""

from __future__ import annotations

import json

import pytest

import agentnb
from agentnb.core.errors import AgentnbError
from agentnb.core.overview.model import Need, Overview
from agentnb.panels.agentnb.board import POINTS, Board
from agentnb.panels.agentnb.rows import sections_of
from agentnb.panels.agentnb.view import AgentnbPanel
from agentnb.panels.base.live import walk
from agentnb.testing import run_until_idle
from tests.waiting import refresh, until

PANEL = AgentnbPanel
CANARY = "c4naryC4NARYc4nary"
HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'


def click(it, **content):
    it.board._received(None, {"view": "v", **content}, [])


def message(it):
    return it.panel._bar.widget.message.get("text", "")


@pytest.fixture
def failing(hub):
    """Return a hub with two jobs that failed and a worker that would do better now."""
    ill = [True]

    def work(job):
        if ill[0]:
            raise ValueError(f"{HOSTILE} {job.data} token={CANARY}")

    queue = hub.queue("scrape")
    queue.work(work)
    for number in range(2):
        queue.add(number, attempts=1)
    until(lambda: queue.counts()["failed"] == 2)
    ill[0] = False
    return hub


def test_a_look_opens_nothing_and_says_what_to_type(tmp_path):
    with agentnb.connect(home=tmp_path / "home") as hub:
        it = AgentnbPanel(hub, every=None)
        refresh(it.panel)
        text = it.panel._repr_mimebundle_()[0]["text/plain"]
        cards = it.board.rows("cards")
        it.panel.close()
        assert repr(hub) == "Hub(nothing opened yet)"
        assert not hub.settings.home.exists()
    assert "all is well" in text
    assert cards["db"]["unit"] == "not opened"
    assert cards["db"]["foot"] == "%db select 1"
    assert all(card["foot"] for card in cards.values())


def test_failed_jobs_are_retried_after_a_question_and_by_their_ids(failing, view):
    it = view()
    row = it.board.rows("needs")["failed:scrape"]
    assert (row["title"], row["act"], row["offer"]) == ("2 jobs of scrape failed", "retry 2", "")
    click(it, do="act", key="failed:scrape")
    refresh(it.panel)
    row = it.board.rows("needs")["failed:scrape"]
    assert (row["act"], row["offer"]) == ("back", "Retry 2 failed jobs of scrape")
    assert failing.queue("scrape").counts()["failed"] == 2
    click(it, do="sure", key="failed:scrape")
    assert message(it) == "2 jobs of scrape run again"
    until(lambda: failing.queue("scrape").counts()["completed"] == 2)
    refresh(it.panel)
    assert it.board.rows("needs") == {}
    assert it.board.rows("notes")["head"]["well"] == "all is well"


def test_a_question_can_be_taken_back_and_a_late_click_does_nothing(failing, view):
    it = view()
    click(it, do="sure", key="failed:scrape")
    click(it, do="act", key="failed:scrape")
    click(it, do="sure", key="failed:other")
    click(it, do="act", key="failed:scrape")
    refresh(it.panel)
    assert it.board.rows("needs")["failed:scrape"]["offer"] == ""
    click(it, do="sure", key="failed:scrape")
    click(it, do="sure", key="failed:other")
    click(it, do="act", key="failed:nothing")
    click(it, do="shutdown")
    click(it)
    assert failing.queue("scrape").counts()["failed"] == 2


def test_an_open_breaker_is_reset(hub, view):
    api = hub.api("http://127.0.0.1:1", retries=0)
    for _ in range(5):
        with pytest.raises(AgentnbError):
            api.get("/x")
    it = view()
    [key] = it.board.rows("needs")
    assert it.board.rows("cards")["api"]["foot"].startswith("1 breaker open")
    assert it.board.rows("cards")["api"]["tone"] == "bad"
    click(it, do="act", key=key)
    assert message(it) == "http://127.0.0.1:1 is called again"
    refresh(it.panel)
    assert it.board.rows("needs") == {}


def test_a_row_opens_its_panel_below_in_place_of_the_one_before(failing, view):
    it = view()
    click(it, do="open", name="queue", key="scrape")
    [queue] = it.other.children
    assert it._other.title == "Queue"
    click(it, do="open", name="db")
    until(lambda: it._other.title == "Database")
    assert queue not in it.other.children
    it._other.close()
    assert it.other.children == ()
    click(it, do="open", name="../../etc")
    assert "has no panel" in message(it)
    assert it._other is None
    assert failing.queue("scrape").counts()["failed"] == 2


def test_a_task_that_waits_for_a_person_opens_its_workflow(hub, view):
    hub.workflows.agent("plan")(lambda _task: 1)
    hub.workflows.create("new app", tasks=[{"name": "go", "agent": "plan", "approval": True}])
    it = view()
    [(key, row)] = it.board.rows("needs").items()
    assert (row["title"], row["act"]) == ("new app waits for a person", "look")
    click(it, do="act", key=key)
    until(lambda: it._other is not None)
    assert it._other.title == "Workflows"
    [flow] = it.board.rows("workflows").values()
    assert flow["text"] == "0 of 1 · waits for you"


def test_a_question_of_a_task_is_a_need_that_opens_its_form(hub, view):
    hub.workflows.agent("plan")(
        lambda _, ctx: ctx.ask("eur", "How <b>much</b>?", form=int, to="ada")
    )
    hub.workflows.create("new app", tasks=[{"name": "go", "agent": "plan"}])
    run_until_idle(hub)
    it = view()
    [(key, row)] = it.board.rows("needs").items()
    assert (row["title"], row["act"]) == ("new app waits for ada", "look")
    assert row["text"] == "task go: How <b>much</b>? (whole number)"
    [flow] = it.board.rows("workflows").values()
    assert flow["text"] == "0 of 1 · waits for you"
    click(it, do="act", key=key)
    until(lambda: it._other is not None)
    refresh(it._other)
    answers = [
        one for one in walk(it._other.root) if getattr(one, "description", "") == "Answer go"
    ]
    assert len(answers) == 1


@pytest.mark.usefixtures("failing")
def test_an_error_shows_its_trace(view):
    it = view()
    error = next(iter(it.board.rows("errors").values()))
    assert error["name"] == "ValueError"
    click(it, do="trace", id=error["trace"])
    assert "queue" in it.trace._shown
    assert it.traced.layout.display is None
    it._hide.click()
    assert it.traced.layout.display == "none"
    click(it, do="trace", id="0" * 32)
    assert "no trace" in message(it)


@pytest.mark.usefixtures("failing")
def test_hostile_text_is_text_and_no_secret_is_shown(view):
    it = view()
    bundle = it.panel._repr_mimebundle_()[0]
    everything = json.dumps([bundle, it.board.state()])
    assert CANARY not in everything
    assert "<script>" not in bundle["text/html"]
    assert "&lt;script&gt;" in bundle["text/html"]


def test_a_saved_copy_has_the_needs_the_services_and_absolute_times(failing, view):
    failing.db.query("select 1")
    it = view()
    bundle = it.panel._repr_mimebundle_()[0]
    text = bundle["text/plain"]
    for word in ("1 thing needs you", "2 jobs of scrape failed", "Services:", "db", "scrape"):
        assert word in text
    assert "ago" not in text
    assert "docker" not in text  # which is not opened
    assert "<script" not in bundle["text/html"].replace("&lt;", "")


class Wire:
    """What a board sends to the page."""

    def __init__(self, board):
        self.sent = []
        board.widget.send = self.sent.append

    def last(self):
        return self.sent[-1]


@pytest.fixture
def board():
    made = Board(on_message=lambda _: None, on_seen=lambda _: None)
    yield made
    made.close()


def test_only_what_differs_is_sent(board):
    wire = Wire(board)
    card = {"number": "1", "unit": "ms", "foot": "idle"}
    board.update({"cards": {"db": card, "redis": card}}, points={}, at=1.0)
    assert set(wire.last()) == {"v", "at", "order", "items", "points"}
    board.update({"cards": {"db": card, "redis": card}}, points={}, at=3.0)
    assert wire.last() == {"v": 2, "at": 3, "points": {}}
    board.update(
        {"cards": {"db": {**card, "foot": "busy"}, "redis": card}}, points={"db": (3, 1)}, at=5.0
    )
    assert wire.last() == {
        "v": 3,
        "at": 5,
        "items": {"cards": {"db": {"foot": "busy"}}},
        "points": {"db": [3, 1]},
    }
    board.update({"cards": {"redis": card}}, points={}, at=7.0)
    assert wire.last()["order"] == {"cards": ["redis"]}
    assert "items" not in wire.last()
    assert board.state()["points"] == {"redis": [[0, 0]] * POINTS}


def test_a_sparkline_has_as_many_points_as_two_minutes(board):
    for number in range(POINTS + 5):
        board.update({"cards": {"db": {}}}, points={"db": (number, 0)}, at=1.0)
    points = board.state()["points"]["db"]
    assert len(points) == POINTS
    assert points[-1] == [POINTS + 4, 0]


def test_the_sparklines_begin_with_the_calls_before_the_panel_and_after_a_rest(hub, view):
    for name in ("void", "nowhere"):
        with pytest.raises(AgentnbError):
            hub.db.query(f"select * from {name}")
    it = view()
    assert it.board.rows("cards")["db"]["foot"].startswith("2 failed")
    points = it.board.state()["points"]["db"]
    assert len(points) == POINTS
    assert sum(calls for calls, _ in points[-3:]) >= 1
    with pytest.raises(AgentnbError):
        hub.db.query("select * from void")
    refresh(it.panel)
    assert it.board.state()["points"]["db"][-1] == [1, 1]
    assert it.board.rows("cards")["db"]["tone"] == "bad"
    assert it.board.rows("cards")["db"]["foot"].startswith("3 failed")
    it._shown -= 60
    refresh(it.panel)
    assert it.board.rows("cards")["db"]["foot"].startswith("3 failed")
    assert sum(calls for calls, _ in it.board.state()["points"]["db"]) >= 2


def test_a_view_that_missed_a_message_is_sent_all(board):
    board.update({"needs": {"a": {"title": "x"}}}, at=1.0)
    wire = Wire(board)
    board._received(None, {"do": "full"}, [])
    assert wire.last()["full"]["items"]["needs"] == {"a": {"title": "x"}}


def test_a_panel_that_nobody_sees_asks_for_nothing(hub, monkeypatch):
    it = AgentnbPanel(hub, every=0.01)
    it.panel.refresh()
    refresher = it.panel._refresher
    until(lambda: refresher.runs > 2)
    click(it, do="seen", on=True)
    click(it, do="seen", on=False)
    until(lambda: refresher.parked)
    it.panel._looked(1)  # the page is open, in another tab
    assert refresher.parked
    runs = refresher.runs
    monkeypatch.setattr(it._reader, "read", lambda: pytest.fail("asked"))
    assert refresher._due_in() is None
    assert refresher.runs - runs <= 1  # one may have been on its way
    monkeypatch.undo()
    click(it, do="seen", on=True)
    seen = refresher.runs
    until(lambda: refresher.runs > seen + 2)
    it.panel.close()


def test_many_needs_queues_and_workflows_are_cut_and_counted():
    needs = [Need("failed", f"q{i}", f"{i} jobs failed", "x" * 999, 1) for i in range(30)]
    found = sections_of(Overview(1.0, "", "/home", needs))
    assert len(found["needs"]) == 8
    assert found["notes"]["needs"]["text"] == "and 22 more"
    assert found["notes"]["head"]["well"] == "30 things need you"
    assert len(next(iter(found["needs"].values()))["text"]) == 160
