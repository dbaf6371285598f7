"""Tables and queries as files: every row, every value, whole or not at all."""

from __future__ import annotations

import asyncio
import csv
import datetime as dt
import gzip
import json
import os
import resource
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentnb.core.db import Database
from agentnb.core.db.backend import Watch
from agentnb.core.db.result import ArrowResult, Preview, Result
from agentnb.core.db.sources import read
from agentnb.core.db.text import scan
from agentnb.core.errors import (
    ConfigError,
    DeadlineExceeded,
    FileExists,
    FileNotFound,
    IsADirectory,
    NotFoundError,
    QueryRejected,
    UnavailableError,
    UsageError,
)
from agentnb.core.export import Target, export, form_of
from agentnb.core.paths import ensure_home
from agentnb.core.resilience import Deadline
from agentnb.core.table import Table

pa = pytest.importorskip("pyarrow")
pytest.importorskip("duckdb")

SETTINGS = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
ENDLESS = """
    with recursive n(i) as (select 1 union all select i + 1 from n) select i, 'a text' as t from n
"""
NUMBERS = (
    "with recursive n(i) as (select 1 union all select i + 1 from n limit 25000) select * from n"
)


@pytest.fixture(scope="module")
def db():
    with Database("sqlite://") as made:
        yield made


@pytest.fixture(scope="module")
def duck():
    with Database("duckdb://") as made:
        yield made


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def column(values):
    """Return a strategy of columns with NULLs, at least one value among them."""
    return st.lists(values | st.none(), min_size=1, max_size=8).filter(any)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8).map(lambda text: f"x{text}")
NAIVE = st.datetimes(dt.datetime(1000, 1, 1), dt.datetime(9998, 12, 31))
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda m: dt.timezone(dt.timedelta(minutes=m)))
IN_CSV = [
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans().filter(bool),
    TEXT,
    st.dates(dt.date(1000, 1, 1)),
    NAIVE,
    st.datetimes(dt.datetime(1000, 1, 2), dt.datetime(9998, 12, 30), timezones=ZONES),
]
IN_JSON = [
    *IN_CSV[:4],
    st.lists(st.integers(), min_size=1),
    st.dictionaries(TEXT, TEXT, min_size=1),
]
IN_PARQUET = [
    *IN_CSV,
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.decimals(
        allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=6
    ),
    st.binary(),
    st.timedeltas(dt.timedelta(-(10**6)), dt.timedelta(10**6)),
    st.dictionaries(TEXT, st.integers() | TEXT, min_size=1),
    st.uuids(),
]


def read_back(values, path, **options):
    table = Table(["k", "v"], list(enumerate(values)))
    if path.suffix == ".parquet":
        table.to_parquet(path, overwrite=True)
    elif path.suffix == ".jsonl":
        table.to_json(path, overwrite=True)
    else:
        table.to_csv(path, overwrite=True, **options)
    return [row[1] for row in read(path).rows]


@SETTINGS
@given(st.one_of(*map(column, IN_CSV)), st.sampled_from([".csv", ".tsv", ".csv.gz"]))
def test_csv_has_every_value_that_load_reads_back(tmp_path, values, suffix):
    assert read_back(values, tmp_path / f"t{suffix}") == values


@SETTINGS
@given(st.one_of(*map(column, IN_JSON)))
def test_json_has_every_value_that_load_reads_back(tmp_path, values):
    assert read_back(values, tmp_path / "t.jsonl") == values


@SETTINGS
@given(st.one_of(*(st.lists(v | st.none(), min_size=1).filter(any) for v in IN_PARQUET)))
def test_parquet_has_every_value_with_its_type(tmp_path, values):
    found = read_back(values, tmp_path / "t.parquet")
    assert found == values
    assert list(map(type, found)) == list(map(type, values))


def test_what_the_formats_have_no_word_for_is_told(tmp_path):
    table = Table(
        ["x"], [(float("nan"),), (Decimal("0.12345678901234567890"),), (Decimal("9.50"),)]
    )
    found = table.to_json(tmp_path / "t.json")
    assert json.loads(found.path.read_text()) == [
        {"x": None},
        {"x": "0.12345678901234567890"},
        {"x": 9.5},
    ]
    assert "NaN and infinity are null" in repr(found)
    assert "Decimals that a float would round are text" in repr(found)


def test_null_and_an_empty_text_differ_in_csv(tmp_path):
    table = Table(["a", "b"], [(None, ""), ("", None)])
    assert table.to_csv(tmp_path / "t.csv").path.read_text() == 'a,b\n,""\n"",\n'
    # A line without anything would be no row.
    assert Table(["a"], [(None,), (1,)]).to_csv(tmp_path / "u.csv").path.read_text() == 'a\n""\n1\n'


