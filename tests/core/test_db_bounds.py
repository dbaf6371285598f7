"""How many rows a result has: all, those that were asked for, or those of a preview."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentnb.core.db import Database
from agentnb.core.db.bounds import Bounds, fetch_all
from agentnb.core.db.effects import calls
from agentnb.core.errors import UsageError

MANY = 5_000
ALL = "select i, 'row ' || i as name from big order by i"


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request, tmp_path):
    url = f"sqlite:///{tmp_path / 'a.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("fresh_url")
    with Database(url) as database:
        database.load([{"i": i} for i in range(MANY)], "big")
        yield database


@pytest.fixture
def server(fresh_url):
    with Database(fresh_url) as database:
        database.load([{"i": i} for i in range(MANY)], "big")
        database.execute("create table archived (i bigint)")
        database.execute(
            "create function archive(i bigint) returns bigint language sql as "
            "'insert into archived values (i) returning i'"
        )
        yield database


def test_every_python_call_returns_every_row(db):
    found = [
        db.query(ALL),
        db.execute(ALL),
        db.script(ALL)[0],
        db.query(ALL, arrow=True),
        asyncio.run(db.aquery(ALL)),
        asyncio.run(db.aexecute(ALL)),
    ]
    with db.transaction() as tx:
        found += [tx.query(ALL), tx.script(ALL)[0], tx.query(ALL, arrow=True)]
    for result in found:
        assert (len(result), result.rowcount, result.truncated) == (MANY, MANY, False)
        assert len(result.df()) == len(result.pl()) == len(result.arrow()) == MANY
        assert result.column("i") == list(range(MANY))


def test_a_result_above_its_bytes_is_an_error_that_says_what_to_do(db):
    for call in (
        lambda: db.query(ALL, max_bytes=100_000),
        lambda: db.execute(ALL, max_bytes=100_000),
        lambda: db.script(ALL, max_bytes=100_000),
        lambda: db.query(ALL, max_bytes=10_000, arrow=True),
        lambda: asyncio.run(db.aquery(ALL, max_bytes=100_000)),
        lambda: asyncio.run(db.aexecute(ALL, max_bytes=100_000)),
    ):
        with pytest.raises(UsageError, match=r"larger than 100? kB: stopped after") as caught:
            call()
        assert "stream" in caught.value.hint
        assert "limit=" in caught.value.hint
    assert len(db.query(ALL)) == MANY
    with pytest.raises(UsageError, match=r"max_bytes must be 0 to [\d,]+, got -1"):
        db.query(ALL, max_bytes=-1)


def test_the_bound_of_the_settings_holds_without_a_word(tmp_path):
    with Database(f"sqlite:///{tmp_path / 'a.db'}", max_bytes=10_000) as db:
        db.load([{"i": i} for i in range(MANY)], "big")
        with pytest.raises(UsageError, match="larger than 10 kB"):
            db.query("select i from big")
        with db.transaction() as tx, pytest.raises(UsageError, match="larger than 10 kB"):
            tx.query("select i from big")
        assert len(db.query("select i from big", max_bytes=10**6)) == MANY
        assert sum(len(part) for part in db.stream("select i from big")) == MANY


def test_what_a_statement_that_changed_rows_returns_is_never_refused(db):
    insert = f"insert into big select i + {MANY} from big returning i"
    assert len(db.query(insert, max_bytes=1000)) == MANY
    assert db.query("select count(*) from big").scalar() == 2 * MANY


def test_a_limit_that_was_asked_for_is_kept_and_its_result_can_be_used(db):
    result = db.query(ALL, limit=10)
    assert (len(result), result.truncated, len(result.df())) == (10, True, 10)
    assert "limited to 10 rows as asked; there are more" in repr(result)
    assert "as asked" in result._repr_html_()
    assert "as asked" in repr(db.query(ALL, limit=10, arrow=True))
    assert [len(part) for part in db.script(f"{ALL}; select 1 as one", limit=10)] == [10, 1]


def test_a_preview_that_was_cut_shows_rows_and_refuses_to_be_taken_for_all(db):
    cut = db.query(ALL, preview=100)
    assert "row 24" in repr(cut)
    assert "limited to 100 rows; there are more: x << SQL keeps them all" in repr(cut)
    assert "limited to 100 rows; there are more: x &lt;&lt; SQL" in cut._repr_html_()
    assert (cut.columns, cut.truncated, bool(cut)) == (("i", "name"), True, True)
    for use in (
        len,
        list,
        lambda r: r[0],
        lambda r: r[:1],
        lambda r: r.rows,
        lambda r: r.rowcount,
        lambda r: r.df(),
        lambda r: r.pl(),
        lambda r: r.arrow(),
        lambda r: r.dicts(),
        lambda r: r.column("i"),
        lambda r: r.scalar(),
        lambda r: r == r,  # noqa: PLR0124 - compares the rows
        lambda r: r.__arrow_c_stream__(),
        lambda r: db.load(r, "copy"),
    ):
        with pytest.raises(UsageError, match="cut to 100 rows for display") as caught:
            use(cut)
        assert caught.value.hint == "all rows: hub.db.query(SQL)"
    long = db.query(f"{ALL} -- {'long ' * 40}", preview=100)
    with pytest.raises(UsageError) as caught:
        len(long)
    assert caught.value.hint == "all rows: hub.db.query(SQL)"


@pytest.mark.parametrize(("preview", "cut"), [(MANY - 1, True), (MANY, False), (MANY + 1, False)])
def test_a_preview_that_holds_all_rows_is_a_result_like_any_other(db, preview, cut):
    found = db.query(ALL, preview=preview)
    assert found.truncated is cut
    if not cut:
        assert len(found.df()) == MANY


def test_the_smaller_of_a_limit_and_a_preview_decides(db):
    assert len(db.query(ALL, limit=10, preview=100)) == 10
    with pytest.raises(UsageError, match="cut to 10 rows"):
        len(db.query(ALL, limit=100, preview=10))


def test_a_preview_of_what_a_statement_changed_has_all_rows(db):
    insert = f"insert into big select i + {MANY} from big returning i"
    assert len(db.query(insert, preview=10)) == MANY
    assert len(db.query("with x as (select 1 as a) select a from x", preview=10)) == 1


def test_a_function_that_writes_runs_for_every_row_whatever_is_shown(server):
    shown = server.query("select archive(i) from big", preview=10)
    assert len(shown) == MANY
    limited = server.query("select archive(i) from big", limit=10)
    assert (len(limited), limited.truncated) == (10, True)
    assert server.query("select count(*) from archived").scalar() == 2 * MANY
    with server.transaction() as tx:
        tx.script("select archive(i) from big; select 1", preview=10)
    assert server.query("select count(*) from archived").scalar() == 3 * MANY


def test_a_quoted_or_qualified_function_that_writes_is_seen_too(server):
    server.execute('alter function archive(bigint) rename to "Archive It"')
    server.query('select public."Archive It"(i) from big', preview=10)
    assert server.query("select count(*) from archived").scalar() == MANY


@pytest.mark.parametrize("strength", ["update", "share", "no key update", "key share"])
def test_every_row_that_a_statement_locks_is_locked(server, strength):
    with (
        server.transaction() as tx,
        Database(server.access.backend.target.url.render_as_string(hide_password=False)) as other,
    ):
        shown = tx.query(f"select i from big for {strength}", preview=10)
        assert len(shown) == MANY
        free = "select count(*) from (select i from big for update skip locked) as free"
        assert other.query(free).scalar() == 0


def test_a_data_modifying_cte_runs_once_and_returns_all(server):
    sql = "with gone as (delete from big returning i) select i from gone"
    assert len(server.query(sql, preview=10)) == MANY
    assert server.query("select count(*) from big").scalar() == 0


def test_functions_that_only_read_leave_the_limit_in_the_statement(server):
    sql = "select upper('a'), random(), i from big, generate_series(1, 10000)"
    shown = server.query(sql, preview=10, timeout=5)  # all of it is 50 million rows
    assert shown.truncated


def test_a_result_without_rows_has_its_columns(server):
    assert server.query("select i, 1 as one from big where i < 0").columns == ("i", "one")
    assert server.query("select i as a, i as a from big where false").columns == ("a", "a_2")
    # Nothing runs a second time for them.
    assert server.query("select archive(i) from big where i < 0").columns == ("archive",)


def test_a_transaction_whose_result_was_too_large_goes_on(server):
    with server.transaction() as tx:
        tx.execute("insert into archived values (1)")
        with pytest.raises(UsageError, match="larger than"):
            tx.query("select repeat('x', 1000) as x from big", max_bytes=100_000)
        tx.execute("insert into archived values (2)")
    assert server.query("select count(*) from archived").scalar() == 2


LARGE = """
import resource, sys
from agentnb.core.db import Database
from agentnb.core.errors import UsageError
with Database(sys.argv[1], timeout=120) as db:
    db.query("select 1")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        db.query("select repeat(md5(i::text), 10) as a from generate_series(1, 1000000) i",
                 max_bytes=10_000_000)
    except UsageError as error:
        assert "larger than 10 MB" in str(error)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_the_rows_above_the_bound_never_come_into_memory(fresh_url):
    out = subprocess.check_output([sys.executable, "-c", LARGE, fresh_url], text=True)
    assert int(out) < 60_000  # all of it takes 350 megabytes


