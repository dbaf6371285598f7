from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from agentnb.core.table import Column, Table
from agentnb.panels.base.cells import cell
from agentnb.panels.base.rows import Rows, changes
from agentnb.panels.base.saved import absolute
from agentnb.panels.base.table import TableView


def made(rows, columns=("id", "name", "size"), key="id", **options):
    found = Rows(list(columns), key=key, **options)
    found.replace(rows)
    return found


def shown(rows):
    return [cells[0] for cells in rows.page_shown().rows.values()]


JOBS = [(1, "Build", 10), (2, "test", None), (3, "build: web", 9), (4, None, 100)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["1", "2", "3", "4"]),
        ("BUILD", ["1", "3"]),
        ("build 10", ["1"]),
        ("name:build", ["1", "3"]),
        ("size:10 name:build", ["1"]),
        ('"build: web"', ["3"]),
        ('name:"build: w"', ["3"]),
        ("name:", ["1", "2", "3", "4"]),
        ("nosuch:build", []),
        ("name:null", ["4"]),
        ("NAME:Test", ["2"]),
        ('"', ["1", "2", "3", "4"]),
        ("(", []),
    ],
)
def test_a_filter_finds_words_in_any_column_or_in_the_one_it_names(text, found):
    rows = made(JOBS)
    rows.filter = text
    assert shown(rows) == found


def test_a_column_is_ordered_up_then_down_then_as_it_came_with_null_last():
    rows = made(JOBS)
    orders = []
    for _ in range(3):
        rows.order_by("size")
        orders.append(shown(rows))
    assert orders == [["3", "1", "4", "2"], ["4", "1", "3", "2"], ["1", "2", "3", "4"]]


def test_a_column_of_mixed_types_can_be_ordered():
    values = [3, "b", None, float("nan"), dt.date(2026, 1, 1), Decimal("2.5"), {"a": 1}, b"x", "A"]
    rows = made(list(enumerate(values)), columns=("id", "value"))
    rows.order_by("value")
    assert shown(rows)[:2] == ["5", "0"]
    assert shown(rows)[-1] == "2"


def test_filter_order_and_page_survive_new_rows():
    rows = made([(i, "x", i) for i in range(200)], page_size=20)
    rows.filter, rows.page = "x", 3
    rows.order_by("size")
    rows.order_by("size")
    before = shown(rows)
    rows.replace([(i, "x", i) for i in range(200)] + [(500, "other", 500)])
    assert shown(rows) == before
    assert before[0] == "139"


def test_a_page_beyond_the_last_is_the_last():
    rows = made([(i, "x", i) for i in range(45)], page_size=20)
    rows.page = 99
    assert shown(rows) == ["40", "41", "42", "43", "44"]
    assert rows.page_shown().meta["page"] == 2


def test_rows_whose_keys_are_equal_or_unhashable_are_all_kept():
    rows = made([(1, "a", 0), (1, "b", 0), ([1], "c", 0), ([1], "d", 0)])
    assert len(shown(rows)) == 4


def test_a_changed_cell_is_sent_alone():
    rows = made(JOBS)
    old = rows.page_shown()
    rows.replace([(1, "Build", 11), *JOBS[1:]])
    assert changes(old, rows.page_shown()) == {"set": [[1, 2, "11"]]}


def test_rows_that_come_go_and_move_are_sent_by_id():
    rows = made(JOBS)
    old = rows.page_shown()
    rows.replace([JOBS[3], JOBS[0], (9, "new", 1)])
    message = changes(old, rows.page_shown())
    assert message["new"] == [[5, ["9", "new", "1"]]]
    assert message["order"] == [4, 1, 5]
    assert message["meta"] == {"total": 3, "shown": 3}
    assert "set" not in message


def test_other_columns_or_another_page_are_sent_whole():
    rows = made([(i, "x", i) for i in range(40)], page_size=20)
    old = rows.page_shown()
    rows.page = 1
    turned = rows.page_shown()
    assert set(changes(old, turned)) == {"full"}
    rows.replace([(1, 2)], ["a", "b"])
    assert changes(turned, rows.page_shown())["full"]["cols"] == [["a", 1], ["b", 1]]


def test_nothing_is_sent_when_nothing_changed():
    rows = made(JOBS)
    assert changes(rows.page_shown(), rows.page_shown()) is None


def test_an_order_by_a_column_that_is_gone_is_forgotten():
    rows = made(JOBS)
    rows.order_by("size")
    rows.replace([(1, "x")], ["id", "name"])
    assert shown(rows) == ["1"]


class Unprintable:
    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ("x" * 500, "x" * 299 + "…"),
        ("a\r\nb\tc\x1b[31m", "a↵b c\N{REPLACEMENT CHARACTER}[31m"),
        ("\ud800", "?"),
        pytest.param(10**5000, "<int: ValueError>", id="huge"),
        (Unprintable(), "<Unprintable: RuntimeError>"),
        (True, "True"),
        (dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC), "2026-01-02 03:04:00+00:00"),
    ],
)
def test_any_value_becomes_a_short_line_that_can_be_sent(value, text):
    assert cell(value) == text
    (text or "").encode()


def test_a_column_of_a_kind_is_filtered_by_its_text_and_ordered_by_its_value():
    rows = Rows(["name", Column("size", "size")], key="name")
    rows.replace([("a", 9_000), ("b", 10_000_000), ("c", None), ("d", 500)])
    page = rows.page_shown()
    assert [cells[1] for cells in page.rows.values()] == ["9.0 kB", "10 MB", "", "500 B"]
    assert page.columns == (("name", False), ("size", True))
    rows.filter = "size:mb"
    assert rows.shown() == ["b"]
    rows.filter, rows.sort = "", ("size", True)
    assert rows.shown() == ["b", "a", "d", "c"]
    assert rows["b"] == ("b", 10_000_000)


def test_a_saved_copy_has_a_moment_with_its_date_and_a_size_with_its_unit():
    rows = Rows([Column("made", "time"), Column("size", "size")])
    rows.replace([(0.0, 1_234)])
    assert rows.saved(5).rows == [[absolute(0.0), "1.2 kB"]]
    assert rows.page_shown().columns == (("made", False), ("size", True))


def test_a_table_hands_the_kinds_of_its_columns_to_a_view():
    view = TableView(())
    view.update(Table(("name", Column("took", "duration")), [("a", 75.0)]))
    assert "1 min 15 s" in view.static_text()
    assert view.export("csv") == "name,took\r\na,75.0\r\n"
    view.close()