def test_hostile_names_quotes_and_line_ends_stay_in_their_cells(tmp_path):
    rows = [('a"b', "c\nd\r\n"), ("e,f", "\t;\x00"), ("g", "h\ri")]
    path = Table(['k "1",', "x\ny"], rows).to_csv(tmp_path / "t.csv").path
    with path.open(newline="") as file:
        assert list(csv.reader(file)) == [['k "1",', "x\ny"], *map(list, rows)]
    path = Table(["a"], [("b;c",)]).to_csv(tmp_path / "s.csv", separator=";").path
    assert path.read_text() == 'a\n"b;c"\n'


def test_a_formula_is_counted_and_made_harmless_for_a_spreadsheet(tmp_path):
    rows = [("=1+1", -1), ("+49 30 1234", None), ("@sum(a)", 2), ("plain", 3)]
    table = Table(["=cmd", "n"], rows)
    found = table.to_csv(tmp_path / "t.csv")
    assert found.path.read_text().splitlines()[:2] == ["=cmd,n", "=1+1,-1"]
    assert found.notes[0].startswith("3 texts begin as a formula does: spreadsheet=True")
    found = table.to_csv(tmp_path / "u.csv", spreadsheet=True)
    assert found.path.read_bytes()[:3] == b"\xef\xbb\xbf"
    lines = found.path.read_text(encoding="utf-8-sig").splitlines()
    assert lines == ["'=cmd,n", "'=1+1,-1", "+49 30 1234,", "'@sum(a),2", "plain,3"]


def test_equal_rows_are_equal_compressed_files(tmp_path):
    table = Table(["a"], [(1,), (2,)])
    first = table.to_csv(tmp_path / "a.csv.gz").path.read_bytes()
    assert table.to_csv(tmp_path / "b.csv.gz").path.read_bytes() == first
    assert first[4:8] == bytes(4)  # it tells no time
    assert gzip.decompress(first) == b"a\n1\n2\n"


def test_every_row_of_a_query_is_written_and_none_is_kept_in_memory(tmp_path):
    with Database("sqlite://", max_bytes=10_000) as small:
        with pytest.raises(UsageError, match="is larger than"):
            small.query(NUMBERS)
        found = small.export(NUMBERS, tmp_path / "n.csv")
    assert found.rows == 25_000
    assert found.path.read_text().splitlines()[1:] == [str(n) for n in range(1, 25_001)]
    assert os.fspath(found) == str(tmp_path / "n.csv")
    assert repr(found).startswith(f"25,000 rows in {tmp_path}/n.csv, ")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json", ".parquet"])
@pytest.mark.parametrize("kind", ["db", "duck"])
def test_a_query_without_rows_is_a_file_with_its_columns(tmp_path, request, kind, suffix):
    path = tmp_path / f"t{suffix}"
    assert request.getfixturevalue(kind).export("select 1 as n where 1 = 0", path).rows == 0
    if suffix == ".csv":
        assert path.read_text() == "n\n"
    elif suffix == ".parquet":
        assert [name for name, _ in read(path).columns] == ["n"]
    else:
        assert path.read_text() == ("[]\n" if suffix == ".json" else "")


def test_types_of_duckdb_are_those_of_the_parquet_file(tmp_path, duck):
    sql = """select [1, 2] as l, {'a': 1} as s, interval 3 days as i, 'x'::blob as b,
        1.5::decimal(38, 10) as d, timestamptz '2026-01-01 00:00:00+00' as at, sum(range) as h
        from range(3)"""
    path = duck.export(sql, tmp_path / "t.parquet").path
    kinds = ["json", "json", "interval", "bytes", "decimal", "datetimetz", "decimal"]
    assert [kind for _, kind in read(path).columns] == kinds
    assert next(iter(read(path).rows))[:5] == (
        [1, 2], {"a": 1}, dt.timedelta(3), b"x", Decimal("1.5"),
    )  # fmt: skip
    with pytest.raises(UsageError, match="interval of months"):
        duck.export("select interval 1 month as i", tmp_path / "i.parquet")
    assert names(tmp_path) == ["t.parquet"]


