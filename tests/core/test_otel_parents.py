"""Spans of agentnb and of OpenTelemetry's instrumentation make one trace with right parents."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import agentnb
from agentnb.core.trace import Tracer, correlation, current, parse_traceparent, start_trace, use

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"


@pytest.fixture
def theirs():
    """Return a tracer of the SDK, and what it has exported."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    token = context.attach(context.Context())  # whatever the tests before have left active
    yield provider.get_tracer("theirs"), exporter
    context.detach(token)
    provider.shutdown()


@pytest.fixture
def ours():
    with use(None):
        yield Tracer()


def test_the_active_span_of_opentelemetry_is_the_parent_where_no_trace_runs(theirs, ours):
    with theirs[0].start_as_current_span("request") as request, ours.span("query"):
        pass
    span, about = ours.recent(1)[0], request.get_span_context()
    assert (span.trace, span.parent) == (about.trace_id, about.span_id)


def test_a_running_trace_of_agentnb_goes_on_below_a_span_of_opentelemetry(theirs, ours):
    with (
        ours.span("import") as top,
        theirs[0].start_as_current_span("request"),
        ours.span("query") as below,
    ):
        pass
    assert (below.trace, below.parent) == (top.trace, top.span)


def test_an_event_is_of_the_trace_of_the_active_span(theirs, bus):
    with theirs[0].start_as_current_span("request") as request, use(None):
        event = bus.publish("made", 1)
    assert parse_traceparent(event.traceparent).trace == request.get_span_context().trace_id


def test_a_trace_that_is_started_or_correlated_continues_the_active_span(theirs):
    with theirs[0].start_as_current_span("request") as request, use(None):
        with correlation("order-17") as correlated:
            pass
        started = start_trace()
    about = request.get_span_context()
    assert {(one.trace, one.span) for one in (started, correlated)} == {
        (about.trace_id, about.span_id)
    }
    assert correlated.correlation_id == "order-17"


@pytest.mark.parametrize("kind", ["cell", "work", "step"])
def test_the_instrumentation_of_others_is_below_a_span_that_runs_their_code(theirs, ours, kind):
    tracer, exporter = theirs
    with ours.span("process", kind=kind) as span, tracer.start_as_current_span("chat"):
        pass
    with tracer.start_as_current_span("later"):
        pass
    chat, later = exporter.get_finished_spans()
    assert (chat.context.trace_id, chat.parent.span_id) == (span.trace, span.span)
    assert later.parent is None


@pytest.mark.parametrize("kind", ["call", "wait"])
def test_a_call_is_no_parent_of_them(theirs, ours, kind):
    tracer, exporter = theirs
    with ours.span("query", kind=kind), tracer.start_as_current_span("chat"):
        pass
    assert exporter.get_finished_spans()[0].parent is None


def test_awaited_code_and_nested_work_have_their_own_parents(theirs, ours):
    tracer, exporter = theirs

    async def work(name):
        with ours.span(name, kind="work") as span:
            await asyncio.sleep(0)
            with tracer.start_as_current_span(name):
                await asyncio.sleep(0)
            with ours.span("step", kind="step"):
                await asyncio.sleep(0)
            with tracer.start_as_current_span(name):
                pass
            return name, span.span

    async def main():
        return dict(await asyncio.gather(*(work(f"job-{number}") for number in range(3))))

    parents = asyncio.run(main())
    found = [(one.name, one.parent.span_id) for one in exporter.get_finished_spans()]
    assert sorted(found) == sorted([*parents.items()] * 2)


def test_a_span_that_ends_in_another_context_ends_quietly(ours, caplog):
    span = ours.span("cell", kind="cell")
    thread = threading.Thread(target=span.__enter__)
    thread.start()
    thread.join()
    span.__exit__(None, None, None)
    assert (ours.recent(1), caplog.records) == ([span], [])


