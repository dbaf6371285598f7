"""%cache and %%cache on a real server: the embedded one of an empty project."""

from __future__ import annotations

import pytest
from IPython.core.completer import provisionalcompleter

from agentnb.core.db.result import Result
from agentnb.core.errors import NotFoundError, UsageError


@pytest.fixture
def cache(shell):
    return shell.user_ns["hub"].cache


@pytest.fixture
def counted(run, shell):
    """Run a cell that counts its runs; return its result and how often any has run."""
    runs = []
    shell.user_ns["count_run"] = lambda: runs.append(1)

    def run_cell(line, body):
        return run(f"%%cache {line}\ncount_run()\n{body}"), len(runs)

    return run_cell


# The verbs


def test_what_is_set_is_got(run):
    assert run('%cache set rates {"EUR": 1.1} --ttl 60') is None
    assert run("%cache get rates") == {"EUR": 1.1}
    assert 50 < run("%cache ttl rates") <= 60


def test_a_value_is_json_or_else_text_and_in_quotes_always_text(run):
    for written, value in {
        "5": 5,
        "true": True,
        "null": None,
        "hello": "hello",
        '"5"': "5",
        "'two words'": "two words",
        "NaN": "NaN",
        "[1,2]": [1, 2],
    }.items():
        run(f"%cache set it {written}")
        assert run("%cache get it") == value


def test_a_bound_value_is_stored_as_it_is(run, shell):
    shell.user_ns["answer"] = "5"
    run("%cache set it :answer")
    assert run("%cache get it") == "5"
    shell.user_ns["pair"] = (1, 2)
    run("%cache set it :pair")
    assert run("%cache get it") == (1, 2)
    assert run("%cache list it")[0].value == "<tuple>"
    shell.user_ns["pair"] = object()
    with pytest.raises(UsageError, match="cannot be stored: a value of type object"):
        run("%cache set it :pair")


def test_keys_are_listed_by_pattern_with_what_they_hold(run):
    run("%cache set user:1 ada\n%cache set user:2 bob\n%cache set rates 5")
    table = run("%cache list user:*")
    assert table.columns == ("key", "ttl", "bytes", "value")
    assert [column.kind for column in table.header] == [None, "duration", "size", None]
    assert [(row.key, row.bytes, row.value) for row in table] == [
        ("user:1", 3, "ada"),
        ("user:2", 3, "bob"),
    ]
    assert len(run("%cache list")) == 3


def test_an_empty_list_says_what_to_type(shown):
    assert "%cache set KEY VALUE" in shown("%cache list")
    assert "no key matches user:*" in shown("%cache list user:*")


def test_a_key_is_removed_and_then_missed_with_the_nearest_one_named(run, shown):
    run("%cache set rates 5")
    assert "did you mean rates?" in shown("%cache get rate")
    assert shown("%cache rm rates").endswith("rates: removed\n")
    for line in ("%cache get rates", "%cache ttl rates", "%cache rm rates"):
        with pytest.raises(NotFoundError, match="no key 'rates'"):
            run(line)


def test_a_tag_or_a_pattern_is_invalidated(run, cache):
    run("%cache set a 1 --tag prices\n%cache set b 2 --tag prices,eu\n%cache set c 3")
    assert "1 key removed" in run("%cache invalidate --tag eu")
    assert "1 key removed" in run("%cache invalidate --tag prices")
    assert "1 key removed" in run("%cache invalidate c*")
    assert cache.keys() == []


def test_many_keys_are_invalidated_only_with_yes(run, cache):
    cache.set("one", 1)
    with pytest.raises(UsageError, match="nothing was removed"):
        run("%cache invalidate *")
    for number in range(11):
        cache.set(f"user:{number}", number)
    with pytest.raises(UsageError, match="more than 10 keys"):
        run("%cache invalidate user:*")
    assert len(cache.keys()) == 12
    assert "11 keys removed" in run("%cache invalidate user:* --yes")
    assert "1 key removed" in run("%cache invalidate * --yes")


def test_invalidate_takes_a_pattern_or_a_tag(run):
    for line in ("%cache invalidate", "%cache invalidate a* --tag b"):
        with pytest.raises(UsageError, match="one of them"):
            run(line)


