from __future__ import annotations

import datetime as dt
from types import SimpleNamespace

import pytest

from agentnb.core.db.render import render
from agentnb.core.db.text import scan, split
from agentnb.core.errors import UsageError


def names(sql):
    return [bind.name for bind in scan(sql).binds]


def rendered(sql, params=None, style="qmark", **options):
    return render(scan(sql), params or {}, style, lambda value: value, **options)


@pytest.mark.parametrize(
    "sql",
    [
        "select ':no'",
        "select 'it''s :no'",
        r"select E'a\':no' from t",
        r"select e'\\' || ':no'",
        "select $$ :no; $$",
        "select $body$ $$ :no $body$",
        'select ":no" from t',
        'select "a "":no" from t',
        "select `:no` from t",
        "select 1 -- :no",
        "select 1 /* :no \n :no */",
        "select x::text, y::int[] from t",
        "select a[1:n] from t",
        "select a[:n] from t",
        "select (a)[1][:n] from t",
        "select json_object('a':b, k:v)",
        "select x := 1",
        "select '10:30', 12:30",
        "select '{\"a\":1,\"b\":[2]}'::jsonb -> 'a'",
    ],
)
def test_a_colon_that_binds_nothing_is_left_alone(sql):
    assert names(sql) == []
    assert rendered(sql) == (sql, None)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select :a", ["a"]),
        ("select :a::text, ':b', :c", ["a", "c"]),
        ("select (:a)", ["a"]),
        ("select x=:a from t where y>:b", ["a", "b"]),
        ("select -:a, 1+:b", ["a", "b"]),
        ("select array[:a, :b]", ["a", "b"]),
        ("select :task.id, :task.owner.name", ["task.id", "task.owner.name"]),
        ("select 'a' /* :no */ || :a -- :no", ["a"]),
        ("select * from t limit :n\noffset :m", ["n", "m"]),
        ("select $1 || :a", ["a"]),
        ("select data -> 'x' ->> :key, data #> '{a,b}' from t", ["key"]),
        ("select somee'x\\' , :a", ["a"]),
    ],
)
def test_names_are_found_where_a_value_may_stand(sql, expected):
    assert names(sql) == expected


def test_a_text_is_split_at_semicolons_that_end_a_statement():
    found = split("select ';' ; select \";\" from t; select $$;$$; -- ;\n select 4 /* ; */")
    assert [one.sql for one in found] == [
        "select ';'",
        'select ";" from t',
        "select $$;$$",
        "-- ;\n select 4 /* ; */",
    ]


def test_statements_know_their_number_and_their_line():
    found = split("select 1;\n\nselect\n  2;\nselect 3; select 4")
    assert [(one.number, one.line) for one in found] == [(1, 1), (2, 3), (3, 5), (4, 5)]


def test_empty_statements_and_comments_alone_are_no_statements():
    assert [one.sql for one in split(";; select 1 ;;\n-- end\n/* end */ ;")] == ["select 1"]
    assert split("  -- nothing\n") == ()


def test_binds_keep_their_place_in_a_later_statement():
    second = split("select 1;\n  select :a, 2, :b")[1]
    assert render(second, {"a": 5, "b": 6}, "qmark", lambda v: v) == ("select ?, 2, ?", (5, 6))


def test_a_trigger_keeps_the_semicolons_of_its_body():
    trigger = """create temp trigger t after update on task when new.n > 1 begin
        update task set n = case when n > 5 then 5 else n end;
        insert into log values (new.id);
    end"""
    assert [one.sql for one in split(f"{trigger}; select 1")] == [trigger, "select 1"]


def test_a_function_with_an_sql_body_is_one_statement():
    function = "create function f() returns int begin atomic select 1; select 2; end"
    assert [one.sql for one in split(f"{function}; select 3")] == [function, "select 3"]


def test_begin_and_commit_are_statements_of_their_own():
    assert len(split("begin; update t set a = 1; commit; end")) == 4


def test_a_word_like_begin_in_another_statement_opens_no_block():
    assert len(split("create table trigger_log (begin_at text); select 1; select 2")) == 3


@pytest.mark.parametrize(
    ("sql", "reads"),
    [
        ("select 1", True),
        ("-- a note\n select 1", True),
        ("(select 1) union (select 2)", True),
        ("with x as (select 1) select * from x", True),
        ("values (1)", True),
        ("select 'insert into t' from t", True),
        ("with x as (delete from t returning id) select * from x", False),
        ("select * into copy from t", False),
        ("insert into t select 1", False),
        ("pragma user_version", False),
    ],
)
def test_what_only_reads_is_told_by_its_words(sql, reads):
    assert scan(sql).reads is reads


def test_one_statement_is_asked_for_and_several_are_an_error_with_a_hint():
    assert scan("select 1;").sql == "select 1"
    with pytest.raises(UsageError, match="2 statements") as caught:
        scan("select 1; select 2")
    assert "script" in caught.value.hint
    with pytest.raises(UsageError, match="no SQL"):
        scan(" -- nothing\n")


def test_an_unbound_name_is_an_error_that_names_the_nearest():
    with pytest.raises(UsageError, match="nothing is bound to :statsu") as caught:
        rendered("select :statsu", {"status": 1})
    assert caught.value.hint == "did you mean status?"


def test_attributes_and_items_are_bound():
    task = SimpleNamespace(id=7, owner={"name": "ada"})
    sql, values = rendered("select :task.id, :task.owner.name", {"task": task})
    assert (sql, values) == ("select ?, ?", (7, "ada"))
    with pytest.raises(UsageError, match="SimpleNamespace has no 'idd'"):
        rendered("select :task.idd", {"task": task})


