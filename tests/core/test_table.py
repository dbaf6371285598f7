from __future__ import annotations

import datetime as dt
import decimal
import html.parser

import pytest

from agentnb.core.db import Database
from agentnb.core.errors import UsageError
from agentnb.core.format import INKS
from agentnb.core.table import Column, Table
from tests.groups import stable_id


def test_a_table_is_a_sequence_of_named_rows():
    table = Table(["id", "name"], [(1, "a"), (2, "b"), (3, "c")])
    assert (len(table), bool(table), table.columns) == (3, True, ("id", "name"))
    assert [row.name for row in table] == ["a", "b", "c"]
    assert table[-1] == (3, "c")
    assert [row.id for row in table[1:]] == [2, 3]
    assert table.dicts()[0] == {"id": 1, "name": "a"}
    assert table.column("name") == ["a", "b", "c"]
    with pytest.raises(IndexError):
        table[3]
    with pytest.raises(UsageError, match="no column 'nmae'") as caught:
        table.column("nmae")
    assert caught.value.hint == "columns: id, name"


def test_a_column_may_have_any_name():
    table = Table(["count(*)", "class", "_x", "count", "index", ""], [(1, 2, 3, 4, 5, 6)])
    assert (table[0].count, table[0].index) == (4, 5)
    assert tuple(table[0]) == (1, 2, 3, 4, 5, 6)
    assert table.dicts() == [{"count(*)": 1, "class": 2, "_x": 3, "count": 4, "index": 5, "": 6}]


def test_a_name_that_comes_twice_loses_no_value():
    table = Table(["a", "a", "a_2", "b", "a"], [(1, 2, 3, 4, 5)])
    assert len(set(table.columns)) == 5
    assert table.columns[0] == "a"
    assert table.columns[2] == "a_2"
    assert list(table.dicts()[0].values()) == [1, 2, 3, 4, 5]


def test_columns_are_aligned_and_numbers_stand_to_the_right():
    table = Table(["n", "name"], [(5, "a"), (1234, None), (decimal.Decimal("0.5"), "ccc")])
    assert repr(table).splitlines() == ["   n  name", "   5  a", "1234", " 0.5  ccc"]


def test_a_long_table_shows_its_head_and_says_so():
    table = Table(["n"], [(i,) for i in range(1000)], note="from here on")
    lines = repr(table).splitlines()
    assert len(lines) == 28
    assert lines[-2:] == ["25 of 1,000 rows shown", "from here on"]
    assert table._repr_html_().count("<tr>") == 26
    assert "25 of 1,000 rows shown" in table._repr_html_()


def test_a_table_displays_all_rows_on_request():
    table = Table(["n"], [(n,) for n in range(30)], display=None)
    assert len(repr(table).splitlines()) == 31
    assert table._repr_html_().count("<tr>") == 31
    assert "shown" not in repr(table) + table._repr_html_()


def test_an_empty_table_says_what_to_do_next():
    assert repr(Table(["n"], [])) == "no rows"
    assert repr(Table(["n"], [], empty="type <b>this</b>")) == "type <b>this</b>"
    assert (
        "type &lt;b&gt;this&lt;/b&gt;" in Table(["n"], [], empty="type <b>this</b>")._repr_html_()
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"\0\1", "<2 bytes>"),
        (memoryview(b"abc"), "<3 bytes>"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x9b31mred", "\\x9b31mred"),
        ("exe\u202egnp.", "exe\\u202egnp."),
        ("\u2028", "\\u2028"),
        ("\ud800", "\\ud800"),
        ("naïve 🙂 漢字", "naïve 🙂 漢字"),
        ("x" * 500, "x" * 119 + "…"),
        ({"a": [1]}, "{'a': [1]}"),
        (dt.date(2026, 1, 31), "2026-01-31"),
    ],
)
def test_a_cell_shows_its_value_on_one_line_and_harmlessly(value, shown):
    lines = repr(Table(["x"], [(value,)])).splitlines()
    assert lines[1] == shown
    repr(Table(["x"], [(value,)]))
    assert Table(["x"], [(value,)])._repr_html_().encode()