def test_the_bare_magic_counts_hits_and_misses(run):
    run("%cache set a 1\n%cache get a")
    with pytest.raises(NotFoundError):
        run("%cache get b")
    assert run("%cache").dicts() == [{"hits": 1, "misses": 1, "hit_ratio": 0.5, "keys": 1}]
    assert run("%cache stats").dicts() == run("%cache").dicts()


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("%cache gett a", "did you mean get?"),
        ("%cache set a 1 --tll 5", "did you mean --ttl?"),
        ("%cache set a 1 --ttl soon", "seconds"),
        ("%cache set a 1 --ttl 0", "--ttl must be greater than 0 s, got 0"),
        ('%cache set a {"b": }', "malformed JSON"),
        ("%cache set a", "%cache set KEY VALUE"),
        ("%cache set a two words", "takes KEY VALUE"),
        ("%%cache\n1", "takes KEY, not 0"),
        ("%%cache k --tll 5\n1", "did you mean --ttl?"),
        ("%%cache k --ttl -1\n1", "--ttl must be greater than 0 s, got -1"),
        ("%%cache set a 1\n1", "in a cell of its own: %cache set KEY VALUE"),
        ("%%cache k --on nothing\n1", "no variable 'nothing'"),
    ],
)
def test_a_mistake_is_told_with_what_would_be_right(shown, line, hint):
    said = shown(line)
    assert hint in said
    assert "cell KEY" not in said


def test_help_is_printed_for_the_line_and_for_the_cell(shown):
    for line in ("%cache help", "%cache --help", "%%cache --help\n1", "%%cache k --help\n1"):
        assert "%%cache report --ttl 600 --on year" in shown(line)


def test_a_key_may_hold_anything_in_quotes(run, cache):
    run("%cache set 'two words' 1\n%cache set \"it's\" 2\n%cache set '{a}:*' 3")
    assert cache.keys() == ["it's", "two words", "{a}:*"]
    assert run("%cache get 'two words'") == 1


# The cell


def test_a_cell_runs_once_and_is_served_after_that(counted, shell):
    body = "total = 6 * 7\nrows = [{'n': 1}]\ntotal + 1"
    assert counted("report", body) == (43, 1)
    del shell.user_ns["total"], shell.user_ns["rows"]
    assert counted("report", body) == (43, 1)
    assert shell.user_ns["total"] == 42
    assert shell.user_ns["rows"] == [{"n": 1}]


def test_a_cell_served_to_another_process_is_served_from_the_server(counted, cache, shell):
    counted("report", "total = 1\n{'n': total}")
    assert cache.get("report") == {"n": 1}
    shell.user_ns["hub"].stop()
    assert counted("report", "total = 1\n{'n': total}") == ({"n": 1}, 1)


def test_a_changed_body_runs_again(counted):
    assert counted("report", "1") == (1, 1)
    assert counted("report", "2") == (2, 2)
    assert counted("report", "2") == (2, 2)


def test_a_changed_input_runs_again(counted, shell):
    shell.user_ns.update(year=2025, place="Rome")
    assert counted("report --on year,place", "year") == (2025, 1)
    assert counted("report --on place,year", "year") == (2025, 1)
    shell.user_ns["year"] = 2026
    assert counted("report --on year,place", "year") == (2026, 2)


def test_a_function_is_an_input_by_what_it_does(counted, shell):
    shell.run_cell("def rate(n): return 2 * n")
    assert counted("report --on rate", "rate(3)") == (6, 1)
    shell.run_cell("# the same again\ndef rate(n): return 2 * n")
    assert counted("report --on rate", "rate(3)") == (6, 1)
    shell.run_cell("def rate(n): return 5 * n")
    assert counted("report --on rate", "rate(3)") == (15, 2)
    shell.run_cell("def make(n): return lambda x: x * n\nrate = make(7)")
    assert counted("report --on rate", "rate(3)") == (21, 3)
    shell.run_cell("rate = make(8)")
    assert counted("report --on rate", "rate(3)") == (24, 4)


