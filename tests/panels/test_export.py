from __future__ import annotations

import csv
import datetime as dt
import io
import json
import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentnb.core.table import Column
from agentnb.panels import Indicator, TableView
from agentnb.panels.base.export import exported, file_name

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\x00"), max_size=20)
VALUES = st.one_of(
    TEXT, st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False)
)
ROWS = st.lists(st.tuples(VALUES, VALUES), max_size=6)


@pytest.fixture
def table():
    rows = [(n, f"text {n}", 1_500 * n) for n in range(1, 121)]
    made = TableView(["id", "note", Column("size", "size")], rows, key="id", label="Big rows")
    yield made
    made.close()


@settings(max_examples=150, deadline=None, derandomize=True)
@given(ROWS)
def test_json_gives_back_the_values(rows):
    found = json.loads(exported(["a", "b"], rows, "json"))
    assert found == [{"a": first, "b": second} for first, second in rows]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(ROWS, st.sampled_from([("csv", ","), ("tsv", "\t")]))
def test_separated_text_gives_back_the_cells(rows, kind):
    name, delimiter = kind
    text = exported(["a", "b"], rows, name)
    found = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    assert found[0] == ["a", "b"]
    assert [[_cell(value) for value in row] for row in rows] == found[1:]


def _cell(value):
    return "" if value is None else str(value)


@pytest.mark.parametrize(
    ("value", "text", "plain"),
    [
        (Decimal("1.10"), "1.10", "1.10"),
        (2**63, str(2**63), 2**63),
        (math.nan, "nan", "nan"),
        (b"\x01\xff", "01ff", "01ff"),
        (dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC), "2026-01-05 09:00:00+00:00", None),
        ({"a": [1, math.inf]}, '{"a": [1, Infinity]}', {"a": [1, "Infinity"]}),
        (Indicator("3 s ago", saved="2026-01-05"), "2026-01-05", "2026-01-05"),
        (1500, "1500", 1500),
    ],
)
def test_a_value_is_exported_whole_and_without_its_unit(value, text, plain):
    [_, [cell]] = csv.reader(io.StringIO(exported(["v"], [(value,)], "csv")))
    assert cell == text
    assert json.loads(exported(["v"], [(value,)], "json")) == [
        {"v": text if plain is None else plain}
    ]


def test_the_view_that_asks_is_sent_all_pages_of_what_passes_the_filter(table):
    sent = []
    table.widget.send = sent.append
    table.filter("note:1")
    sent.clear()
    table._received(None, {"do": "export", "kind": "json", "ask": "7"}, None)
    table._received(None, {"do": "export", "kind": "exe", "ask": "8"}, None)
    [message] = sent
    answer = message["export"]
    assert (answer["ask"], answer["name"], answer["rows"]) == ("7", "big-rows.json", 40)
    rows = json.loads(answer["text"])
    assert len(rows) == 40
    assert rows[0] == {"id": 1, "note": "text 1", "size": 1500}
    table.filter("")
    assert len(json.loads(table.export("json"))) == 120


def test_what_is_exported_of_a_table_that_was_cut_says_so(table):
    sent = []
    table.update([(1, "a", 2)], note="limited to 1 row; there are more")
    table.widget.send = sent.append
    table._received(None, {"do": "export", "kind": "csv", "ask": "1"}, None)
    assert sent[0]["export"]["note"] == "limited to 1 row; there are more"


def test_a_file_is_named_after_its_table_and_nothing_else():
    assert file_name("SQL of 12:00:01: select * from /etc/passwd", "csv") == (
        "sql-of-12-00-01-select-from-etc-passwd.csv"
    )
    assert len(file_name("x" * 500, "json")) < 70
