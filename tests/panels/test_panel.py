from __future__ import annotations

import re
import threading
import time

import pytest

from agentnb.core.errors import UnavailableError
from agentnb.panels import (
    Indicator,
    Instruction,
    Left,
    Panel,
    PanelRegistry,
    TableView,
    TextBlock,
    label,
    moment,
    row,
    stack,
    text_box,
)
from agentnb.panels.base.fallback import SAVED_ROWS
from agentnb.panels.base.panel import KEYS
from agentnb.panels.base.saved import absolute
from tests.waiting import until

MOMENT = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d"


@pytest.fixture
def panels():
    registry = PanelRegistry()
    yield lambda *args, **options: registry.open(
        str(time.time_ns()), lambda: Panel(*args, **options)
    )
    registry.close_all()


def test_a_failed_refresh_shows_the_hint_masks_secrets_and_recovers(panels):
    errors = [
        UnavailableError("no server at redis://u:pw1@h", service="redis", hint="start it"),
        OSError("postgresql://u:pw2@h refused\nsecond line"),
    ]
    seen = []

    def load():
        if errors:
            raise errors.pop(0)

    panel = panels("Cache", every=0.01).keep_fresh(load, lambda _: None)
    panel._bar.widget.observe(lambda _: seen.append(panel.state), "status")
    panel.refresh()
    until(lambda: panel.state == "live")
    assert seen[0] == "stale: no server at redis://u:••••••@h (start it)"
    assert seen[1] == "stale: OSError: postgresql://u:••••••@h refused"


def test_what_an_action_raises_is_shown_in_the_panel_and_goes_with_the_next_action(panels):
    panel = panels("Queue")
    shown = []
    panel.action(lambda: 1 / 0)()
    assert panel._bar.widget.message == {
        "text": "ZeroDivisionError: division by zero",
        "error": True,
    }
    panel.action(lambda word: word * 2, shown.append)("ab")
    assert shown == ["abab"]
    assert panel._bar.widget.message["text"] == ""


def test_a_slow_action_does_not_hold_up_refresh_or_close(panels):
    panel = panels("Slow").keep_fresh(lambda: None, lambda _: None)
    gate, shown = threading.Event(), []
    action = threading.Thread(target=panel.action(lambda: gate.wait(120), shown.append))
    action.start()
    panel.refresh()
    until(lambda: panel.state == "live")
    panel.close()
    gate.set()
    action.join(30)
    assert shown == []


def test_an_error_while_closing_leaves_nothing_open(panels):
    panel = panels("Broken").on_close(lambda: 1 / 0)
    panel.close()
    assert panel.closed
    assert panel.root.comm is None


def test_the_static_copy_reads_from_top_to_bottom(panels):
    panel = panels("Db").compose(
        row(label("a < b")),
        TableView(["n", "s"], [(1, "x"), (22, None)], label="Rows"),
        TableView(["n"], hint="type %db"),
    )
    bundle, _ = panel._repr_mimebundle_()
    heading, *lines = bundle["text/plain"].splitlines()
    assert re.fullmatch(rf"Db \(saved copy of {MOMENT}\)", heading)
    assert lines == [
        "a < b",
        "Rows:",
        " n  s",
        "--  ----",
        " 1  x",
        "22  NULL",
        "type %db",
    ]
    assert "<p>a &lt; b</p>" in bundle["text/html"]
    assert '<td align="right">22</td><td><em>NULL</em></td>' in bundle["text/html"]


def test_two_displays_of_the_same_content_give_the_same_saved_copy(panels):
    first, second = (
        panels("Same").compose(TableView(["a"], [(1,)]))._repr_mimebundle_()[0] for _ in range(2)
    )
    view = "application/vnd.jupyter.widget-view+json"
    assert first.pop(view) != second.pop(view)
    assert [re.sub(MOMENT, "", text) for text in first.values()] == [
        re.sub(MOMENT, "", text) for text in second.values()
    ]


def test_a_saved_copy_leaves_out_what_only_a_live_panel_can_do(panels):
    block = TextBlock("Log")
    block.show("first\nsecond")
    panel = panels("Jobs").compose(
        label(Instruction("Click on a job.")),
        TableView(["n"], hint=Instruction("Pick a job."), label="Steps"),
        block,
    )
    bundle, _ = panel._repr_mimebundle_()
    assert bundle["text/plain"].splitlines()[1:] == ["Log", "first", "second"]
    for word in ("Click", "Pick", "Steps", "Copy"):
        assert word not in bundle["text/html"]
    assert "Click on a job." in panel.root.children[1].value