def test_an_input_of_any_kind_is_compared(counted, shell):
    pd = pytest.importorskip("pandas")
    kinds = [(1, 2), [1, 2], {1, 2}, pd.Series([1, 2]), pd.DataFrame({"a": [1]}), 1.0, 1, True]
    for number, value in enumerate(kinds, 1):
        shell.user_ns["it"] = value
        assert counted("report --on it", "1")[1] == number
        assert counted("report --on it", "1")[1] == number


def test_an_input_that_cannot_be_compared_is_named(run, shell):
    shell.user_ns["source"] = object()
    with pytest.raises(UsageError, match="the input source cannot be stored"):
        run("%%cache report --on source\n1")


def test_a_removed_or_replaced_value_is_not_served(counted, cache):
    counted("report", "1")
    cache.delete("report")
    assert counted("report", "1") == (1, 2)
    cache.set("report", "another's")
    assert counted("report", "1") == (1, 3)


def test_a_cell_has_a_time_to_live_and_tags(counted, cache):
    counted("report --ttl 60 --tag daily", "1")
    assert 50 < cache.ttl("report") <= 60
    cache.invalidate_tags("daily")
    assert counted("report", "1") == (1, 2)


def test_what_cannot_be_kept_costs_neither_the_value_nor_the_names(shown, cache, shell):
    body = "handle = object()\nother = [1, print]\n[6 * 7, handle]"
    said = shown(f"%%cache report\n{body}")
    assert "[42, <object" in said
    assert shell.user_ns["other"] == [1, print]
    assert "nothing is stored" in said
    for what in ("the displayed value", "handle", "other"):
        assert f"{what} cannot be stored: " in said
    assert "begins with _" in said
    assert cache.keys() == []


def test_a_server_that_refuses_to_store_costs_nothing_either(shown, cache, shell):
    before = cache._redis.config_get("maxmemory")["maxmemory"]
    cache._redis.config_set("maxmemory", 1)
    try:
        said = shown("%%cache report\nn = 6 * 7\nn")
    finally:
        cache._redis.config_set("maxmemory", before)
    assert shell.user_ns["n"] == 42
    assert "42" in said
    assert "nothing is stored" in said


def test_values_come_back_with_their_types(counted, shell):
    pd = pytest.importorskip("pandas")
    body = """\
import dataclasses, datetime, decimal, pandas as pd
@dataclasses.dataclass
class Point:
    x: int
    data: object = None
df = pd.DataFrame({"a": [1.0, 2.5], "b": ["x", "y"]})
m = df.a.mean()
counts, days = df.b.value_counts(), pd.date_range("2026", periods=2)
point = Point(1, (decimal.Decimal("1.50"), {2}, datetime.date(2026, 1, 1)))
array = df.a.to_numpy()
m
"""
    names = ("df", "m", "counts", "days", "point", "array")
    first = counted("typed", body)
    before = {name: shell.user_ns.pop(name) for name in names}
    assert counted("typed", body) == first == (1.75, 1)
    after = {name: shell.user_ns[name] for name in names}
    assert {name: (repr(one), type(one)) for name, one in after.items()} == {
        name: (repr(one), type(one)) for name, one in before.items()
    }
    pd.testing.assert_frame_equal(after["df"], before["df"])
    assert type(first[0]).__name__ == "float64"


def test_a_result_stays_a_result(counted, run):
    run("%db create table t (n integer)")
    run("%db insert into t values (1), (2)")
    body = 'result = hub.db.query("select n from t order by n")\nresult.scalar()'
    for _ in range(2):
        assert counted("rows", body) == (1, 1)
        assert (run("result.scalar()"), run("result.rowcount"), run("result.truncated")) == (
            1,
            2,
            False,
        )


def test_a_value_whose_class_is_not_defined_is_no_missing_key(run, shell):
    shell.run_cell("import dataclasses\n@dataclasses.dataclass\nclass Gone:\n    n: int")
    shell.run_cell("gone = Gone(1)")
    run("%cache set it :gone")
    assert repr(run("%cache get it")) == "Gone(n=1)"
    del shell.user_ns["Gone"]
    with pytest.raises(NotFoundError, match="holds a Gone that cannot be read here") as caught:
        run("%cache get it")
    assert "defines it" in caught.value.hint