class _Tags(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):  # noqa: ARG002 - the base calls it so
        self.tags.append(tag)

    def handle_data(self, data):
        self.text += data


def test_html_in_a_value_a_name_or_a_note_is_text():
    evil = "<img src=x onerror=alert(1)>\"'&amp;</td><script>"
    table = Table([evil, "b"], [(evil, 1), (None, evil)], note=evil)
    shown = _Tags(table._repr_html_())
    assert set(shown.tags) <= {"div", "table", "tr", "th", "td", "span", "small", "br"}
    assert shown.text.count(evil) == 4


def test_tables_with_the_same_rows_are_equal():
    assert Table(["a"], [(1,)]) == Table(("a",), ((1,),))
    assert Table(["a"], [(1,)]) != Table(["b"], [(1,)])
    assert Table(["a"], [(1,)]) != [(1,)]
    with pytest.raises(TypeError):
        hash(Table(["a"], []))


ROWS = [
    (1, 0.5, "a", True, dt.date(2026, 1, 31), dt.datetime(2026, 1, 31, 10), b"x", None),
    (None, None, None, None, None, None, None, None),
    (2**60 + 1, -1.5, "🙂", False, dt.date(1, 1, 1), dt.datetime(1, 1, 1), b"\0", None),
]
NAMES = ["i", "f", "s", "b", "d", "t", "r", "n"]


def test_rows_come_back_from_polars_and_arrow_as_they_were():
    pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    table = Table(NAMES, ROWS)
    assert table.pl().rows() == ROWS
    assert table.arrow().to_pylist() == table.dicts()


def test_a_data_frame_has_the_types_that_pandas_users_expect():
    pandas = pytest.importorskip("pandas")
    frame = Table(NAMES, [ROWS[0], ROWS[0]]).df()
    types = {name: str(kind) for name, kind in frame.dtypes.items()}
    assert types["i"] == "int64"
    assert types["f"] == "float64"
    assert types["b"] == "bool"
    assert types["t"].startswith("datetime64")
    assert frame["s"].tolist() == ["a", "a"]
    assert frame["n"].isna().all()
    assert pandas.api.types.is_object_dtype(frame["d"])


def test_an_integer_beside_a_null_loses_no_digit_in_a_data_frame():
    pytest.importorskip("pandas")
    frame = Table(["i", "small"], [(2**60 + 1, 1), (None, None)]).df()
    assert int(frame["i"][0]) == 2**60 + 1
    assert str(frame["small"].dtype) == "float64"


def test_decimals_are_numbers_in_a_data_frame_and_exact_elsewhere():
    pytest.importorskip("pandas")
    table = Table(["d"], [(decimal.Decimal("0.10"),), (decimal.Decimal("12.5"),)])
    assert table.df()["d"].sum() == 12.6
    assert table.arrow()["d"].to_pylist() == table.column("d")


@pytest.mark.parametrize("rows", [[], [(1, "a")]], ids=["empty", "one row"])
def test_frames_keep_the_columns_whatever_the_number_of_rows(rows):
    table = Table(["x", "x"], rows)
    for frame in ("df", "pl", "arrow"):
        pytest.importorskip({"df": "pandas", "pl": "polars", "arrow": "pyarrow"}[frame])
        found = getattr(table, frame)()
        names = found.column_names if frame == "arrow" else list(found.columns)
        assert names == ["x", "x_2"]
        assert len(found) == len(rows)


def test_other_libraries_read_a_table_through_the_arrow_interface():
    arrow = pytest.importorskip("pyarrow")
    polars = pytest.importorskip("polars")
    table = Table(["i", "s"], [(1, "a"), (None, None)])
    assert arrow.table(table).to_pylist() == table.dicts()
    assert polars.DataFrame(table).to_dicts() == table.dicts()


