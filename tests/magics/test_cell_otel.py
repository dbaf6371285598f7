"""A cell is the parent of spans of OpenTelemetry's instrumentation, and is exported with them."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


@pytest.fixture
def notebook(shell):
    """Return what runs a cell that has ``chat``, and the spans that were exported after it."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("theirs")
    shell.user_ns["chat"] = lambda: tracer.start_as_current_span("chat")
    hub = shell.user_ns["hub"]
    export = hub.trace.export_to(provider)

    def cell(source):
        exporter.clear()
        shell.run_cell(source, store_history=True).raise_error()
        export.flush()
        return exporter.get_finished_spans()

    yield cell
    export.stop()
    provider.shutdown()


@pytest.mark.parametrize(
    "source",
    [
        "with chat(): pass",
        "import asyncio\nawait asyncio.sleep(0)\nwith chat(): await asyncio.sleep(0)",
        "with chat(): hub.db.query('select 1')",
        "get_ipython().run_cell('with chat(): pass')",
    ],
    ids=["plain", "awaited", "with a query", "nested"],
)
def test_a_cell_is_the_parent_of_what_its_code_is_instrumented_for(notebook, source):
    for _ in range(2):  # nothing of the first is left for the second
        found = notebook(source)
        names = {one.context.span_id: one.name for one in found}
        above = {one.name: one.parent and names[one.parent.span_id] for one in found}
        assert above["chat"] == "cell"
        assert [one.name for one in found if one.parent is None] == ["cell"]
        assert len({one.context.trace_id for one in found}) == 1


def test_a_cell_that_causes_nothing_is_not_exported(notebook):
    assert notebook("1 + 1") == ()