def test_a_span_that_is_left_attached_is_no_parent_of_the_next_trace():
    with use(None):
        span = Tracer().span("cell", kind="cell")
        span.__enter__()
        with use(None):
            assert start_trace().trace != span.trace
        span.__exit__(None, None, None)


def test_spans_that_end_in_the_order_that_they_began_leave_none_active(theirs, ours):
    first, second = ours.span("cell", kind="cell"), ours.span("import", kind="cell")
    with theirs[0].start_as_current_span("request") as request:
        for span in (first, second):
            span.__enter__()
        for span in (first, second):  # as of a trace that another cell closes
            span.__exit__(None, None, None)
        assert trace.get_current_span() is request
    assert not trace.get_current_span().get_span_context().is_valid


@pytest.mark.usefixtures("theirs")
def test_a_task_that_outlives_a_trace_stays_below_it_and_keeps_its_baggage(ours):
    seen = []

    async def work(ended):
        baggage_of_task = context.attach(baggage.set_baggage("order", "7"))
        await ended.wait()
        with ours.span("import", kind="cell"):
            pass
        active = trace.get_current_span().get_span_context().span_id
        seen.append((active, baggage.get_baggage("order")))
        context.detach(baggage_of_task)

    async def main():
        ended = asyncio.Event()
        with ours.span("cell", kind="cell") as outer:
            task = asyncio.create_task(work(ended))
            await asyncio.sleep(0)
        ended.set()
        await task
        return outer

    outer = asyncio.run(main())
    assert seen == [(outer.span, "7")]


@pytest.mark.usefixtures("theirs")
def test_spans_that_end_in_another_thread_do_not_keep_those_before_them(ours):
    for _ in range(300):
        span = ours.span("cell", kind="cell")
        span.__enter__()
        thread = threading.Thread(target=span.__exit__, args=(None, None, None))
        thread.start()
        thread.join()
    gc.collect()
    assert sum(type(one).__name__ == "_OwnSpan" for one in gc.get_objects()) < 10


def test_a_function_that_is_carried_to_a_thread_has_the_same_parents(theirs, tmp_path):
    tracer, exporter = theirs

    def call():
        with tracer.start_as_current_span("chat"):
            pass

    async def acall():
        call()

    with agentnb.connect(home=tmp_path / "home") as hub, use(None), hub.trace.run("fetch") as run:
        threads = [threading.Thread(target=hub.trace.carry(call))]
        with tracer.start_as_current_span("request") as request:
            threads.append(threading.Thread(target=hub.trace.carry(call)))
            awaited = hub.trace.carry(acall)
            threads.append(threading.Thread(target=lambda: asyncio.run(awaited())))
        for thread in threads:
            thread.start()
            thread.join()
    found = [one.parent.span_id for one in exporter.get_finished_spans() if one.name == "chat"]
    assert found == [run.span, *[request.get_span_context().span_id] * 2]


def test_the_sampled_flag_is_honoured_and_handed_on(ours):
    start_trace(parent=TRACEPARENT)
    with ours.span("query") as span, correlation("order-17") as correlated:
        assert current() is correlated
    assert (span.sampled, correlated.sampled) == (False, False)
    assert span.traceparent.endswith("-00")
    assert parse_traceparent(span.traceparent).sampled is False
    assert parse_traceparent(TRACEPARENT[:-2] + "03").traceparent.endswith("-01")


def test_a_span_that_the_users_sampler_leaves_out_gives_an_unsampled_trace(ours):
    provider = TracerProvider(sampler=ALWAYS_OFF)
    with provider.get_tracer("theirs").start_as_current_span("request"), ours.span("a") as span:
        pass
    provider.shutdown()
    assert span.sampled is False


def test_nothing_of_opentelemetry_is_imported_by_spans():
    code = """
import sys
from agentnb.core.trace import Tracer, start_trace
start_trace()
with Tracer().span("process", kind="work"):
    pass
print([name for name in sys.modules
       if "opentelemetry" in name or name.startswith("agentnb.core.trace.otel")])
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