def test_a_cell_whose_class_is_not_defined_runs_again(counted, shell):
    shell.run_cell("import dataclasses\n@dataclasses.dataclass\nclass Made:\n    n: int")
    assert repr(counted("made", "made = Made(1)\nmade")[0]) == "Made(n=1)"
    assert counted("made", "made = Made(1)\nmade")[1] == 1
    shell.run_cell("@dataclasses.dataclass\nclass Made:\n    n: int\n    more: int = 2")
    value, runs = counted("made", "made = Made(1)\nmade")
    assert (repr(value), runs) == ("Made(n=1, more=2)", 2)


def test_private_names_are_left_out(counted, shell):
    counted("report", "_handle = object()\nvalue = 1\nvalue")
    del shell.user_ns["_handle"]
    assert counted("report", "_handle = object()\nvalue = 1\nvalue") == (1, 1)
    assert "_handle" not in shell.user_ns


def test_imports_functions_and_classes_are_there_after_a_hit(counted, shell):
    body = """\
try:
    import no_such_module as fast
except ImportError:
    fast = None
    import json as fast
from math import tau
base = 10
def double(n=base):
    return 2 * n
class Job:
    kind: int
double()"""
    assert counted("defined", body) == (20, 1)
    for name in ("fast", "tau", "base", "double", "Job"):
        del shell.user_ns[name]
    assert counted("defined", body) == (20, 1)
    assert shell.user_ns["double"]() == 20
    assert shell.user_ns["fast"].dumps(1) == "1"
    # Not a text, as it would be if a __future__ of this package reached the user's code.
    assert shell.user_ns["Job"].__annotations__ == {"kind": int}


def test_a_definition_that_needs_a_private_name_runs_the_cell_again(counted, shell):
    body = "_base = 10\ndef double(n=_base):\n    return 2 * n\ndouble()"
    counted("defined", body)
    del shell.user_ns["_base"]
    assert counted("defined", body) == (20, 2)


def test_every_kind_of_assignment_is_kept(counted, shell):
    body = """\
a, *b = 1, 2
[c := n for n in range(3)]
match {"x": 4, "y": 5}:
    case {"x": d, **e}: pass
given["new"]["er"] = 6
for f in range(8): pass
def inner():
    hidden = 1
[g for g in range(2)];"""
    shell.user_ns["given"] = {"new": {}}
    counted("names", body)
    wanted = {"a": 1, "b": [2], "c": 2, "d": 4, "e": {"y": 5}, "f": 7, "given": {"new": {"er": 6}}}
    for name in wanted:
        del shell.user_ns[name]
    assert counted("names", body) == (None, 1)
    assert {name: shell.user_ns.get(name) for name in wanted} == wanted
    assert "g" not in shell.user_ns
    assert "hidden" not in shell.user_ns


def test_an_option_of_a_module_is_no_name_to_store(counted, shown):
    body = "import string\nstring.mine = 1\nstring.mine"
    assert counted("option", body) == (1, 1)
    assert counted("option", body) == (1, 1)
    assert "other cannot be stored" in shown("%%cache module\nimport string\nother = string")


def test_a_semicolon_displays_nothing_and_a_comment_with_one_does(counted, cache):
    assert counted("quiet", "6 * 7;") == (None, 1)
    assert counted("quiet", "6 * 7;") == (None, 1)
    assert counted("loud", "6 * 7  # done;") == (42, 2)
    assert cache.get("loud") == 42


def test_quiet_shows_nothing_and_still_keeps(counted, cache):
    assert counted("report --quiet", "42") == (None, 1)
    assert counted("report --quiet", "42") == (None, 1)
    assert cache.get("report") == 42


def test_await_works_in_the_cell(counted, shell):
    body = "import asyncio\nvalue = await asyncio.sleep(0, 41)\nvalue + await asyncio.sleep(0, 1)"
    assert counted("awaited", body) == (42, 1)
    del shell.user_ns["value"]
    assert counted("awaited", body) == (42, 1)
    assert shell.user_ns["value"] == 41


