from __future__ import annotations

import pytest

from agentnb.core.errors import NotFoundError
from agentnb.panels import Confirm, Panel


@pytest.fixture
def panel():
    made = Panel("Jobs")
    yield made
    made.close()


@pytest.fixture
def confirm(panel):
    left, done = [3], []

    def clear(count):
        done.append(count)
        return f"{count} removed"

    made = Confirm(
        panel, "Clear", lambda: (f"Remove {left[0]} jobs", left[0]), clear, tooltip="Clear it"
    )
    made.left, made.done = left, done
    panel.compose(made)
    return made


def test_nothing_is_done_at_the_first_click(confirm):
    confirm.first.click()
    assert confirm.done == []
    assert confirm.second.description == "Remove 3 jobs"
    assert confirm.second.layout.display is None


def test_the_second_button_does_what_it_said_and_goes(panel, confirm):
    confirm.first.click()
    confirm.left[0] = 4
    confirm.second.click()
    assert confirm.done == [3]
    assert confirm.second.layout.display == "none"
    assert confirm.first.description == "Clear"
    assert panel._bar.widget.message == {"text": "3 removed", "error": False}
    confirm.second.click()
    assert confirm.done == [3]


def test_a_double_click_on_the_first_does_nothing(confirm):
    confirm.first.click()
    assert confirm.first.description == "Cancel"
    confirm.first.click()
    assert confirm.done == []
    assert (confirm.first.description, confirm.first.tooltip) == ("Clear", "Clear it")
    assert confirm.second.layout.display == "none"


def test_where_there_is_nothing_to_do_it_says_so(panel):
    def ask():
        raise NotFoundError("no job is left", service="queue")

    confirm = Confirm(panel, "Clear", ask, lambda _: "")
    confirm.first.click()
    assert not confirm.asking
    assert panel._bar.widget.message == {"text": "no job is left", "error": True}
    confirm.widget.close()


def test_what_needs_no_question_is_done_at_the_first_click(panel):
    done = []
    confirm = Confirm(panel, "Run", lambda: ("", "select 1"), done.append, show=lambda _: None)
    confirm.click()
    assert done == ["select 1"]
    assert not confirm.asking
    confirm.widget.close()


def test_a_button_that_is_renamed_says_so_once_nothing_is_asked(confirm):
    confirm.first.click()
    confirm.rename("Clear all")
    assert confirm.first.description == "Cancel"
    confirm.first.click()
    assert confirm.first.description == "Clear all"