@pytest.mark.parametrize("value", ["timetz '10:00:00+05'", "bitstring '101'", "['1'::bit]"])
def test_a_type_that_arrow_data_of_duckdb_would_change_is_refused(tmp_path, duck, value):
    with pytest.raises(UsageError, match="which Arrow data of DuckDB's do not hold") as caught:
        duck.export(f"select {value} as v", tmp_path / "t.parquet")
    assert caught.value.hint == "cast it in the SQL: v::text"
    assert names(tmp_path) == []  # before there is a file
    with pytest.raises(UsageError, match="do not hold"):
        duck.query(f"select {value} as v", arrow=True)
    with pytest.raises(UsageError, match="do not hold"):
        duck.query(f"select {value} as v, interval 1 day as i")
    duck.execute("create or replace table t (i interval, z timetz, b bit)")
    assert duck.query("select * from t").rows == []
    assert [row[0] for row in duck.profile("t").rows] == ["i", "z", "b"]
    like = "select 'BIT'::enum('BIT') as e, {'BIT': 1} as bit, timestamptz '2026-01-01' as t"
    assert duck.export(like, tmp_path / "like.parquet").rows == 1


def test_frames_are_tables_of_an_exported_query(tmp_path, duck, db):
    frames = {"df": pa.table({"k": [1, 2]}), "other": 1}
    found = duck.export(
        "select k from df where k > :least", tmp_path / "k.csv", {"least": 1}, frames=frames
    )
    assert found.path.read_text() == "k\n2\n"
    assert [part.rows for part in duck.stream("select k from df", frames=frames)] == [[(1,), (2,)]]
    with pytest.raises(UsageError, match="sqlite takes no frames"):
        db.export("select 1", tmp_path / "n.csv", frames=frames)
    assert names(tmp_path) == ["k.csv"]


def test_postgresql_exports_through_a_cursor_within_its_time(tmp_path, fresh_url):
    sql = """select n, n::numeric / 4 as price, '{"a": [1, null]}'::jsonb as more, 'x'::bytea as b,
        case when n > 1 then date '2026-01-31' end as day from generate_series(1, 10050) n"""
    with Database(fresh_url) as db:
        for name in ("t.parquet", "t.jsonl", "t.csv"):
            assert db.export(sql, tmp_path / name).rows == 10_050
        db.load(tmp_path / "t.parquet", "t")
        same = f"select count(*) from ({sql}) s join t using (n, price, b)"
        assert (
            db.query(
                f"{same} where s.more = t.more::jsonb and s.day is not distinct from t.day"
            ).scalar()
            == 10_050
        )
        with pytest.raises(QueryRejected, match="division by zero"):
            db.export(f"{sql} where 1 / (10040 - n) < 2", tmp_path / "late.csv")
        with pytest.raises(DeadlineExceeded):
            db.export("select pg_sleep(9)::text", tmp_path / "late.csv", timeout=0.5)
        assert db.query("select 1").scalar() == 1
    assert names(tmp_path) == ["t.csv", "t.jsonl", "t.parquet"]


def test_columns_widen_as_rows_of_other_types_come(tmp_path):
    parts = [
        [(None, 1, Decimal("1.5"), None)],
        [(1, 1, None, [1])],
        [(2, 1.5, Decimal("1000.25"), None)],
        [(3, None, Decimal(7), [2])],
    ]
    path = tmp_path / "t.parquet"
    export([Table("abcd", rows) for rows in parts], Target(path), form_of(path))
    assert list(read(path).rows) == [
        (None, 1.0, Decimal("1.50"), None),
        (1, 1.0, None, [1]),
        (2, 1.5, Decimal("1000.25"), None),
        (3, None, Decimal("7.00"), [2]),
    ]
    mixed = [Table("a", [(2**60 + 1,)]), Table("a", [(0.5,)])]
    with pytest.raises(UsageError, match="'a' has values of two types, double and int64"):
        export(mixed, Target(path, overwrite=True), form_of(path))
    with pytest.raises(UsageError, match="two types"):
        export(
            [Table("a", [(1,)]), Table("a", [("x",)])], Target(path, overwrite=True), form_of(path)
        )
    assert len(list(read(path).rows)) == 4
    assert names(tmp_path) == ["t.parquet"]


def test_an_arrow_result_is_written_part_by_part(tmp_path):
    result = ArrowResult(pa.table({"n": range(250_000)}))
    assert result.to_csv(tmp_path / "n.csv").rows == 250_000
    assert result.to_parquet(tmp_path / "n.parquet").rows == 250_000
    assert result._made is None
    assert sum(1 for _ in read(tmp_path / "n.parquet").rows) == 250_000


