"""``agentnb worker`` with AGENTNB_OTEL=1: the spans of its processes reach a receiver."""

from __future__ import annotations

import pytest

import agentnb
from agentnb.core.trace import use
from tests.otlp import attributes_of, receiving
from tests.waiting import until

JOBS = """
import asyncio

def work(job):
    from opentelemetry.trace import get_current_span

    about = get_current_span().get_span_context()
    return [f"{about.span_id:016x}", job.hub.db.query("select 1 as n").scalar()]

async def work_async(job):
    from opentelemetry.trace import get_current_span

    await asyncio.sleep(0)
    return [f"{get_current_span().get_span_context().span_id:016x}", 1]
"""


@pytest.fixture(scope="module")
def receiver():
    with receiving() as receiver:
        yield receiver


@pytest.mark.parametrize(
    ("function", "words"),
    [("work_async", ()), ("work", ("--executor", "processes"))],
    ids=["awaited", "processes"],
)
def test_the_spans_of_a_worker_reach_the_receiver(
    receiver, start_worker, steady_home, tmp_path, request, function, words
):
    (tmp_path / "jobs.py").write_text(JOBS)
    queue = request.node.callspec.id
    with agentnb.connect(home=steady_home, start=tmp_path) as hub, use(None):
        worker = start_worker(
            steady_home,
            queue,
            "--processor",
            f"jobs:{function}",
            *words,
            AGENTNB_OTEL="1",
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
            OTEL_SERVICE_NAME="mailer",
        )
        with hub.trace.run("order") as run:
            active, one = hub.queue(queue).add({}).result(timeout=60)
        processed, resource = receiver.named(f"process {queue}")
        # Now that the exporter is loaded: the last span is sent before the worker's end.
        with hub.trace.run("last") as last:
            hub.queue(queue).add({}).result(timeout=60)
        worker.end()
    until(lambda: last.trace_id in {one.trace_id.hex() for one, _ in receiver.spans})
    assert (processed.trace_id.hex(), processed.span_id.hex()) == (run.trace_id, active)
    assert (processed.kind, one) == (processed.SPAN_KIND_CONSUMER, 1)
    assert resource["service.name"] == "mailer"
    assert (resource["process.pid"] == worker.process.pid) is not bool(words)
    assert attributes_of(processed)["messaging.destination.name"] == queue