@pytest.mark.parametrize(
    "values", [[1, "a"], [2**70, 1], [object()], [True, 2], ["\ud800"]], ids=stable_id
)
def test_what_arrow_cannot_hold_is_a_usage_error(values):
    pytest.importorskip("pyarrow")
    with pytest.raises(UsageError, match="column 'x'") as caught:
        Table(["x"], [(value,) for value in values]).arrow()
    assert ".df()" in caught.value.hint


def test_what_polars_cannot_hold_is_a_usage_error():
    pytest.importorskip("polars")
    with pytest.raises(UsageError, match="polars cannot hold"):
        Table(["x"], [(dt.date(2026, 1, 1),), (dt.datetime(2026, 1, 1, 10),)]).pl()


def test_a_late_first_value_decides_the_type():
    pytest.importorskip("polars")
    table = Table(["x"], [(None,)] * 6000 + [("z",)])
    assert table.pl()["x"].to_list() == table.column("x")
    assert table.arrow()["x"].to_pylist() == table.column("x")


def test_a_typed_column_shows_its_values_in_their_form_and_keeps_them():
    made = dt.datetime(2026, 1, 5, 9, 0)
    columns = (
        "name",
        Column("size", "size"),
        Column("took", "duration"),
        Column("rows", "count"),
        Column("made", "time"),
        Column("state", "state"),
        Column("share", "share"),
    )
    row = ("a", 1_234, 75.0, 50_000, made, "failed", 0.25)
    table = Table(columns, [row, ("b", None, None, None, None, None, None)])
    assert repr(table).splitlines() == [
        "name    size        took    rows  made                 state   share",
        "a     1.2 kB  1 min 15 s  50,000  2026-01-05 09:00:00  failed  ██████",
        "b",
    ]
    assert table.rows[0] == row
    assert table[0].size == 1_234
    assert table.dicts()[0]["took"] == 75.0
    frame = table.df()
    assert frame["size"][0] == 1_234
    assert frame["made"][0] == made
    assert [column.kind for column in table.header][:3] == [None, "size", "duration"]
    assert Table(table.header, table.rows).header == table.header


def test_a_typed_column_is_aligned_and_coloured_in_html():
    html = Table(
        (Column("size", "size"), Column("state", "state")), [(2_000, "failed"), (None, "<new>")]
    )._repr_html_()
    assert '<td style="text-align:right;' in html
    assert ">2.0 kB</td>" in html
    assert f'<span style="color:{INKS["bad"]}">failed</span>' in html
    assert "&lt;new&gt;" in html
    assert "NULL" not in html


def test_a_value_that_a_kind_has_no_form_for_is_shown_as_it_is():
    table = Table((Column("size", "size"),), [("unknown",), (1,)])
    assert repr(table).splitlines() == ["   size", "unknown", "    1 B"]


def test_columns_of_one_name_get_numbers_and_keep_their_kinds():
    table = Table((Column("n", "size"), Column("n", "count")), [(1_000, 1_000)])
    assert table.columns == ("n", "n_2")
    assert repr(table).splitlines()[1].split() == ["1.0", "kB", "1,000"]


def test_none_is_shown_as_nothing_and_as_null_where_it_comes_from_a_database():
    table = Table(["a", Column("b", "text")], [(None, None)])
    assert "NULL" not in repr(table) + table._repr_html_()
    with Database("sqlite://") as db:
        result = db.query("select null as a")
    assert repr(result).splitlines() == ["a", "NULL"]
    assert '<span style="opacity:.7">NULL</span>' in result._repr_html_()


def test_only_a_table_that_is_wider_than_a_page_is_a_stop_of_tab():
    narrow = Table(["a", "b"], [("x" * 20, "y" * 20)])._repr_html_()
    wide = Table([f"column {n}" for n in range(12)], [("x" * 20,) * 12])._repr_html_()
    assert "tabindex" not in narrow
    assert 'style="overflow-x:auto" tabindex="0" role="group" aria-label="table"' in wide


def test_a_cell_that_may_be_cut_at_its_edge_ends_in_an_ellipsis():
    html = Table(["a"], [("x" * 71,), ("x" * 70,)])._repr_html_()
    assert html.count("text-overflow:ellipsis") == 1
