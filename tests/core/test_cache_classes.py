"""A value whose class this process has not, or has changed, counts as missing."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.core.shapes import Model, Point, Task
from tests.core.test_codec_tagged import ANY, written

MODULE = sys.modules[Task.__module__]


@dataclass
class Other:
    __qualname__ = "Task"
    __module__ = Task.__module__

    size: int


@pytest.fixture
def warned(caplog):
    return lambda: [record.message for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.parametrize("value", [Task("x", (1,)), {"a": [Model(n=1)]}, Point(1, 2)], ids=repr)
def test_an_instance_is_shared_like_any_other_value(cache, value):
    cache.set("k", value)
    assert cache.get("k") == cache.get("k", local=True) == value
    assert cache.get_or_set("k", lambda: "not called") == value
    assert asyncio.run(cache.aget_or_set("k", lambda: "not called")) == value


@pytest.mark.parametrize("local", [False, True])
def test_a_class_that_is_not_there_is_a_miss_and_a_line_in_the_log(
    cache, monkeypatch, warned, local
):
    cache.set("k", [Task("x")])
    if local:
        cache.get("k", local=True)
    monkeypatch.delattr(MODULE, "Task")
    assert cache.get("k", "default", local=local) == "default"
    assert cache._counter.hits == (1 if local else 0)
    assert any("'k' counts as missing" in line and "shapes:Task" in line for line in warned())


@pytest.mark.parametrize("local", [False, True])
def test_a_loader_replaces_what_this_process_cannot_read(cache, monkeypatch, warned, local):
    cache.set("k", Task("x"))
    monkeypatch.setattr(MODULE, "Task", Other)
    assert cache.get_or_set("k", lambda: Other(5), local=local) == Other(5)
    assert cache.get_or_set("k", lambda: "not called", local=local) == Other(5)
    assert cache._counter.misses == 1
    assert "has other fields now" in " ".join(warned())


def test_many_threads_replace_it_once(cache, monkeypatch, together, warned):
    runs = []
    cache.set("k", Task("x"))
    monkeypatch.delattr(MODULE, "Task")

    def load():
        runs.append(1)
        time.sleep(0.3)
        return "new"

    assert together(8, lambda: cache.get_or_set("k", load)) == (["new"] * 8, [])
    assert runs == [1]
    assert len(warned()) <= 8  # each says it once, however long it waits


def test_what_is_set_while_it_is_replaced_is_not_overwritten(cache, monkeypatch):
    cache.set("k", Task("x"))
    monkeypatch.delattr(MODULE, "Task")
    assert cache.get_or_set("k", lambda: cache.set("k", "set") or "loaded") == "loaded"
    assert cache.get("k") == "set"


def test_a_failed_loader_raises_its_own_error_where_the_copy_cannot_be_read(cache, monkeypatch):
    cache.get_or_set("k", lambda: Task("x"), stale=60)
    monkeypatch.delattr(MODULE, "Task")
    cache.delete("other")
    with pytest.raises(ZeroDivisionError):
        cache.get_or_set("k", lambda: 1 / 0, stale=60)


def test_a_reader_is_shown_what_it_is(cache, monkeypatch):
    cache.set("k", Task("x"))
    assert cache.inspect.preview("k")[:2] == ("Task", repr(Task("x")))
    cache.set("pair", (1, {2}))
    assert cache.inspect.preview("pair")[:2] == ("tuple", "(1, {2})")
    cache.set("nan", {"a": float("nan")})
    assert cache.inspect.preview("nan")[:2] == ("dict", "{'a': nan}")
    cache.set("large", [("again",)] * 500_000)
    assert cache.inspect.preview("large").note
    monkeypatch.delattr(MODULE, "Task")
    found = cache.inspect.preview("k")
    assert found.kind == "Task"
    assert "is not defined in this process" in found.text


def test_another_process_imports_the_module_of_a_class(cache, caching, shared_redis):
    cache.set("k", [Point(1, (2,))])
    root = str(Path(MODULE.__file__).parents[2])
    process = caching(
        f"sys.path.insert(0, {root!r})\nsay(cache.get('k'))",
        shared_redis,
        prefix=cache._keys.prefix,
    )
    assert process.stdout.readline() == "[Point(x=1, y=(2,))]\n"


def test_a_class_of_another_notebook_is_found_once_it_is_defined(cache, caching, shared_redis):
    source = """
from dataclasses import dataclass
from pathlib import Path
say(cache.get('k', 'missing'))
@dataclass
class Thing:
    n: int
if sys.stdin.readline().strip() == 'set':
    cache.set('k', Thing(1))
say(cache.get('k'))
"""
    options = {"prefix": cache._keys.prefix}
    for word, seen in (("set", "missing\n"), ("get", "missing\n")):
        process = caching(source, shared_redis, **options)
        process.stdin.write(f"{word}\n")
        process.stdin.flush()
        assert process.stdout.readline() == seen
        assert process.stdout.readline() == "Thing(n=1)\n"
    assert cache.get("k", "missing") == "missing"


@given(ANY)
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # every example sets its key
)
def test_any_value_comes_back_equal_by_every_way_of_asking(cache, bare, value):
    for one in (cache, bare):
        one.delete("k", "a")
        loaded = one.get_or_set("k", lambda: value)
        awaited = asyncio.run(one.aget_or_set("a", lambda: value))
        found = [one.get("k"), one.get("k", local=True), one.get("k", local=True), one.get("a")]
        hit = one.get_or_set("k", lambda: "not called", local=True)
        for back in (loaded, awaited, *found, hit):
            assert written(back) == written(value)
