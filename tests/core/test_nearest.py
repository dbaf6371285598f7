"""A suggestion is made only where it is near."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentnb.core.errors import did_you_mean

VERBS = (
    *("list", "show", "tasks", "run", "watch", "approve", "answer", "set", "pause", "resume"),
    *("retry", "cancel", "work", "stop", "events", "agents", "panel", "prune", "help"),
)
OPTIONS = ("-c", "--connection", "-n", "--rows", "--all", "--as", "--tx", "--explain", "--timeout")
SQL = ("select", "insert", "update", "delete", "create", "drop", "with")


@pytest.mark.parametrize(
    ("word", "known", "near"),
    [
        ("wrok", VERBS, "work"),
        ("wok", VERBS, "work"),
        ("worl", VERBS, "work"),
        ("owrk", VERBS, "work"),
        ("Work", VERBS, "work"),
        ("cancle", VERBS, "cancel"),
        ("retyr", VERBS, "retry"),
        ("aprove", VERBS, "approve"),
        ("lst", VERBS, "list"),
        ("lists", VERBS, "list"),
        ("evnts", VERBS, "events"),
        ("--row", OPTIONS, "--rows"),
        ("--rosw", OPTIONS, "--rows"),
        ("--conn", OPTIONS, "--connection"),
        ("--time", OPTIONS, "--timeout"),
        ("--tme", OPTIONS, None),
        ("--xt", OPTIONS, "--tx"),
        ("selct", SQL, "select"),
        ("slect", SQL, "select"),
        ("elect", SQL, "select"),
        ("fork", VERBS, None),
        ("--plot", OPTIONS, None),
        ("--chart", OPTIONS, None),
        ("port", VERBS, None),
        ("start", VERBS, None),
        ("rm", VERBS, None),
        ("ls", VERBS, None),
        ("a", ("b", "c"), None),
        ("grape", ("graph",), "graph"),
        ("mysql", ("sqlite",), None),
        ("duckdb", ("db",), None),
        ("house", ("mouse",), None),
        ("", VERBS, None),
        ("qq", ("q",), "q"),
        ("x", ("q",), None),
        ("orbers", ("orders", "borders"), "orders"),
    ],
)
def test_a_name_is_suggested_only_for_a_typing_error(word, known, near):
    assert did_you_mean(word, known) == (near and f"did you mean {near}?")


def test_where_no_name_is_near_all_are_listed():
    assert did_you_mean("fork", ("list", "work"), "verbs") == "verbs: list, work"
    assert did_you_mean("wrok", ("list", "work"), "verbs") == "did you mean work?"
    many = [f"table_{n}" for n in range(1500)]
    hint = did_you_mean("nothing", many, "tables")
    assert hint.startswith("tables: table_0, table_1, ")
    assert hint.endswith("table_11 and 1,488 more")
    assert did_you_mean("x", (), "tables") is None


WORD = st.text("abcdefghij_-ABC", min_size=1, max_size=20)


@given(st.lists(WORD, min_size=1, max_size=20), st.data())
@settings(max_examples=200, deadline=None, derandomize=True)
def test_a_known_name_is_nearest_to_itself_and_no_other_name_is_made_up(names, data):
    word = data.draw(st.sampled_from(names) | WORD)
    hint = did_you_mean(word, names)
    if hint is not None:
        assert hint[len("did you mean ") : -1] in names
    if word in names:
        meant = hint[len("did you mean ") : -1]
        assert meant.casefold().lstrip("-") == word.casefold().lstrip("-")


@given(st.text("abcdefghij", min_size=8, max_size=30), st.data())
@settings(max_examples=200, deadline=None, derandomize=True)
def test_one_letter_more_less_or_exchanged_is_near(name, data):
    at = data.draw(st.integers(1, len(name) - 2))
    for typed in (
        name[:at] + name[at + 1 :],
        name[:at] + "x" + name[at:],
        name[:at] + name[at + 1] + name[at] + name[at + 2 :],
    ):
        assert did_you_mean(typed, [name, "quite another"]) == f"did you mean {name}?"