def test_a_magic_works_in_the_cell_and_a_result_of_db_stays_one(counted, run, shell):
    run("%db --quiet create table task (id integer, title text)")
    run("%db --quiet insert into task values (1, 'write'), (2, 'read')")
    body = "rows = %db select * from task order by id\nlen(rows)"
    assert counted("tasks", body) == (2, 1)
    first = shell.user_ns.pop("rows")
    assert counted("tasks", body) == (2, 1)
    served = shell.user_ns["rows"]
    assert [row.title for row in served] == ["write", "read"]
    assert type(first) is type(served) is Result
    assert first == served


def test_what_a_magic_assigns_in_the_cell_is_there_after_a_hit(counted, shell):
    body = "%db -c default found << select 42 as n\n%db _mine << select 1\nfound[0].n"
    assert counted("found", body) == (42, 1)
    del shell.user_ns["found"], shell.user_ns["_mine"]
    assert counted("found", body) == (42, 1)
    assert shell.user_ns["found"].scalar() == 42
    assert "_mine" not in shell.user_ns


def test_a_frame_is_kept_as_a_frame(counted, shell):
    pd = pytest.importorskip("pandas")
    body = (
        "import pandas as pd\nframe = pd.DataFrame({'a': [1, 2]})\nframe['b'] = 3.5\nframe.head(1)"
    )
    counted("frame", body)
    wanted = shell.user_ns.pop("frame")
    value, runs = counted("frame", body)
    assert runs == 1
    pd.testing.assert_frame_equal(shell.user_ns["frame"], wanted)
    pd.testing.assert_frame_equal(value, wanted.head(1))


def test_a_cell_that_raises_keeps_nothing(counted, cache):
    with pytest.raises(ZeroDivisionError):
        counted("broken", "value = 1\n1 / 0")
    assert cache.keys() == []
    with pytest.raises(UsageError, match="in line 3 of the cell: value = = 1"):
        counted("broken", "value = = 1")


def test_an_interrupted_cell_keeps_nothing(counted, cache):
    with pytest.raises(KeyboardInterrupt):
        counted("stopped", "value = 1\nraise KeyboardInterrupt")
    assert cache.keys() == []


def test_without_a_server_the_cell_runs_and_says_that_it_is_not_kept(shown, project, shell):
    (project / ".env").write_text("REDIS_URL=redis://127.0.0.1:1/0\n")
    shell.run_line_magic("agentnb", "reset")
    said = shown("%%cache report\nvalue = 6 * 7\nvalue")
    assert "nothing is stored" in said
    assert "42" in said
    assert shell.user_ns["value"] == 42


# Tab


def offered(shell, text, cursor=None):
    with provisionalcompleter():
        found = shell.Completer.completions(text, len(text) if cursor is None else cursor)
        return [text[text.rfind(" ") + 1 : one.start] + one.text for one in found]


def test_tab_offers_verbs_keys_and_options(shell, cache):
    for key in ("user:1", "user:2", "rates", "two words"):
        cache.set(key, 1)
    assert offered(shell, "%cache inv") == ["invalidate"]
    assert offered(shell, "%cache get user:") == ["user:1", "user:2"]
    assert "two" not in "".join(offered(shell, "%cache get tw"))  # it would need quotes
    assert offered(shell, "%cache set a 1 --t") == ["--tag", "--ttl"]
    assert offered(shell, "%%cache ra") == ["rates"]
    assert set(offered(shell, "%%cache rates --")) >= {"--ttl", "--tag", "--on"}
    shell.user_ns["year_of_birth"] = 1990
    assert offered(shell, "%%cache rates --on year_") == ["year_of_birth"]


def test_tab_finds_a_key_among_thousands(shell, cache):
    with cache._redis.pipeline(transaction=False) as pipe:
        for number in range(3000):
            pipe.set(cache._keys.cache(f"user:{number}"), "1")
        pipe.execute()
    assert offered(shell, "%cache get user:2999") == ["user:2999"]


def test_tab_in_the_body_is_pythons(shell):
    shell.user_ns["tasks_of_mine"] = 1
    assert offered(shell, "%%cache k\n1 + tasks_of") == ["tasks_of_mine"]
