"""A cached function shares its values with its like, and with nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
import functools
import importlib
import operator
import re
import subprocess
import sys
import threading
from decimal import Decimal

import pytest

from agentnb.core.cache.identity import digest_of
from agentnb.core.errors import UsageError
from tests.core.shapes import Colour, Frozen, Plain, Point


@dataclasses.dataclass
class Scale:
    n: int

    def times(self, x):
        return self.n * x

    async def atimes(self, x):
        return self.n * x

    def __call__(self, x):
        return self.n * x

    @classmethod
    def named(cls, x):
        return f"{cls.__name__} {x}"


class Narrow(Scale):
    pass


class Asked:
    async def __call__(self, x):
        return x


def closure(n):
    return lambda x: x * n


def keyword(n):
    def times(x, *, by=n):
        return x * by

    return times


def default(n):
    def times(x, by=n):
        return x * by

    return times


def of_a_function(n):
    def inner(x):
        return x * n

    return lambda x: [inner(x)]


def of_a_function_with_a_default(n):
    def inner(x, by=n):
        return x * by

    return lambda x: [inner(x)]


def wrapped(n):
    def around(function):
        @functools.wraps(function)
        def call(x):
            return function(x) * n

        return call

    return around(closure(1))


def asynchronous(n):
    async def times(x):
        return x * n

    return times


def two_levels(n):
    def outer():
        return lambda x: x * n

    return outer()


def deep(n):
    table = {"by": [n, (n, {n})]}
    return lambda x: x * table["by"][0]


def of_a_point(point):
    return lambda x: x * point.n


def of_a_colour(colour):
    return lambda x: (x, colour.value)


def of_a_pattern(found):
    return lambda x: found.sub("", str(x))


MAKERS = [
    *(closure, keyword, default, of_a_function, of_a_function_with_a_default, wrapped),
    *(asynchronous, two_levels, deep, lambda n: functools.partial(operator.mul, n)),
    lambda n: functools.partial(functools.partial(closure(n)), 10),
    lambda n: functools.partial(lambda x, by: x * by, by=n),
    lambda n: Scale(n).times,
    lambda n: Scale(n).atimes,
    Scale,
    lambda n: [10, 20, 30].__getitem__ if n == 2 else [7, 8, 9].__getitem__,
    lambda n: functools.cache(closure(n)),
    lambda n: operator.methodcaller("__mul__", n),
    lambda n: closure(Point(n, 1).x),
    lambda n: of_a_point(Frozen(n)),
    lambda n: of_a_colour(list(Colour)[n - 2]),
    lambda n: of_a_pattern(re.compile("1" if n == 2 else "0")),
]


def call(function, *args):
    result = function(*args)
    return asyncio.run(result) if asyncio.iscoroutine(result) else result


@pytest.mark.parametrize("make", MAKERS, ids=range(len(MAKERS)))
def test_functions_that_differ_in_what_they_close_over_share_no_value(cache, make):
    argument = [] if make is MAKERS[10] else [1 if make is MAKERS[15] else 10]
    expected = [call(make(n), *argument) for n in (2, 3)]
    for _ in range(2):
        assert [call(cache.cached()(make(n)), *argument) for n in (2, 3)] == expected
    assert len(cache.keys()) == len({str(one) for one in expected}) == 2
    assert cache._counter.hits == 2


def test_a_variable_counts_as_it_is_when_the_function_is_called(cache):
    made = [cache.cached()(lambda x: x * n) for n in (2, 3)]  # noqa: B023 - late binding is what is tried
    assert [function(10) for function in made] == [30, 30]

    n = 2
    times = cache.cached()(lambda x: x * n)
    assert times(10) == 20
    n = 5
    assert times(10) == 50
    assert times.invalidate() == 2


def test_functions_that_differ_in_any_detail_of_their_code_share_no_value():
    sources = [
        *("def f(x): return x + 1", "def f(x): return x + 2", "def f(x): return x + True"),
        *("def f(x): return x.a", "def f(x): return x.b", "async def f(x): return x + 1"),
        *("def f(x): yield x + 1", "def f(x, y=1): return x + 1", "def f(x, /): return x + 1"),
        *("def f(x): return lambda: 1", "def f(x): return lambda: 2", "def f(*x): return x + 1"),
        *("def f(x): return x in {'a', 'b'}", "def f(x): return x in {'a', 'c'}"),
        "def f(x):\n try:\n  g()\n  h()\n except E:\n  pass",
        "def f(x):\n g()\n try:\n  h()\n except E:\n  pass",
    ]
    made = []
    for source in sources:
        namespace = {}
        exec(source, namespace)
        made.append(digest_of(namespace["f"]))
        exec(f"\n\n# a comment\n{source}", namespace)
        assert digest_of(namespace["f"]) == made[-1]
    assert len(set(made)) == len(sources)


def test_a_digest_does_not_depend_on_the_process():
    source = (
        "from agentnb.core.cache.identity import digest_of\n"
        "words = {'a', 'b', 'c'}\n"
        "def make(s): return lambda x: x in {'p', 'q', 'r'} or x in s\n"
        "print(digest_of(make({'a', 'b', 'c'})))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", source],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(seen) == 1


def test_a_function_of_a_module_that_was_edited_has_other_keys(cache, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "edited_rates.py").write_text("def load(): return 'old'\n")
    module = importlib.import_module("edited_rates")
    try:
        assert cache.cached()(module.load)() == "old"
        (tmp_path / "edited_rates.py").write_text("def load(): return 'new one'\n")
        importlib.invalidate_caches()
        assert cache.cached()(importlib.reload(module).load)() == "new one"
    finally:
        del sys.modules["edited_rates"]


def test_functions_of_the_same_name_in_two_notebooks_do_not_share_values(cache):
    def notebook(source):
        namespace = {"__name__": "__main__", "cached": cache.cached()}
        exec(f"@cached\ndef load():\n    {source}", namespace)
        return namespace["load"]

    assert notebook("return 'one'")() == "one"
    assert notebook("return 'other'")() == "other"
    assert notebook("return 'one'")() == "one"
    assert len(cache.keys()) == 2


class Connection:
    pass


HELD = Connection()


def holding(value):
    return lambda: str(value)


@pytest.mark.parametrize(
    "function",
    [
        holding(HELD),
        holding([HELD]),
        holding({"a": HELD}),
        holding(threading.Lock()),
        holding(holding(HELD)),
        holding(object()),
        functools.partial(str, HELD),
        HELD.__str__,
        Asked(),
        holding(type("Local", (), {})),
        contextlib.contextmanager(holding(HELD)),
        functools.singledispatch(holding(1)),
    ],
    ids=range(12),
)
def test_a_function_that_cannot_be_told_apart_asks_for_a_key(cache, function):
    with pytest.raises(UsageError, match="cannot be told apart") as caught:
        cache.cached()(function)
    assert "key=" in caught.value.hint
    assert cache.cached(key="mine")(lambda: 1)() == 1


def test_an_error_names_the_variable(cache):
    connection = Connection()
    with pytest.raises(
        UsageError, match=r"it closes over connection: a value of type .*Connection"
    ):
        cache.cached()(lambda: connection)


def test_a_function_that_calls_itself_is_cached(cache):
    runs = []

    @cache.cached()
    def factorial(n):
        runs.append(n)
        return 1 if n < 2 else n * factorial(n - 1)

    assert factorial(5) == factorial(5) == 120
    assert runs == [5, 4, 3, 2, 1]


def test_a_function_that_counts_its_calls_is_still_the_same(cache):
    calls, counts, several, state, deep = 0, {"n": 0}, set(), Scale(0), []

    def note(x):
        deep.append(x)

    @cache.cached()
    def load(x):
        nonlocal calls
        calls += 1
        counts["n"] += 1
        several.add(calls)
        state.n += 1
        note(x)
        return [deep.append(one) for one in "ab"] and x

    assert [load(1), load(1), load(2), load(1)] == [1, 1, 2, 1]
    assert (calls, counts, several, state.n) == (2, {"n": 2}, {1, 2}, 2)


def test_a_container_that_somebody_else_changes_counts_as_it_is(cache):
    factors = {"n": 2}
    times = cache.cached()(lambda x: x * factors["n"])
    assert times(10) == 20
    factors["n"] = 3
    assert times(10) == 30
    scale = Scale(4)
    bound = cache.cached()(scale.times)
    assert bound(10) == 40
    scale.n = 5
    assert bound(10) == 50


def test_a_cached_function_may_use_another_and_be_wrapped(cache):
    def make(n):
        inner = cache.cached()(lambda x: x * n)
        return cache.cached()(lambda x: inner(x) + 1)

    assert [make(n)(10) for n in (2, 3, 2)] == [21, 31, 21]

    plain = cache.cached()(closure(4))

    @cache.cached()
    @functools.wraps(plain)
    def twice(x):
        return 2 * plain(x)

    assert (plain(1), twice(1)) == (4, 8)


def test_methods_and_static_and_class_methods_are_cached(cache):
    @dataclasses.dataclass
    class Local(Point):
        pass

    class Service:
        @cache.cached()
        @staticmethod
        def fixed(x):
            return [x]

        @staticmethod
        @cache.cached()
        def other(x):
            return (x,)

        @cache.cached(key="of-class")
        @classmethod
        def named(cls, x):
            return x

    assert (Service.fixed(1), Service().fixed(2), Service().other(3)) == ([1], [2], (3,))
    with pytest.raises(UsageError, match="do not make a key"):
        Service.named(1)  # the class is an argument, and one of a function
    assert cache.cached()(Scale.named)(1) == "Scale 1"
    assert cache.cached()(Narrow.named)(1) == "Narrow 1"


def test_a_method_is_cached_by_what_its_object_holds(cache):
    times = cache.cached()(Scale.times)
    assert [times(Scale(2), 10), times(Scale(3), 10), times(Scale(2), 10)] == [20, 30, 20]
    assert cache._counter.hits == 1


def test_an_object_that_is_awaited_is_awaited(cache):
    asked = cache.cached(key="asked")(Asked())
    assert asyncio.run(asked(5)) == 5
    part = cache.cached()(functools.partial(asynchronous(3)))
    assert asyncio.run(part(2)) == 6


def test_what_is_no_function_is_refused(cache):
    for odd in (5, None, "text", property(lambda _: 1)):
        with pytest.raises(UsageError, match="must decorate a function"):
            cache.cached()(odd)


def test_options_that_there_are_not_are_refused_when_it_is_decorated(cache):
    with pytest.raises(UsageError, match="no option stail") as caught:
        cache.cached(stail=5)
        cache.cached(stail=5)(len)
    assert "stale" in caught.value.hint
    with pytest.raises(UsageError, match="no option loader"):
        cache.cached(loader=len)(len)
    for odd in (5, [], True):
        with pytest.raises(UsageError, match="key must be text or a function"):
            cache.cached(key=odd)(len)


def test_a_builtin_that_tells_no_parameters_is_cached(cache):
    assert [cache.cached()(str)(one) for one in (1, "1", b"1", 1)] == ["1", "1", "b'1'", "1"]
    assert cache.cached()(max)(1, 2, key=operator.neg) == 1
    assert cache.cached()(max)(1, 2) == 2
    assert cache._counter.hits == 1


def test_arguments_of_any_kind_make_a_key_of_their_own(cache):
    runs = []

    @cache.cached()
    def load(one):
        runs.append(one)
        return len(runs)

    kinds = [
        *([1, 2], (1, 2), {1, 2}, "[1, 2]", {"1": 2}, {1: 2}, 1, 1.0, True, "1", None),
        *(float("nan"), Decimal(1), Decimal("1.0"), dt.date(2026, 1, 1), "2026-01-01", b"1"),
        *(Frozen(1), Point(1, 2), Colour.RED, "red", list(range(2000)), list(range(2001))),
        *(closure(1), closure(2), Scale, Frozen),
    ]
    assert [load(one) for one in kinds] == list(range(1, len(kinds) + 1))
    assert [load(one) for one in kinds] == list(range(1, len(kinds) + 1))
    assert max(map(len, cache.keys())) < 1200
    assert load.invalidate() == len(kinds)
    for odd in (object(), Plain(), [Plain()], type("Local", (), {})):
        with pytest.raises(UsageError, match="do not make a key"):
            load(odd)


def test_the_order_of_named_arguments_does_not_matter(cache):
    runs = []

    @cache.cached()
    def load(**named):
        runs.append(named)
        return 1

    load(a=(1,), b=2)
    load(b=2, a=(1,))
    assert len(runs) == 1
