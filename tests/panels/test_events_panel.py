"""The events panel over the real embedded server; what the browser adds is tested there."""

from __future__ import annotations

import json

from agentnb.panels import handler
from agentnb.panels.events import EventsPanel
from tests.waiting import refresh, until

PANEL = EventsPanel


class Printed:
    """What a handler has printed."""

    text = "printed"

    def clear(self):
        self.text = ""


def refreshed(view):
    refresh(view.panel)
    return view


def shown(view):
    refreshed(view)
    return [view.events.row(key)[1:3] for key in view.events.shown()]


def message(view):
    return str(view.panel._bar.widget.message)


def test_without_events_it_says_what_to_type(view):
    bundle, _ = view().panel._repr_mimebundle_()
    assert "%events publish CHANNEL DATA" in bundle["text/plain"]
    assert "every event was handled" in bundle["text/plain"]


def test_events_of_before_and_those_that_come_are_shown_newest_first(hub, view):
    hub.events.publish("agent.done", {"task": 1})
    it = view()
    hub.events.publish("agent.done", {"task": 2})
    hub.events.publish("other", "text", durable=False)
    until(lambda: len(shown(it)) == 3)
    assert shown(it) == [
        ("other", "text"),
        ("agent.done", '{"task": 2}'),
        ("agent.done", '{"task": 1}'),
    ]


def test_the_filter_is_a_pattern_or_a_part_and_a_text(hub, view):
    for n in range(3):
        hub.events.publish(f"agent.{n}", {"n": n, "word": "Plan"})
        hub.events.publish(f"tool.{n}", {"n": n})
    it = view(channel="agent.*")
    assert [name for name, _ in shown(it)] == ["agent.2", "agent.1", "agent.0"]
    it.channel.value = "OL.1"
    assert until(lambda: shown(it) == [("tool.1", '{"n": 1}')])
    it.channel.value = ""
    it.text.value = "plan"
    until(lambda: [name for name, _ in shown(it)] == ["agent.2", "agent.1", "agent.0"])
    hub.events.publish("agent.3", {"word": "plan b"})
    until(lambda: shown(it)[0][0] == "agent.3")
    it.text.value = "nowhere"
    until(lambda: shown(it) == [])
    bundle, _ = it.panel._repr_mimebundle_()
    assert "No event with nowhere" in bundle["text/plain"]


def test_a_click_shows_the_envelope(hub, view):
    event = hub.events.publish("agent.done", {"task": "<b>1</b>"}, correlation_id="order 7")
    it = view()
    it.events.on_select(event.id)
    until(lambda: "agent.done" in it.about.value)
    assert "order 7" in it.detail.widget.value
    assert "&lt;b&gt;" in it.detail.widget.value
    assert "<b>" not in it.detail.widget.value
    assert json.dumps(event.source) in it.detail.widget.value.replace("&quot;", '"')


def test_an_event_is_published_from_the_box(hub, view):
    it = view()
    it.to.value, it.data.value = "agent.go", '{"now": true}'
    it.publish.click()
    until(lambda: "agent.go: published" in message(it))
    assert hub.events.history("agent.go")[0].data == {"now": True}
    it.data.value = "just text"
    it.publish.click()
    until(lambda: len(hub.events.history("agent.go")) == 2)
    assert hub.events.history("agent.go")[1].data == "just text"
    it.to.value = " "
    it.publish.click()
    until(lambda: "the channel is missing" in message(it))


def test_dead_letters_are_replayed_and_discarded(hub, view):
    broken, got = [True], []

    def handle(event):
        if broken:
            raise ValueError("not yet")
        got.append(event.data)

    hub.events.subscribe("c", handle, name="mine")
    for n in range(3):
        hub.events.publish("c", n)
    until(lambda: hub.events.inspect.dead_letter_count() == 3)
    it = view()
    assert len(it.letters) == 3
    last = it.letters.shown()[0]
    assert it.letters.row(last)[1:4] == ("c", "ValueError: not yet", "mine")
    assert it.replay.disabled
    assert it.discard.first.description == "Discard all…"
    it.letters.select(last)
    it.letters.on_select(last)
    until(lambda: not it.replay.disabled)
    assert it.discard.first.description == "Discard"
    it.discard.first.click()
    assert it.discard.second.description == "Discard the selected one"
    it.discard.first.click()
    assert "ValueError: not yet" in it.detail.widget.value
    broken.clear()
    it.replay.click()
    until(lambda: got == [2])
    until(lambda: len(refreshed(it).letters) == 2)
    it.discard.first.click()
    until(lambda: it.discard.asking)
    assert it.discard.second.description == "Discard all 2 dead letters"
    it.discard.second.click()
    until(lambda: len(refreshed(it).letters) == 0)
    assert hub.events.dead_letters() == []
    until(lambda: it.discard.first.disabled)


def test_the_plot_shows_how_many_come_in_a_second(hub, view):
    it = view()
    for n in range(50):
        hub.events.publish("c", n)
    until(lambda: len(shown(it)) == 50)
    refreshed(it)
    assert max(value for value in it.rate.values if value is not None) > 10


def test_a_closed_panel_listens_no_more(hub, view):
    it = view()
    assert len(hub.events.subscriptions()) == 1
    it.panel.close()
    assert hub.events.subscriptions() == []


def test_it_goes_on_after_the_hub_was_stopped(hub, view):
    it = view()
    hub.stop()
    hub.events.publish("after", 1)
    until(lambda: ("after", "1") in shown(it))


def test_it_keeps_at_most_a_fixed_number_of_events(hub, view, monkeypatch):
    monkeypatch.setattr("agentnb.panels.events.KEPT", 20)
    it = view()
    for n in range(50):
        hub.events.publish("c", n)
    until(lambda: shown(it)[:1] == [("c", "49")])
    assert len(it.events.shown()) == 20


def test_an_event_is_published_by_the_key_of_its_data(hub, view):
    it = view()
    it.to.value = "c"
    content = {"do": "submit", "box": "agentnb-submit-0", "text": '{"n": 1}'}
    it.panel._bar._received(None, content, None)
    until(lambda: [event.data for event in hub.events.history("c")] == [{"n": 1}])


def test_the_view_of_a_handler_that_was_unsubscribed_is_not_live(hub):
    subscription = hub.events.subscribe("c", print)
    panel = handler.make(hub, subscription, Printed())
    panel.refresh()
    until(lambda: panel.state == "live")
    subscription.close()
    panel.refresh()
    until(lambda: panel.state == "ended: unsubscribed")
    text = panel._repr_mimebundle_()[0]["text/plain"]
    assert text.startswith("on c (ended: unsubscribed · saved copy of ")
    panel.close()