def test_a_saved_copy_has_moments_where_the_panel_says_how_long_ago(panels):
    about = label("")
    about.value = moment("3 s ago", 0.0, before="since ")
    rows = [(Indicator("5 s ago", saved=absolute(60.0)), Left(3600))]
    panel = panels("Jobs").compose(about, TableView(["when", "ttl"], rows, label="T"))
    text = panel._repr_mimebundle_()[0]["text/plain"]
    assert f"since {absolute(0.0)}" in text
    assert absolute(60.0) in text
    assert re.search(rf"until {MOMENT}", text)
    assert "ago" not in text


def test_a_saved_copy_leaves_out_what_is_not_displayed(panels):
    hidden = stack(label("nobody sees this"))
    hidden.layout.display = "none"
    text = panels("Jobs").compose(label("seen"), hidden)._repr_mimebundle_()[0]["text/plain"]
    assert text.splitlines()[1:] == ["seen"]


def test_a_saved_copy_has_the_first_rows_and_says_how_many_there_are(panels):
    table = TableView(["n"], [(n,) for n in range(60)], label="Rows")
    panel = panels("Many").compose(table)
    lines = panel._repr_mimebundle_()[0]["text/plain"].splitlines()
    assert lines[4:-1] == [str(n) for n in range(SAVED_ROWS)]
    assert lines[-1] == "first 10 of 60 rows"
    table.turn_to(1)
    table.update([(n,) for n in range(60)], note="there are more")
    last = panel._repr_mimebundle_()[0]["text/plain"].splitlines()[-1]
    assert last == "rows 51 to 60 of 60 rows · there are more"
    table.filter("n:5")
    last = panel._repr_mimebundle_()[0]["text/plain"].splitlines()[-1]
    assert last.startswith("first 10 of 15 rows · filter “n:5”: 15 of 60 rows match")


def test_a_panel_whose_subject_has_ended_says_so_and_rests(panels):
    panel = panels("Handler", every=0.01)
    panel.keep_fresh(lambda: None, lambda _: None).refresh()
    until(lambda: panel.state == "live")
    panel.end("unsubscribed")
    until(lambda: panel._bar.widget.status["state"] == "ended")
    assert panel.state == "ended: unsubscribed"
    runs = panel._refresher.runs
    time.sleep(0.1)
    assert panel._refresher.runs <= runs + 1
    assert "ended: unsubscribed · saved copy of" in panel._repr_mimebundle_()[0]["text/plain"]


def test_the_key_of_a_text_box_brings_the_text_along(panels):
    box, got = text_box(rows=2), []
    panel = panels("Sql").compose(box)
    panel.on_submit(box, lambda: got.append(box.value))
    send = panel._bar._received
    send(None, {"do": "submit", "box": "agentnb-submit-0", "text": "select 1"}, None)
    send(None, {"do": "submit", "box": "agentnb-submit-7", "text": "of no box"}, None)
    assert got == ["select 1"]
    assert {"agentnb-submit", "agentnb-submit-0"} <= set(box._dom_classes)


def test_the_help_of_a_panel_has_its_own_keys_and_those_of_every_panel(panels):
    keys = panels("Sql", keys_help=[("Shift+Enter", "run")])._bar.widget.keys_help
    assert keys[0] == ["Shift+Enter", "run"]
    assert [list(line) for line in KEYS] == keys[1:]


def test_a_panel_that_was_closed_says_so(panels):
    panel = panels("Gone")
    panel.close()
    assert panel._repr_mimebundle_() == ({"text/plain": "Panel('Gone', closed)"}, {})
    panel.refresh()
    panel.say("nothing happens")


def test_a_panel_closed_by_its_button_leaves_the_registry():
    registry = PanelRegistry()
    panel = registry.open("db", lambda: Panel("Db"))
    panel._asked("close")
    assert len(registry) == 0


def test_a_factory_that_fails_closes_nothing():
    registry = PanelRegistry()
    first = registry.open("db", lambda: Panel("Db"), "cell")
    with pytest.raises(ZeroDivisionError):
        registry.open("db", lambda: 1 / 0, "cell")
    assert not first.closed
    registry.close_all()
    assert first.closed


def test_a_table_takes_a_result_with_its_columns():
    class Result:
        columns = ("a", "b")
        rows = ((1, 2),)

    table = TableView(["x"])
    table.update(Result(), note="first 1")
    assert table.state()["cols"] == [["a", 1], ["b", 1]]
    assert table.state()["note"] == "first 1"
    table.close()