@pytest.mark.parametrize(
    "values",
    [[1, 2], (1, 2), range(1, 3), {1, 2}, frozenset([1, 2])],
    ids=["list", "tuple", "range", "set", "frozenset"],
)
def test_a_list_after_in_becomes_as_many_values_as_it_has(values):
    for sql in ("x in (:ids)", "x in :ids", "x IN ( :ids )", "x not in(:ids)"):
        out, bound = rendered(f"select * from t where {sql}", {"ids": values})
        assert out.count("?") == 2
        assert out.count("(") == out.count(")") == 1
        assert sorted(bound) == [1, 2]


def test_arrays_and_series_after_in_become_python_values():
    numpy = pytest.importorskip("numpy")
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    for values in (
        numpy.array([1, 2]),
        pandas.Series([1, 2]),
        pandas.Index([1, 2]),
        polars.Series([1, 2]),
    ):
        _, bound = rendered("select 1 where 1 in (:ids)", {"ids": values})
        assert bound == (1, 2)
        assert [type(value) for value in bound] == [int, int]


def test_scalars_and_arrays_of_numpy_are_bound_as_python_values():
    numpy = pytest.importorskip("numpy")
    for value, expected in (
        (numpy.int64(5), 5),
        (numpy.float32(0.5), 0.5),
        (numpy.bool_(1), True),
        (numpy.str_("x"), "x"),
        (numpy.datetime64("2026-01-31T10:00:00.000000000"), dt.datetime(2026, 1, 31, 10)),
        (numpy.array([5]), [5]),
        (numpy.array([1, 2]), [1, 2]),
    ):
        _, bound = rendered("select :x", {"x": value})
        assert bound == (expected,)
        assert type(bound[0]) is type(expected)


def test_times_in_an_array_after_in_stay_times():
    numpy = pytest.importorskip("numpy")
    times = numpy.array(["2026-01-31"], dtype="datetime64[ns]")
    _, bound = rendered("select 1 where x in (:ts)", {"ts": times})
    assert bound == (dt.datetime(2026, 1, 31),)


def test_a_string_or_a_single_value_after_in_stays_one_value():
    assert rendered("select 1 where x in (:s)", {"s": "abc"})[1] == ("abc",)
    assert rendered("select 1 where x in (:s)", {"s": 5})[1] == (5,)


def test_an_empty_list_is_valid_sql_in_either_form():
    for sql in ("x in (:ids)", "x in :ids", "x in ( :ids )"):
        out, bound = rendered(f"select {sql} and y = :y", {"ids": [], "y": 1})
        assert out == "select x in (select null where 1 = 0) and y = ?"
        assert bound == (1,)


def test_an_empty_list_is_written_as_the_database_needs_it():
    empty = {"in": "= any('{}')", "not in": "<> all('{}')"}
    out, bound = rendered("select x not in (:ids), x in :ids", {"ids": []}, no_values=empty)
    assert (out, bound) == ("select x <> all('{}'), x = any('{}')", None)


def test_frames_are_not_values():
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    for frame in (pandas.DataFrame({"a": [1]}), polars.DataFrame({"a": [1]})):
        with pytest.raises(UsageError, match="DataFrame, which cannot be bound") as caught:
            rendered("select :frame", {"frame": frame})
        assert "load" in caught.value.hint


def test_parameters_that_have_no_names_are_an_error():
    with pytest.raises(UsageError, match="params must be a dictionary, got tuple"):
        rendered("select :a", (1,))


def test_a_percent_sign_is_doubled_only_for_drivers_that_read_it():
    sql = "select '50%', x % 2 from t where y like :p || '%'"
    assert rendered(sql, {"p": "a"})[0] == sql.replace(":p", "?")
    out, bound = rendered(sql, {"p": "a"}, "pyformat")
    (key,) = bound
    assert out == sql.replace("%", "%%").replace(":p", f"%({key})s")
    assert out % {key: "a"}
    assert rendered("select '50%'", style="pyformat") == ("select '50%%'", None)


def test_names_that_look_alike_keep_values_of_their_own():
    params = {"a": {"b": 1}, "a__b": 2, "ids": [3, 4], "ids__0": 5, "p0": 6, "p0_0": 7}
    sql = "select :a.b, :a__b, :ids__0, :p0, :p0_0 where 1 in (:ids)"
    for style in ("pyformat", "named"):
        out, bound = rendered(sql, params, style)
        shown = out % bound if style == "pyformat" else out
        if style == "named":
            for key in sorted(bound, key=len, reverse=True):
                shown = shown.replace(f":{key}", str(bound[key]))
        assert shown == "select 1, 2, 5, 6, 7 where 1 in (3, 4)"


def test_a_name_that_comes_twice_is_one_parameter_where_parameters_have_names():
    _, bound = rendered("select :a is null or x = :a", {"a": 1}, "pyformat")
    assert list(bound.values()) == [1]


def test_every_style_of_parameters_is_written():
    expected = {
        "qmark": ("select ?", (1,)),
        "format": ("select %s", (1,)),
        "numeric": ("select :1", (1,)),
    }
    for style, result in expected.items():
        assert rendered("select :a", {"a": 1}, style) == result


def test_scanning_a_long_text_takes_time_in_proportion_to_it():
    sql = "select " + ", ".join(f"'{i}' as \"c{i}\" /* {i} */" for i in range(20_000))
    assert scan(sql).binds == ()
    assert scan("select '" + "a" * 200_000).sql.startswith("select")
    assert len(split("(" * 50_000 + ";" * 10)) == 1
