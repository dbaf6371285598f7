"""Lists to choose one of: what a person chooses, while a refresh is at work on the same list."""

from __future__ import annotations

import threading

import pytest
from traitlets import TraitError

from agentnb.panels import choice


def test_only_what_a_person_chooses_is_told(choose):
    told = []
    made = choice(["a", "b"], value="b", on_change=told.append)
    made.show(["a", "b", "c"], "c")
    made.show(["c", "a"], "a")
    made.value = "c"
    assert (told, made.value) == ([], "c")
    choose(made, "a")
    assert (told, made.value) == (["a"], "a")
    made.set_state({"disabled": False})
    made.set_state({"index": None})
    assert told == ["a"]


def test_new_options_reach_the_page_with_what_is_chosen_of_them(monkeypatch):
    made, sent = choice(["a", "b"], value="b"), []
    monkeypatch.setattr(made, "send_state", lambda key=None: sent.append(set(key)))
    made.show(["0", "a", "b"], "b")
    assert sent == [{"_options_labels", "index"}]


def test_what_the_page_cannot_have_meant_is_no_choice():
    told = []
    made = choice(["a", "b"], on_change=told.append)
    with pytest.raises(TraitError, match="out of bounds"):
        made.set_state({"index": 7})
    assert (told, made.value) == ([], "a")


def test_no_choice_is_lost_to_a_refresh_that_comes_meanwhile(choose):
    told, over = [], threading.Event()
    made = choice(["a", "b"], on_change=told.append)

    def refresh():
        while not over.is_set():
            made.show(["a", "b", "c"], "a")
            made.show(["a", "b"], "a")

    thread = threading.Thread(target=refresh)
    thread.start()
    try:
        for _ in range(300):
            choose(made, "b")
    finally:
        over.set()
        thread.join()
    assert told == ["b"] * 300
