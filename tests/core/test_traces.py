"""hub.trace: traces by their id, the last ones, spans and runs of one's own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import agentnb
from agentnb.core.errors import NotFoundError, UsageError
from agentnb.core.trace import use


@pytest.fixture
def hub(tmp_path):
    with use(None), agentnb.connect(home=tmp_path / ".agentnb", database_url="sqlite://") as hub:
        yield hub


def test_a_run_is_one_trace_with_all_that_it_caused(hub):
    with hub.trace.run("nightly", correlation_id="order-17") as run:
        hub.db.query("select 1")
        with hub.trace.span("parse", rows=3):
            hub.db.query("select 2")
    trace = hub.trace.get(run.trace_id)
    (root,) = trace.roots
    assert (root.name, root.service, root.kind) == ("nightly", "app", "cell")
    (parse,) = trace.find(name="parse")
    assert (parse.service, parse.kind, parse.attributes) == ("app", "step", {"rows": 3})
    assert [span.name for span in trace.children(parse)] == ["query"]
    assert {span.correlation_id for span in trace.spans} == {"order-17"}


def test_a_trace_is_found_by_its_beginning_and_by_a_traceparent(hub):
    with hub.trace.run("nightly") as run:
        pass
    for text in (run.trace_id, run.trace_id[:6], run.trace_id[:8].upper(), run.traceparent):
        assert hub.trace.get(text).id == run.trace_id


@pytest.mark.parametrize("text", [None, 17, b"abcdef", "", "abc", "xyz123", "a" * 33, "task:7"])
def test_what_is_no_id_is_refused(hub, text):
    with pytest.raises(UsageError, match="must be 6 to 32 hexadecimal digits"):
        hub.trace.get(text)


def test_what_has_a_trace_id_is_refused_with_the_way_to_give_it(hub):
    with hub.trace.run("nightly") as run:
        pass
    with pytest.raises(UsageError) as found:
        hub.trace.get(run)
    assert found.value.hint == "it has one: hub.trace.get(value.trace_id)"
    with pytest.raises(UsageError, match="find has no option servce"):
        hub.trace.last().find(servce="db")


def test_an_unknown_trace_is_not_found(hub):
    with pytest.raises(NotFoundError, match="abcdef"):
        hub.trace.get("abcdef")
    with pytest.raises(NotFoundError, match="nothing was traced"):
        hub.trace.last()


def test_the_last_trace_is_the_one_before_the_running_one(hub):
    with hub.trace.run("first"):
        pass
    with hub.trace.run("second"):
        with hub.trace.span("step"):
            pass
        assert hub.trace.last().roots[0].name == "first"
    assert hub.trace.last().roots[0].name == "second"


def test_the_last_trace_of_a_script_may_be_a_call_outside_of_a_run(hub):
    with hub.trace.run("nightly"):
        hub.db.query("select 1")
    hub.db.query("select 2")
    (root,) = hub.trace.last().roots
    assert (root.name, root.kind) == ("query", "call")


def test_the_last_trace_of_a_notebook_is_of_a_cell_whatever_threads_do(hub, monkeypatch):
    monkeypatch.setattr("agentnb.core.trace.process._roles.role", "notebook")
    with hub.trace.run("cell"):
        hub.db.query("select 1")
    hub.db.query("select 2")
    assert hub.trace.last().roots[0].name == "cell"


def test_after_a_stop_the_last_trace_is_still_of_this_process(hub):
    with hub.trace.run("mine"):
        pass
    hub.stop()
    code = (
        "import agentnb\n"
        f"with agentnb.connect(home={str(hub.settings.home)!r}) as hub, hub.trace.run('theirs'):\n"
        "    pass"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert [trace.roots[0].name for trace in hub.trace.list()] == ["theirs", "mine"]
    assert hub.trace.last().roots[0].name == "mine"


def test_a_notebook_that_was_restarted_finds_the_last_cell_of_its_home(hub, monkeypatch):
    code = (
        "import agentnb\n"
        f"with agentnb.connect(home={str(hub.settings.home)!r}, database_url='sqlite://') as hub:\n"
        "    with hub.trace.run('theirs'):\n"
        "        pass\n"
        "    hub.db.query('select 1')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert hub.trace.last().roots[0].name == "query"
    monkeypatch.setattr("agentnb.core.trace.process._roles.role", "notebook")
    assert hub.trace.last().roots[0].name == "theirs"


def test_a_whole_id_that_is_unknown_is_not_found_beside_known_ones(hub):
    with hub.trace.run("nightly"):
        pass
    with pytest.raises(NotFoundError, match="no trace"):
        hub.trace.get("a" * 32)


def test_traces_are_listed_newest_first_and_by_failure(hub):
    for name in ("one", "two", "three"):
        with hub.trace.run(name):
            pass
    with pytest.raises(ValueError, match="no"), hub.trace.run("bad"):
        raise ValueError("no")

    def names(**options):
        return [trace.roots[0].name for trace in hub.trace.list(**options)]

    assert names() == ["bad", "three", "two", "one"]
    assert names(limit=2) == ["bad", "three"]
    assert names(failed=True) == ["bad"]
    assert names(failed=False, limit=1) == ["three"]
    with pytest.raises(UsageError, match="limit must be"):
        hub.trace.list(0)


def test_a_carried_function_is_part_of_the_trace_in_another_thread(hub):
    with hub.trace.run("fetch") as run, ThreadPoolExecutor() as threads:
        found = list(threads.map(hub.trace.carry(lambda n: (n, hub.trace.current_id)), [1, 2]))
        alone = threads.submit(lambda: hub.trace.current_id).result()
    assert found == [(1, run.trace_id), (2, run.trace_id)]
    assert alone is None


def test_traces_of_another_process_are_found(hub):
    with agentnb.connect(home=hub.settings.home, database_url="sqlite://") as other:
        with other.trace.run("nightly") as run:
            pass
        other.tracer.flush()
    assert hub.trace.get(run.trace_id).roots[0].name == "nightly"
    assert hub.trace.last().id == run.trace_id


def test_the_settings_say_how_long_spans_are_kept(tmp_path):
    with agentnb.connect(home=tmp_path / ".agentnb", trace_bytes="1MB", trace_days=2) as hub:
        assert hub.tracer.retention == "kept 2 days, 1.0 MB"
    with pytest.raises(agentnb.ConfigError, match="AGENTNB_TRACE_DAYS"):
        agentnb.connect(trace_days=0)


def test_a_coroutine_function_is_carried_to_another_loop(hub):
    async def fetch(n):
        await asyncio.sleep(0)
        return n, hub.trace.current_id

    with hub.trace.run("fetch") as run, ThreadPoolExecutor() as threads:
        carried = hub.trace.carry(fetch)
        found = threads.submit(lambda: asyncio.run(carried(7))).result()
    assert found == (7, run.trace_id)


def test_the_coroutine_of_a_lambda_is_carried(hub):
    async def fetch(page):
        await asyncio.sleep(0)
        return page, hub.trace.current_id

    class Fetch:
        async def __call__(self):
            return await fetch(2)

    with hub.trace.run("fetch") as run:
        calls = [hub.trace.carry(lambda: fetch(1)), hub.trace.carry(Fetch())]
    with ThreadPoolExecutor() as threads:
        found = list(threads.map(lambda call: asyncio.run(call()), calls))
    assert found == [(1, run.trace_id), (2, run.trace_id)]


def test_a_generator_whose_code_runs_elsewhere_is_not_carried(hub):
    def pages():
        yield 1

    async def awaited_pages():
        yield 1

    for function in (pages, awaited_pages):
        with pytest.raises(UsageError, match="where it is iterated") as found:
            hub.trace.carry(function)
        assert "list(pages())" in found.value.hint


@pytest.mark.parametrize("function", [None, 7, "fetch"])
def test_what_cannot_be_called_cannot_be_carried(hub, function):
    with pytest.raises(UsageError, match="function must be a function"):
        hub.trace.carry(function)


@pytest.mark.parametrize("name", [None, 7, "", "  ", b"parse", "\udcff", "a\0b"])
def test_a_name_that_is_no_text_is_refused(hub, name):
    for make in (hub.trace.span, hub.trace.run):
        with pytest.raises(UsageError, match="name must be text"):
            make(name)


def test_a_long_name_is_cut(hub):
    with hub.trace.span("x" * 5000):
        pass
    assert len(hub.trace.last().roots[0].name) == 201


def test_other_words_than_true_and_false_are_refused(hub):
    with pytest.raises(UsageError, match="failed must be True, False or None, got 'yes'"):
        hub.trace.list(failed="yes")


def test_a_span_is_entered_once(hub):
    span = hub.trace.span("parse")
    with span:
        pass
    with pytest.raises(UsageError, match="the span 'parse' was entered before"), span:
        pass


def test_a_span_or_a_run_as_a_decorator_is_one_of_each_call(hub):
    @hub.trace.span("parse", rows=3)
    def parse(text):
        return int(text)

    @hub.trace.span("fetch")
    async def fetch(n):
        await asyncio.sleep(0)
        return n

    @hub.trace.run("nightly", "order-17")
    def nightly():
        with pytest.raises(ValueError, match="invalid literal"):
            parse("x")
        return parse("7"), asyncio.run(fetch(5))

    assert (nightly(), nightly()) == ((7, 5), (7, 5))
    assert parse.__name__ == "parse"
    first, second = hub.trace.list()
    assert second.plain() == first.plain()
    assert [span.name for span in first.spans] == ["nightly", "parse", "parse", "fetch"]
    assert [span.outcome for span in first.spans] == ["ok", "ValueError", "ok", "ok"]
    assert first.spans[1].attributes == {"rows": 3}
    assert {span.correlation_id for span in first.spans} == {"order-17"}


def test_what_cannot_be_decorated_is_refused(hub):
    def pages():
        yield 1

    with pytest.raises(UsageError, match="a generator's code runs where it is iterated"):
        hub.trace.span("pages")(pages)
    with pytest.raises(UsageError, match="function must be a function, got 5"):
        hub.trace.span("five")(5)
    with pytest.raises(UsageError, match="function must be a function, got <class 'int'>"):
        hub.trace.span("class")(int)
    with hub.trace.span("entered") as span:
        pass
    with pytest.raises(UsageError, match="the span 'entered' was entered before"):
        span(len)


def test_a_span_with_an_odd_outcome_is_written_and_stops_no_other(hub):
    with hub.trace.run("odd") as run:
        with hub.trace.span("parse") as span:
            span.outcome, span.links = 7, (object(),)
        with hub.trace.span("after"):
            pass
    found = {span.name: span.outcome for span in hub.trace.get(run.trace_id).spans}
    assert found == {"odd": "ok", "parse": "int", "after": "ok"}


def test_files_that_were_written_before_a_trace_began_are_not_read(hub, monkeypatch):
    logs = hub.settings.home / "logs"
    with hub.trace.run("nightly"):
        pass
    hub.trace.list()
    old = logs / "spans-4194309.jsonl"
    old.write_text("{}\n")
    os.utime(old, (time.time() - 3600, time.time() - 3600))
    read = []
    read_bytes = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path) or read_bytes(path))
    assert hub.trace.list()[0].spans
    assert read
    assert old not in read


def test_the_last_trace_of_a_notebook_may_have_work_that_still_runs(hub, monkeypatch):
    monkeypatch.setattr("agentnb.core.trace.process._roles.role", "notebook")
    begun, go_on = threading.Event(), threading.Event()

    def work():
        with hub.trace.run("work"):
            begun.set()
            assert go_on.wait(30)

    with hub.trace.run("first"):
        pass
    with ThreadPoolExecutor(1) as threads:
        with hub.trace.run("second") as second:
            threads.submit(hub.trace.carry(work))
        assert begun.wait(30)
        trace = hub.trace.last()
        with hub.trace.run("third") as third:
            assert hub.trace.last().id == second.trace_id
        go_on.set()
    assert trace.id == second.trace_id
    assert [span.outcome for span in trace.find(name="work")] == ["running"]
    # The work of the second ended after the third, and is not the last cell.
    assert hub.trace.last().id == third.trace_id


def test_the_cell_before_the_last_one_is_a_cell_whatever_threads_do(hub, monkeypatch):
    monkeypatch.setattr("agentnb.core.trace.process._roles.role", "notebook")
    with hub.trace.run("first"):
        pass
    hub.db.query("select 1")
    with hub.trace.run("second"):
        pass
    assert [hub.trace.last(number).roots[0].name for number in (1, 2)] == ["second", "first"]
    with pytest.raises(UsageError, match="number must be 1 or more"):
        hub.trace.last(0)
