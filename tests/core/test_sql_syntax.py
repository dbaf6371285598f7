"""Splitting and binding, by the rules of each database, compared with the database itself."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentnb.core.db import Database
from agentnb.core.db.render import render
from agentnb.core.db.syntax import MYSQL, POSTGRES, SQLITE, syntax_of
from agentnb.core.db.text import scan, split, tokens
from agentnb.core.errors import UsageError

BOUNDED = settings(max_examples=200, deadline=None, derandomize=True)
TRIGGER = "create trigger g after insert on t begin insert into u values (new.start, new.end); end"
BODIES = [
    TRIGGER,
    """create temp trigger if not exists g after update on t when new.end > 1 begin
    update t set a = case when a > 5 then 5 else a end; select 1; end""",
    "explain query plan create trigger g after delete on t begin select 1; end",
    "create table booking (start text, end text)",
    "select case 1 when 1 then 2 end",
    "begin",
    "end",
]


def parts(sql, kind):
    return [one.sql for one in split(sql, syntax_of(kind))]


@pytest.mark.parametrize("body", BODIES)
def test_sqlite_ends_a_statement_where_sqlite_does(body):
    assert parts(f"{body}; select 2", "sqlite") == [body, "select 2"]
    assert sqlite3.complete_statement(f"{body};")


def test_a_trigger_with_a_column_named_end_runs_on_sqlite():
    with Database("sqlite://") as db:
        db.script(
            "create table t (start int, end int); create table u (a, b);"
            f"{TRIGGER}; insert into t values (1, 2)"
        )
        assert db.query("select * from u").rows == [(1, 2)]
        db.execute(TRIGGER.replace("trigger g", "trigger h"))


FRAGMENTS = st.sampled_from(
    [
        *(
            "select",
            "create",
            "trigger",
            "temp",
            "begin",
            "end",
            "case",
            "explain",
            "new",
            "x",
            ":a",
        ),
        *(
            "'",
            "''",
            '"',
            '""',
            "`",
            "[",
            "]",
            "--",
            "/*",
            "*/",
            ";",
            ";",
            " ",
            "\n",
            ".",
            "1",
            "$a",
        ),
        *("$$", "$b$", "E'", "\\", "\\'", "é", "#", "(", ")", "::"),
    ]
)
TEXTS = st.lists(FRAGMENTS, max_size=25).map("".join)


@given(TEXTS)
@settings(BOUNDED, max_examples=2000)
def test_sqlite_agrees_that_each_statement_is_complete_and_no_shorter_one_is(text):
    found = split(text, SQLITE)
    for one in found[:-1]:
        assert sqlite3.complete_statement(f"{one.sql};")
    for one in found:
        if sqlite3.complete_statement(one.sql):  # it would have been cut there
            assert split(one.sql, SQLITE)[0].sql == one.sql.rstrip("; \n")


@given(TEXTS)
@BOUNDED
def test_no_character_is_lost_and_tokens_cover_the_text(text):
    for kind in ("sqlite", "postgresql", "duckdb", "mysql", "oracle"):
        syntax = syntax_of(kind)
        assert "".join(token for _, token, _ in tokens(text, syntax)) == text
        try:
            found = split(text, syntax)
        except UsageError:
            continue
        at = 0
        for one in found:
            at = text.index(one.sql, at) + len(one.sql)
            for bind in one.binds:
                assert one.sql[bind.start : bind.end] == f":{bind.name}"


QUOTED = {
    "sqlite": ["'{}'", '"{}"', "`{}`", "[{}]", "/* {} */", "-- {}\n"],
    "postgresql": [
        "'{}'",
        '"{}"',
        "E'{}'",
        "$$ {} $$",
        "$é1$ {} $é1$",
        "/* /* */ {} */",
        "-- {}\n",
    ],
    "duckdb": ["'{}'", '"{}"', "E'{}'", "$$ {} $$", "/* /* */ {} */", "-- {}\n"],
    "mysql": [
        "'{}'",
        '"{}"',
        "`{}`",
        "'\\' {}'",
        '"\\" {}"',
        "# {}\n",
        "-- {}\n",
        "/* {} */",
        "/*! {} */",
    ],
    "oracle": ["'{}'", '"{}"', "'\\'||' {}'", "/* {} */", "-- {}\n"],
}


@pytest.mark.parametrize("kind", QUOTED)
@given(data=st.data())
@BOUNDED
def test_names_and_semicolons_inside_quotes_are_never_touched(kind, data):
    inside = st.text(st.sampled_from("abc:;x$ ?#%-"), max_size=12)
    places = st.tuples(st.sampled_from(QUOTED[kind]), inside.map(lambda text: f"{text} :no;"))
    pieces = data.draw(st.lists(places, min_size=1, max_size=5))
    texts = [form.replace("{}", text.replace("$$", "")) for form, text in pieces]
    sql = "select :yes, " + " , ".join(texts)
    (one,) = split(sql, syntax_of(kind))
    assert [bind.name for bind in one.binds] == ["yes"]
    rendered, values = render(one, {"yes": 5}, "format", lambda value: value)
    assert values == (5,)
    assert rendered.replace("%%", "%") == one.sql.replace(":yes", "%s", 1)


@pytest.mark.parametrize(
    ("sql", "kind", "number"),
    [
        ("select 1 /* a /* b; */ ; */; select 2", "postgresql", 2),
        ("select 1 /* a /* b; */ ; select 2 */", "sqlite", 2),
        (r"select E'a\';b'; select 2", "postgresql", 2),
        ("select E'a'\n  'b\\';c'; select 2", "postgresql", 2),
        (r"select 'a\'; select 2", "postgresql", 2),
        (r"select 'a\'; select 2", "oracle", 2),
        (r"select 'a\'; select 2'", "mysql", 1),
        ("select $q$ ; $$ ; $q$; select 2", "postgresql", 2),
        ("select a$$;$$, 1", "postgresql", 2),
        ("select 1 -- a\r; select 2", "postgresql", 2),
        ("select array[f('];')]; select 2", "postgresql", 2),
        ("select [a;b], `c;d`; select 2", "sqlite", 2),
        ("create rule r as on insert to t do also (select 1; select 2); select 3", "postgresql", 2),
        (
            """create function f(begin int) returns int begin atomic select 1 as end;
            select x.end from x; select case when 1=1 then 2 end; end; select 3""",
            "postgresql",
            2,
        ),
        ("create or replace procedure p() begin atomic select 1; end; select 2", "postgresql", 2),
        (
            "create or replace trigger g before insert on t execute function f(); select 2",
            "postgresql",
            2,
        ),
        ("select 1 -- ; 2\n; select 5--1; select 2", "mysql", 3),
        ("select 1 # ;\n; select 2", "mysql", 2),
        ("select 1 # 2; select 2", "postgresql", 2),
    ],
)
def test_each_database_has_rules_of_its_own(sql, kind, number):
    assert len(parts(sql, kind)) == number


def test_a_database_that_is_not_known_refuses_what_others_disagree_on():
    unknown = syntax_of("snowflake")
    assert [one.sql for one in split("begin; select 'a\\b'; begin transaction; commit", unknown)]
    for text, message in (
        (r"select 'a\'; select 2'", "may end there"),
        ("create procedure p() as begin select 1; end", "does not know where"),
        ("begin select 1; end", "does not know where"),
        ("declare x int; begin x := 1; end", "does not know where"),
    ):
        with pytest.raises(UsageError, match=message.replace("may end", ".*")) as caught:
            split(text, unknown)
        assert caught.value.hint


def test_a_mark_of_the_driver_is_refused_where_values_would_be_bound_to_it():
    for text in ("select ?1, :a", "select ?", "select @x, :a", "select $x"):
        with pytest.raises(UsageError, match="bound by name, not to"):
            render(scan(text, SQLITE), {"a": 1}, "qmark", str)
    one = scan("select data ? 'a', $1, :a", POSTGRES)
    assert render(one, {"a": 1}, "pyformat", int)[0] == "select data ? 'a', $1, %(p0)s"
    with pytest.raises(UsageError, match="style 'strange'"):
        render(one, {"a": 1}, "strange", int)


def test_numbered_dollars_repeat_for_a_name_that_repeats():
    one = scan("select :a, :b, :a where 1 in (:l)", syntax_of("duckdb"))
    values = {"a": 5, "b": 6, "l": [7, 8]}
    assert render(one, values, "numeric_dollar", int) == (
        "select $1, $2, $1 where 1 in ($3, $4)",
        (5, 6, 7, 8),
    )


def test_sqlite_binds_a_name_right_behind_a_word():
    with Database("sqlite://") as db:
        assert db.query("select 1 limit:n", {"n": 1}).rows == [(1,)]


def test_mysql_delimiters_end_statements_and_are_none():
    text = "delimiter $$\nselect 'a$$', `b$$` $$ create procedure p() begin select 1; end$$\n"
    text += "DELIMITER ;\nselect 2; select 3"
    assert [one.sql for one in split(text, MYSQL)] == [
        "select 'a$$', `b$$`",
        "create procedure p() begin select 1; end",
        "select 2",
        "select 3",
    ]


INSIDE = st.text(st.sampled_from("ab:;x'\"$ ?\\-/*%\n"), max_size=10)
VALUES = st.one_of(
    INSIDE.map(lambda text: "'" + text.replace("'", "''") + "'"),
    INSIDE.map(lambda text: "E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"),
    INSIDE.map(lambda text: "E'a'\n  '" + text.replace("\\", "\\\\").replace("'", "''") + "'"),
    INSIDE.map(lambda text: "$q$" + text + "$q$"),
    INSIDE.map(lambda text: '1 as "x' + text.replace('"', '""') + '"'),
    INSIDE.map(lambda text: "1 /* " + text.replace("/", "").replace("*", "") + " /* ; */ */"),
    INSIDE.map(lambda text: "1 -- " + text.replace("\n", "") + "\n"),
)


@pytest.fixture(scope="module")
def raw(postgres_url):
    import psycopg

    with psycopg.connect(postgres_url, autocommit=True, cursor_factory=psycopg.ClientCursor) as one:
        yield one


@given(values=st.lists(VALUES, min_size=1, max_size=5))
@BOUNDED
def test_postgresql_runs_the_pieces_as_it_runs_the_whole(raw, values):
    text = ";".join(f"select {value}" for value in values)
    cursor = raw.execute(text.encode())
    whole = [cursor.fetchall()]
    while cursor.nextset():
        whole.append(cursor.fetchall())
    pieces = split(text, POSTGRES)
    assert all(one.binds == () for one in pieces)
    assert [raw.execute(one.sql.encode()).fetchall() for one in pieces] == whole


@given(value=VALUES, bound=INSIDE)
@BOUNDED
def test_postgresql_gets_a_bound_value_and_nothing_else_is_replaced(raw, value, bound):
    text = f"select :v, {value}"
    sql, params = render(scan(text, POSTGRES), {"v": bound}, "pyformat", lambda value: value)
    alone = raw.execute(f"select {value}".encode()).fetchone()
    assert raw.execute(sql, params).fetchone() == (bound, *alone)


@given(value=INSIDE, bound=INSIDE)
@BOUNDED
def test_sqlite_gets_a_bound_value_and_nothing_else_is_replaced(value, bound):
    quoted = value.replace("'", "''")
    form, params = render(
        scan(f"select '{quoted}', :v -- {value!r}", SQLITE), {"v": bound}, "qmark", str
    )
    with closing(sqlite3.connect(":memory:")) as one:
        assert one.execute(form, params).fetchone() == (value, bound)