def test_a_file_that_is_there_is_refused_before_the_query_is_run(tmp_path, db):
    path = tmp_path / "t.csv"
    path.write_text("mine")
    with pytest.raises(FileExists, match=r"t\.csv exists") as caught:
        db.export("select * from missing", path)
    assert "overwrite=True" in caught.value.hint
    with pytest.raises(NotFoundError):
        db.export("select * from missing", path, overwrite=True)
    assert path.read_text() == "mine"
    path.chmod(0o640)
    db.export("select 1 as n", path, overwrite=True)
    assert path.read_text() == "n\n1\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert names(tmp_path) == ["t.csv"]


def test_a_file_that_comes_meanwhile_is_not_replaced(tmp_path):
    path = tmp_path / "t.csv"

    def parts():
        yield Table("a", [(1,)])
        path.write_text("mine")

    with pytest.raises(FileExists):
        export(parts(), Target(path), form_of(path))
    assert path.read_text() == "mine"
    assert names(tmp_path) == ["t.csv"]


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.jsonl", "t.parquet"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, UsageError("no", service="db", hint="x")])
def test_nothing_is_left_of_an_export_that_breaks_off(tmp_path, name, error):
    def parts():
        yield Table("a", [(1,)] * 1000)
        raise error

    with pytest.raises(type(error) if isinstance(error, Exception) else error):
        export(parts(), Target(tmp_path / name), form_of(name))
    assert names(tmp_path) == []


@pytest.mark.parametrize("kind", ["db", "duck"])
def test_the_time_out_stops_an_export_and_leaves_nothing(tmp_path, request, kind):
    sql = ENDLESS if kind == "db" else "select range, 'a text' from range(10000000000)"
    with pytest.raises(DeadlineExceeded) as caught:
        request.getfixturevalue(kind).export(sql, tmp_path / "n.csv", timeout=0.3)
    assert "it had 0.3 s: give it longer with timeout=0.6" in caught.value.hint
    assert names(tmp_path) == []
    assert request.getfixturevalue(kind).query("select 1").scalar() == 1


@pytest.mark.parametrize("kind", ["db", "duck"])
def test_the_time_is_that_of_the_whole_where_each_part_comes_soon(request, kind):
    class Late(Deadline):
        __slots__ = ()
        is_over = False

        @property
        def expired(self):
            return self.is_over

    numbers = NUMBERS if kind == "db" else "select range as n from range(10000000)"
    executor = request.getfixturevalue(kind)
    for arrow in (False, True):
        Late.is_over = False
        parts = executor._chunks(scan(numbers), {}, 10, Watch(Late(600)), arrow=arrow)
        with closing(parts):
            assert len(next(part for part in parts if part)) == 10
            Late.is_over = True  # as what was done with the part took that long
            with pytest.raises(DeadlineExceeded) as caught:
                next(parts)
        assert "timeout=" in caught.value.hint


@contextmanager
def largest_file(size):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.json", "t.parquet"])
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, name):
    table = Table(["a", "b"], [(n, os.urandom(40).hex()) for n in range(20_000)])
    write = {".json": table.to_json, ".parquet": table.to_parquet}.get(
        Path(name).suffix, table.to_csv
    )
    with largest_file(100_000), pytest.raises(UnavailableError, match="nothing of it is kept"):
        write(tmp_path / name)
    assert names(tmp_path) == []


