"""Traces: the tree that spans make, what a span keeps of its error."""

from __future__ import annotations

import pytest

from agentnb.core.trace.spans import Span, Tracer
from agentnb.core.trace.tree import Trace


def _spans():
    tracer = Tracer()
    with tracer.span("cell", service="notebook", kind="cell"):
        with tracer.span("query", service="db"):
            pass
        with pytest.raises(ValueError, match="page"), tracer.span("GET", service="api"):
            raise ValueError("no such page")
    return tracer.recent()


def test_a_trace_has_its_spans_below_their_parents():
    spans = _spans()
    trace = Trace(spans[0].trace_id, spans)
    (root,) = trace.roots
    assert root.name == "cell"
    assert [span.name for span in trace.children(root)] == ["query", "GET"]
    assert trace.children(trace.spans[1]) == []


def test_a_span_whose_parent_is_nowhere_is_a_root():
    spans = [span for span in _spans() if span.name != "cell"]
    assert [span.name for span in Trace("1", spans).roots] == ["query", "GET"]


def test_failed_spans_are_found_with_their_message():
    (failed,) = Trace("1", _spans()).failed
    assert (failed.name, failed.outcome, failed.error) == ("GET", "ValueError", "no such page")


def test_spans_are_found_by_service_and_name():
    trace = Trace("1", _spans())
    assert [span.name for span in trace.find(service="db")] == ["query"]
    assert [span.service for span in trace.find(name="GET")] == ["api"]
    assert trace.find(service="db", name="GET") == []


def test_a_span_keeps_kind_error_and_links_through_json():
    *_, span = _spans()
    span.links = ("0000000000000007",)
    again = Span.from_dict(span.to_dict())
    assert (again.kind, again.error, again.links) == ("cell", None, ("0000000000000007",))
    failed = Span.from_dict(Trace("1", _spans()).failed[0].to_dict())
    assert failed.error == "no such page"


def test_the_message_of_an_error_is_masked_when_it_is_written():
    tracer = Tracer()
    with pytest.raises(ValueError, match="reach"), tracer.span("query", service="db"):
        raise ValueError("cannot reach postgresql://u:hunter2@host/db")
    (span,) = tracer.recent()
    assert "hunter2" not in str(span.to_dict())


def test_an_error_that_has_no_text_does_not_replace_itself():
    class OddError(Exception):
        def __str__(self):
            raise RuntimeError

    tracer = Tracer()
    with pytest.raises(OddError), tracer.span("query", service="db"):
        raise OddError
    assert tracer.recent()[0].error is None


def test_a_kind_that_is_none_is_no_span():
    record = _spans()[0].to_dict()
    record["kind"] = "dance"
    with pytest.raises(ValueError, match="not in tuple"):
        Span.from_dict(record)
