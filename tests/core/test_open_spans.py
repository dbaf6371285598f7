"""Spans that have begun and not ended: what runs, and what ended with its process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from contextvars import copy_context

import pytest

import agentnb
from agentnb.core.trace import Tracer, read_spans, use
from agentnb.core.trace.process import this_process

KILLED = """if True:
    import os, pathlib, signal, sys, time
    from agentnb.core.trace import Tracer, start_trace, use
    tracer = Tracer(pathlib.Path(sys.argv[1]))
    start_trace(parent=sys.argv[2])
    with tracer.span("process", service="queue", kind="work", attempt=1, job="7"):
        if len(sys.argv) > 3:
            with tracer.span("query", service="db"):
                time.sleep(0.05)
            tracer.flush()
        os.kill(os.getpid(), signal.SIGKILL)
"""
HEADER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE = HEADER[3:35]


def kill(folder, *more):
    run = subprocess.run([sys.executable, "-c", KILLED, str(folder), HEADER, *more], check=False)
    assert run.returncode == -signal.SIGKILL


def test_an_attempt_whose_process_was_killed_is_lost(tmp_path):
    kill(tmp_path, "and query")
    lost, query = read_spans(tmp_path, TRACE)
    assert (lost.name, lost.outcome, lost.failed, lost.kind) == ("process", "Lost", True, "work")
    assert (query.parent_id, query.outcome) == (lost.span_id, "ok")
    assert lost.ended == pytest.approx(query.ended, abs=0.001)
    assert lost.process == query.process
    assert (lost.process.host, lost.process.role) == (this_process().host, "script")
    assert lost.process.pid != os.getpid()


def test_an_attempt_that_kills_its_process_at_once_is_seen(tmp_path):
    kill(tmp_path)
    (lost,) = read_spans(tmp_path, TRACE)
    assert (lost.outcome, lost.ms) == ("Lost", 0.0)


@pytest.mark.parametrize("kind", ["cell", "work", "step"])
def test_what_runs_is_seen_in_the_files(tracer, kind):
    with tracer.span("long", kind=kind, job="7") as span:
        tracer.flush()
        (found,) = read_spans(tracer.path, span.trace_id)
        assert (found.outcome, found.failed, found.attributes) == ("running", False, {"job": "7"})
        assert found.ms > 0
    tracer.flush()
    (found,) = read_spans(tracer.path, span.trace_id)
    assert (found.outcome, found.ms) == ("ok", pytest.approx(span.ms, abs=0.001))


@pytest.mark.parametrize("kind", ["call", "wait"])
def test_calls_are_written_when_they_end_only(tracer, kind):
    with tracer.span("query", kind=kind) as span:
        tracer.flush()
        assert read_spans(tracer.path, span.trace_id) == []


@pytest.mark.parametrize(("kind", "service"), [("step", "app"), ("work", "events")])
def test_what_ended_in_the_meantime_takes_one_line(tracer, kind, service):
    with tracer.span("parse", kind=kind, service=service):
        pass
    tracer.flush()
    (path,) = tracer.path.iterdir()
    assert path.read_text().count('"parse"') == 1


def test_an_earlier_attempt_is_lost_when_a_later_one_was_made(tracer):
    # As of a worker on another host, whose processes cannot be asked for.
    with use(None), tracer.span("add", service="queue") as add:
        pass

    def attempt(number, job):
        return tracer.span(
            "process", service="queue", kind="work", attempt=number, queue="q", job=job
        )

    with use(add):
        first, other = attempt(1, "7"), attempt(1, "8")
        for span in (first, other):
            copy_context().run(span.__enter__)  # which ends without a word to this context
        with use(add), attempt(2, "7"):
            pass
        tracer.flush()
        spans = read_spans(tracer.path, add.trace_id)
    found = {(s.attributes["job"], s.attempt): s.outcome for s in spans if s.attributes}
    assert found == {("7", 1): "Lost", ("8", 1): "running", ("7", 2): "ok"}


def test_a_begun_span_with_odd_attributes_is_written_without_them(tracer):
    class Broken:
        def __str__(self):
            raise RuntimeError

    with tracer.span("odd", kind="step", value=Broken()) as span:
        tracer.flush()
        (found,) = read_spans(tracer.path, span.trace_id)
        assert (found.outcome, found.attributes) == ("running", None)


def test_a_running_trace_is_found_and_is_not_the_last(tmp_path):
    with agentnb.connect(home=tmp_path / ".agentnb") as hub, hub.trace.run("nightly") as run:
        with hub.trace.span("parse"):
            pass
        trace = hub.trace.get(run.trace_id)
        (root,) = trace.roots
        assert (root.name, root.outcome) == ("nightly", "running")
        assert [span.outcome for span in trace.children(root)] == ["ok"]
        assert trace.processes == [this_process()]
        assert hub.trace.list()[0].id == run.trace_id
        with pytest.raises(agentnb.NotFoundError):
            hub.trace.last()


def test_what_runs_is_seen_without_a_folder():
    from agentnb.core.trace.finding import Finder

    tracer = Tracer()
    with tracer.span("nightly", kind="cell") as span:
        (found,) = Finder(tracer).get(span.trace_id).spans
        assert found.outcome == "running"
        assert found.process == this_process()
        assert tracer.running() == [span]
    assert tracer.running() == []
    assert Finder(tracer).get(span.trace_id).spans[0].outcome == "ok"


def test_a_span_that_ends_while_its_beginning_is_written_keeps_its_end(tracer):
    stop = threading.Event()

    def write():
        while not stop.is_set():
            tracer.flush()

    thread = threading.Thread(target=write)
    thread.start()
    spans = []
    for _ in range(200):
        with tracer.span("parse", kind="step") as span:
            spans.append(span)
    stop.set()
    thread.join()
    tracer.flush()
    found = [read_spans(tracer.path, span.trace_id)[0].outcome for span in spans]
    assert found == ["ok"] * 200


def test_of_a_burst_of_attempts_the_first_is_written_at_once_and_all_a_little_later(tracer):
    with ExitStack() as running:
        spans = [
            running.enter_context(
                tracer.span("process", service="queue", kind="work", attempt=1, job=str(n))
            )
            for n in range(50)
        ]
        at_once = read_spans(tracer.path, spans[0].trace_id)
        assert 1 <= len(at_once) < 50
        assert at_once[0].span_id == spans[0].span_id
        tracer.flush()
        found = read_spans(tracer.path, spans[0].trace_id)
        assert {span.span_id for span in found} == {span.span_id for span in spans}
        assert {span.outcome for span in found} == {"running"}