def test_paths_that_are_no_new_file_are_refused(tmp_path, db):
    table = Table("a", [(1,)])
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(IsADirectory):
        table.to_csv(tmp_path / "folder.csv", overwrite=True)
    with pytest.raises(FileNotFound, match="there is no folder"):
        table.to_csv(tmp_path / "no" / "t.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(UsageError, match="no regular file"):
        table.to_csv(tmp_path / "pipe.csv", overwrite=True)
    for folder in (".agentnb", ".git"):
        (tmp_path / folder).mkdir()
        with pytest.raises(UsageError, match=f"lies in {folder}, which is not written to"):
            db.export("select 1", tmp_path / folder / "t.csv")
    for strange in ("", "a\0b.csv", 7):
        with pytest.raises(UsageError):
            table.to_csv(strange)
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    with pytest.raises(UsageError):
        table.to_csv(tmp_path / "loop.csv", overwrite=True)
    assert not list(tmp_path.rglob("*.part"))


def test_a_home_of_any_name_is_not_written_to_and_a_project_as_the_home_is(tmp_path):
    table = Table("a", [(1,)])
    home = ensure_home(tmp_path / "mine")
    (home / "logs").mkdir()
    (tmp_path / "link").symlink_to(home)
    for folder in (home, home / "logs", tmp_path / "link"):
        for write, end in ((table.to_csv, "csv"), (table.to_json, "json")):
            with pytest.raises(UsageError, match="lies in the home of agentnb"):
                write(folder / f"t.{end}")
    project = tmp_path / "project"
    project.mkdir(mode=0o700)
    (project / "a.py").touch()
    ensure_home(project)
    assert table.to_csv(project / "t.csv").rows == 1
    assert not list(home.rglob("t.*"))


def test_a_link_stays_and_the_file_behind_it_is_replaced(tmp_path):
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("real.csv")
    (tmp_path / ".agentnb").mkdir()
    (tmp_path / "home.csv").symlink_to(tmp_path / ".agentnb" / "t.csv")
    table = Table("a", [(1,)])
    with pytest.raises(FileExists):
        table.to_csv(tmp_path / "link.csv")
    table.to_csv(tmp_path / "link.csv", overwrite=True)
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() == "a\n1\n"
    with pytest.raises(UsageError, match=r"lies in \.agentnb"):
        table.to_csv(tmp_path / "home.csv", overwrite=True)


def test_the_end_of_the_name_is_a_format_that_there_is(tmp_path, db):
    for name in ("t.xlsx", "t", "t.csv.zip", ".csv"[1:]):
        with pytest.raises(UsageError, match=r"must end in \.csv, \.tsv, .* or \.parquet"):
            db.export("select * from missing", tmp_path / name)
    with pytest.raises(UsageError, match=r"must end in \.parquet"):
        Table("a", [(1,)]).to_parquet(tmp_path / "t.csv")
    with pytest.raises(UsageError, match="no effect"):
        db.export("select 1", tmp_path / "t.json", spreadsheet=True)
    with pytest.raises(UsageError, match="separator must be one character"):
        Table("a", [(1,)]).to_csv(tmp_path / "t.csv", separator=", ")
    assert names(tmp_path) == []


def test_only_what_reads_is_exported(tmp_path, db):
    db.execute("create table if not exists kept (n integer)")
    with pytest.raises(UsageError, match="only a query is exported, got INSERT"):
        db.export("insert into kept values (1) returning n", tmp_path / "t.csv")
    assert db.query("select count(*) from kept").scalar() == 0
    with pytest.raises(UsageError, match="no columns"):
        db.execute("insert into kept values (1)").to_csv(tmp_path / "t.csv")
    assert names(tmp_path) == []


def test_a_preview_is_never_written_and_a_limit_is_told(tmp_path, db):
    cut = db.query(NUMBERS, preview=5)
    assert isinstance(cut, Preview)
    for write in (cut.to_csv, cut.to_parquet, cut.to_json):
        with pytest.raises(UsageError, match="cut to 5 rows"):
            write(
                tmp_path / {"to_csv": "a.csv", "to_json": "a.json"}.get(write.__name__, "a.parquet")
            )
    with pytest.raises(UsageError, match="cut to 5 rows"):
        cut.to_clipboard()
    assert names(tmp_path) == []
    found = db.query(NUMBERS, limit=5).to_csv(tmp_path / "a.csv")
    assert found.notes == ("limited to 5 rows as asked; there are more",)


def test_a_transaction_exports_what_it_has_written(tmp_path, db):
    with db.transaction() as tx:
        tx.execute("create table inside as select 42 as n")
        assert tx.export("select n from inside", tmp_path / "n.csv").path.read_text() == "n\n42\n"
        tx.rollback()


def test_an_awaited_export_writes_the_same(tmp_path, db):
    found = asyncio.run(db.aexport("select 1 as n", tmp_path / "n.csv"))
    assert found.path.read_text() == "n\n1\n"


def test_without_pyarrow_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("agentnb.core.extras.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="a Parquet file needs pyarrow") as caught:
        Table("a", [(1,)]).to_parquet(tmp_path / "t.parquet")
    assert "install pyarrow" in caught.value.hint
    assert Table("a", [(1,)]).to_csv(tmp_path / "t.csv").rows == 1
    assert names(tmp_path) == ["t.csv"]


def test_the_clipboard_has_tab_separated_rows_and_a_button():
    result = Result(["a<b", "t"], [(1, "</textarea><script>x()</script>"), (2, "=1+1")])
    found = result.to_clipboard()
    assert found.text == "a<b\tt\n1\t</textarea><script>x()</script>\n2\t'=1+1\n"
    html = found._repr_html_()
    assert "<script" not in html
    assert "Copy 2 rows</button>" in html
    assert "1 text begins with &#x27; now" in html
    assert repr(found).startswith("2 rows to copy: a notebook's page has the button")
    with pytest.raises(UsageError, match=r"takes 1\.0 MB at most"):
        Table("a", [("x" * 1000,)] * 1001).to_clipboard()
