"""The cache panel over the real embedded server; what the browser adds is tested there."""

from __future__ import annotations

import pytest

import agentnb
from agentnb.panels.cache import CachePanel
from tests.waiting import refresh, until

PANEL = CachePanel


def refreshed(view):
    refresh(view.panel)
    return view


def pick(view, key):
    view.keys.select(key)
    view.keys.on_select(key)
    until(lambda: f"<strong>{key}</strong>" in view.about.value)


def message(view):
    return view.panel._bar.widget.message


def test_an_empty_cache_says_what_to_type(view):
    bundle, _ = view().panel._repr_mimebundle_()
    assert "%cache set KEY VALUE" in bundle["text/plain"]


def test_keys_are_shown_with_time_size_and_value(hub, view):
    hub.cache.set("rates", {"EUR": 1.1}, ttl=90)
    hub.cache.set("long", "x" * 1500, ttl=4.5 * 3600)
    it = view()
    assert it.keys.shown() == ["long", "rates"]
    cells = [cells for _, cells in it.keys.state()["rows"]]
    assert list(cells[1]) == ["rates", "1 min", "11 B", '{"EUR":1.1}']
    assert cells[0][1] == "4 h"


def test_the_pattern_is_applied_on_the_server(hub, view):
    for number in range(1200):
        hub.cache.set(f"user:{number}", number)
    hub.cache.set("rates", 1)
    it = view(pattern="rate*")
    assert it.keys.shown() == ["rates"]
    it.pattern.value = "user:11?"
    until(lambda: len(it.keys) == 10)
    it.pattern.value = ""
    until(lambda: len(it.keys) == 1000)
    assert it.keys.state()["note"] == "the first 1,000; there are more"
    it.pattern.value = "user"
    until(lambda: len(it.keys) == 0)
    assert it.keys.state()["hint"] == "No key is called user. For keys that hold it:  *user*"


def test_a_picked_key_shows_its_whole_value(hub, view):
    hub.cache.set("rates", {"EUR": 1.1, "name": "<b>é</b>"}, ttl=90)
    it = view()
    pick(it, "rates")
    assert "&lt;b&gt;é&lt;/b&gt;" in it.value.widget.value
    assert "{\n  &quot;EUR&quot;: 1.1,\n" in it.value.widget.value
    assert "object" in it.about.value
    assert "1 min left" in it.about.value


def test_a_table_or_a_large_value_shows_its_beginning(hub, view):
    pd = pytest.importorskip("pandas")
    hub.cache.set("frame", pd.DataFrame({"n": range(50)}))
    hub.cache.set("text", "ab" * 1_000_000)
    hub.cache.set("numbers", list(range(100_000)))
    it = view()
    pick(it, "frame")
    assert "pandas DataFrame" in it.about.value
    assert "the first 20 of 50 rows" in it.about.value
    pick(it, "text")
    assert "the first 20,000 characters" in it.about.value
    assert len(it.value.widget.value) < 21_000
    pick(it, "numbers")
    assert len(it.value.widget.value) < 21_000


def test_a_picked_key_that_is_gone_says_so(hub, view):
    hub.cache.set("rates", 1)
    it = view()
    pick(it, "rates")
    hub.cache.delete("rates")
    refreshed(it)
    assert "gone" in it.about.value
    assert it.value.widget.value == ""
    assert it.remove.disabled
    it.remove.click()
    assert "is gone already" in message(it)["text"]


def test_the_picked_key_is_removed(hub, view):
    hub.cache.set("rates", 1)
    hub.cache.set("rates2", 2)
    it = view()
    pick(it, "rates")
    it.remove.click()
    assert message(it) == {"text": "rates: removed", "error": False}
    assert hub.cache.keys() == ["rates2"]
    until(lambda: it.keys.shown() == ["rates2"])


def test_a_pattern_is_invalidated_at_the_second_click(hub, view):
    for key in ("user:1", "user:2", "rates"):
        hub.cache.set(key, 1)
    it = view(pattern="user:*")
    it.invalidate.first.click()
    assert it.invalidate.second.description == "Remove 2 keys: user:*"
    assert len(hub.cache.keys()) == 3
    it.invalidate.second.click()
    assert hub.cache.keys() == ["rates"]
    assert message(it)["text"] == "user:*: 2 keys removed"


def test_another_pattern_takes_the_question_back(hub, view):
    hub.cache.set("rates", 1)
    it = view()
    it.invalidate.first.click()
    assert it.invalidate.asking
    it.pattern.value = "user:*"
    assert not it.invalidate.asking
    it.invalidate.first.click()
    assert message(it) == {"text": "no key matches user:* (change the pattern)", "error": True}
    assert hub.cache.keys() == ["rates"]


def test_the_ratio_of_each_interval_is_plotted(hub, view):
    hub.cache.set("rates", 1)
    it = view()
    assert it.ratio.values == [None]
    hub.cache.get("rates")
    refreshed(it)
    for key in ("rates", "rates", "no", "no"):
        hub.cache.get(key)
    refreshed(it)
    refreshed(it)
    assert it.ratio.values == [None, 100, 50, None]
    assert "this notebook found 3 of 5 (60 %)" in it.numbers.value


def test_the_panels_own_looks_are_not_counted_as_hits(hub, view):
    for number in range(20):
        hub.cache.set(f"k{number}", 1)
    it = view()
    hub.cache.get("k1")
    hub.cache.get("none")
    for _ in range(3):
        refreshed(it)
    assert "since the panel opened: 1 of 2 (50 %)" in it.numbers.value
    assert hub.cache._counter.hits == 1


def test_somebody_elses_hits_are_of_everybody(view, redis_home):
    it = view()
    with agentnb.connect(home=redis_home) as other:
        other.cache.set("rates", 1)
        other.cache.get("rates")
    refreshed(it)
    assert "this notebook found 0 of 0<br>" in it.numbers.value
    assert "since the panel opened: 1 of 1 (100 %)" in it.numbers.value


def test_the_saved_copy_has_keys_value_and_ratio(hub, view):
    hub.cache.set("rates", {"EUR": 1.1})
    it = view()
    hub.cache.get("rates")
    pick(it, "rates")
    text = it.panel._repr_mimebundle_()[0]["text/plain"]
    for part in ("rates", "· until 20", "Hit ratio of this notebook: 100 %", '"EUR": 1.1'):
        assert part in text


def test_a_damaged_value_does_not_hide_the_others(hub, view):
    hub.cache.set("good", 1)
    hub.cache._redis.set(hub.cache._keys.cache("bad"), b"\x01Zgarbage")
    hub.cache._redis.rpush(hub.cache._keys.cache("list"), "a")
    it = view()
    assert {"good", "bad"} <= set(it.keys.shown())
    pick(it, "bad")
    assert "cannot be decoded" in it.value.widget.value
    assert it.panel.state == "live"


def test_a_key_that_is_no_text_or_no_single_line_is_shown_too(hub, view):
    hub.cache._redis.set(hub.cache._keys.cache("").encode() + b"\xff", b"\xfe")
    hub.cache.set("two\nlines <b>🦀</b>", "x")
    it = view()
    assert [cells[0] for _, cells in it.keys.state()["rows"]] == ["two↵lines <b>🦀</b>", "?"]
    it._pick("two\nlines <b>🦀</b>")
    refreshed(it)
    assert "<strong>two↵lines &lt;b&gt;🦀&lt;/b&gt;</strong>" in it.about.value
    it._pick("\udcff")
    refreshed(it)
    assert (it.about.value + it.value.widget.value).encode()
    assert it.panel.state == "live"