values = st.one_of(
    st.none(), st.integers(), st.floats(), st.text(max_size=3000), st.binary(max_size=3000)
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(rows=st.lists(st.tuples(values, values), max_size=60), limit=st.none() | st.integers(0, 70))
def test_what_is_fetched_is_the_beginning_and_never_above_its_bytes(rows, limit):
    def source():
        left = iter(rows)
        return lambda size: [row for _, row in zip(range(size), left, strict=False)]

    wanted = rows if limit is None else rows[: limit + 1]
    assert fetch_all(source(), Bounds(limit, None)) == wanted
    held = sum(sys.getsizeof(row) + sum(map(sys.getsizeof, row)) for row in wanted)
    assert fetch_all(source(), Bounds(limit, 16 * held + 1)) == wanted
    if wanted:
        with pytest.raises(UsageError):
            fetch_all(source(), Bounds(limit, 1))


@pytest.mark.parametrize(("sql", "names"), [
    ("select a from t where x in (1) and (y or z)", set()),
    ("select count(*), app.Archive (i) from t", {"count", "archive"}),
    ("select ' f(1) ', \"G\"(1) -- h(2)", {"G"}),
    ("with x as (select 1), y(a) as (select 2) select a from y", {"y"}),
    ("select $$ f(1) $$, g\n(1) /* h(1) */", {"g"}),
])  # fmt: skip
def test_the_functions_that_a_statement_calls_are_seen(sql, names):
    assert calls(sql) == names


@pytest.mark.parametrize("sql", [
    'select * from "Archiving"', "table further", "select a from further where a >= 0",
    "select archive/* all */(i) from big", "select archive -- all\n(i) from big",
])  # fmt: skip
def test_a_view_that_writes_runs_for_all_rows_of_a_displayed_line(server, sql):
    server.script(
        'create view "Archiving" as select archive(i) as a from big;'
        'create view further as select a from "Archiving"; create view plain as select i from big'
    )
    assert len(server.query(sql, preview=10)) == MANY
    assert server.query("select count(*) from archived").scalar() == MANY
    assert server.query("select * from plain", preview=10).truncated
    with server.transaction() as tx:
        assert len(tx.query(sql, limit=10, arrow=True)) == 10
    assert server.query("select count(*) from archived").scalar() == 2 * MANY


def test_a_view_counts_the_functions_that_come_with_the_server(server):
    server.script("create sequence s; create view numbered as select nextval('s') as n from big")
    assert len(server.query("select n from numbered", preview=10)) == MANY
    assert server.query("select last_value from s").scalar() == MANY
