from __future__ import annotations

import threading
import time

import pytest

from agentnb.core.errors import UnavailableError
from agentnb.panels import Panel, PanelRegistry, TableView, label, row
from tests.waiting import until


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
    action = threading.Thread(target=panel.action(lambda: gate.wait(30), shown.append))
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
    assert bundle["text/plain"].splitlines() == [
        "Db (saved copy)",
        "a < b",
        "Rows:",
        " n  s",
        "--  ----",
        " 1  x",
        "22  NULL",
        "2 of 2 rows",
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
    assert first == second


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
