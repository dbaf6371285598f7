"""Finished spans go to exporters of OpenTelemetry, under the same ids, at no caller's cost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import os
import socket
import subprocess
import sys
import threading

import pytest
from opentelemetry.context import get_value
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import ProxyTracerProvider, SpanKind, StatusCode

import agentnb
from agentnb.core.errors import ConfigError, UsageError
from agentnb.core.trace import Tracer, start_trace, use
from agentnb.core.trace.otel import environment
from agentnb.core.trace.otel.conventions import SCHEMA_URL
from agentnb.core.trace.otel.export import SpanExport
from agentnb.core.trace.otel.sinks import ExporterSink
from agentnb.core.trace.traces import Traces
from tests.otlp import attributes_of, receiving
from tests.waiting import until

CANARY = "canary-4711-secret"


@pytest.fixture
def hub(tmp_path):
    with agentnb.connect(home=tmp_path / "home", database_url="sqlite://") as hub, use(None):
        yield hub


@pytest.fixture
def exporter():
    return InMemorySpanExporter()


@pytest.fixture(scope="module")
def receiver():
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def otel_hub(receiver, tmp_path, monkeypatch):
    """Return what makes a hub with AGENTNB_OTEL and the variables that are given."""
    receiver.spans.clear()
    receiver.headers.clear()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    opened = []

    def make(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        opened.append(
            agentnb.connect(
                home=tmp_path / "home", start=tmp_path, database_url="sqlite://", otel=True
            )
        )
        return opened[-1]

    with use(None):
        yield make
    for one in opened:
        one.close()


class Blocked(SpanExporter):
    """Takes its first batch only when it is let go."""

    def __init__(self):
        self.entered, self.free, self.taken = threading.Event(), threading.Event(), []

    def export(self, spans):
        self.entered.set()
        self.free.wait(30)
        self.taken += spans
        return SpanExportResult.SUCCESS


def ids(spans):
    return {(one.trace_id, one.span_id, one.parent_id) for one in spans}


def exported_ids(spans):
    return {
        (
            f"{one.context.trace_id:032x}",
            f"{one.context.span_id:016x}",
            f"{one.parent.span_id:016x}" if one.parent else None,
        )
        for one in spans
    }


def test_spans_are_exported_under_the_same_ids_and_parents(hub, exporter):
    with hub.trace.export_to(exporter) as export:
        with hub.trace.run("nightly", correlation_id="order-17"), hub.trace.span("parse"):
            hub.db.query("select 1 as n")
            hub.cache.set("k", 1)
        own = hub.tracer.recent()
    found = exporter.get_finished_spans()
    assert exported_ids(found) == ids(own)
    assert (export.exported, export.dropped, hub.trace.exports) == (len(own), 0, ())
    assert {one.attributes["agentnb.correlation_id"] for one in found} == {"order-17"}
    query = next(one for one in found if one.attributes["agentnb.operation"] == "query")
    span = next(one for one in own if one.name == "query")
    assert (query.kind, query.status.status_code) == (SpanKind.CLIENT, StatusCode.UNSET)
    assert query.start_time / 1e9 == pytest.approx(span.began)
    assert (query.end_time - query.start_time) / 1e6 == pytest.approx(span.ms, abs=0.01)
    assert query.instrumentation_scope.schema_url == SCHEMA_URL


def test_after_its_stop_nothing_more_is_exported(hub, exporter):
    export = hub.trace.export_to(exporter)
    with hub.trace.span("first"):
        pass
    export.stop()
    export.stop()
    with hub.trace.span("second"):
        pass
    assert [one.name for one in exporter.get_finished_spans()] == ["first"]
    assert "stopped, 1 exported, 0 dropped" in repr(export)


def test_the_end_of_the_hub_exports_what_waits_and_leaves_the_exporter_open(tmp_path, exporter):
    with agentnb.connect(home=tmp_path / "home") as hub:
        hub.trace.export_to(exporter)
        with hub.trace.span("last"):
            pass
    assert [one.name for one in exporter.get_finished_spans()] == ["last"]
    assert exporter.export([]) is SpanExportResult.SUCCESS


def test_a_flush_exports_now_and_the_export_goes_on(hub, exporter):
    export = hub.trace.export_to(exporter)
    for name in ("first", "second"):
        with hub.trace.span(name):
            pass
        assert export.flush() is True
        assert exporter.get_finished_spans()[-1].name == name
    with hub.trace.span("third"):
        pass
    until(lambda: len(exporter.get_finished_spans()) == 3)


def test_an_export_is_awaited(hub, exporter):
    async def main():
        async with hub.trace.export_to(exporter) as export:
            with hub.trace.span("first"):
                pass
            assert await export.aflush() is True
            with hub.trace.span("second"):
                pass

    asyncio.run(main())
    assert [one.name for one in exporter.get_finished_spans()] == ["first", "second"]


def test_what_is_not_sampled_is_kept_here_and_not_exported(hub, exporter):
    with hub.trace.export_to(exporter):
        start_trace(parent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")
        with hub.trace.span("unsampled"):
            pass
    assert exporter.get_finished_spans() == ()
    assert [one.name for one in hub.tracer.recent()] == ["unsampled"]


def test_links_and_errors_are_exported(hub, exporter):
    with (
        hub.trace.export_to(exporter),
        pytest.raises(ValueError, match="too long"),
        hub.trace.span("work") as span,
    ):
        span.links = ("00f067aa0ba902b7",)
        raise ValueError("too long: password=hunter22")
    (found,) = exporter.get_finished_spans()
    assert [one.context.span_id for one in found.links] == [0x00F067AA0BA902B7]
    assert (found.status.status_code, found.status.description) == (
        StatusCode.ERROR,
        "too long: password=••••••",
    )
    (event,) = found.events
    assert dict(event.attributes) == {
        "exception.type": "ValueError",
        "exception.message": "too long: password=••••••",
    }


def test_what_does_not_fit_is_dropped_counted_and_said(hub, caplog):
    blocked = Blocked()
    tracer = hub.tracer
    export = SpanExport(tracer, lambda: ExporterSink(blocked), "Blocked", most_waiting=3)
    spans = [tracer.span(f"span {number}") for number in range(6)]
    with spans[0]:
        pass
    export._thread._delay = 0  # not to wait for a batch
    export._thread._signals.put(None)
    assert blocked.entered.wait(30)
    for span in spans[1:]:
        with span:
            pass
    assert (export.dropped, export.waiting, blocked.taken) == (2, 3, [])
    with caplog.at_level(logging.WARNING, "agentnb.trace"):
        blocked.free.set()
        export.stop()
    assert [one.name for one in blocked.taken] == [f"span {number}" for number in range(4)]
    assert [one.message for one in caplog.records if one.name == "agentnb.trace"] == [
        "2 spans were not exported to Blocked: too many were waiting"
    ]


def test_a_stop_does_not_wait_for_an_exporter_that_hangs(hub, caplog):
    blocked = Blocked()
    export = hub.trace.export_to(blocked)
    with hub.trace.span("first"):
        pass
    export._thread.stop(0, finish=True)
    assert blocked.entered.wait(30)
    with hub.trace.span("second"):
        pass
    with caplog.at_level(logging.WARNING, "agentnb.trace"):
        export.stop(0.01)
    assert (export.dropped, blocked.taken) == (2, [])
    assert [one.message for one in caplog.records] == [
        "2 spans were not exported to Blocked: the exporter did not answer in time"
    ]
    blocked.free.set()
    until(lambda: blocked.taken and not export._thread.alive)
    assert (export.dropped, export.exported) == (2, 0)


def test_an_exporter_that_is_down_costs_no_caller_and_is_said_once(hub, caplog):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and listens to nobody
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1/traces"
        exporter = OTLPSpanExporter(url, headers={"authorization": CANARY}, timeout=0.2)
        with caplog.at_level(logging.DEBUG):
            export = hub.trace.export_to(exporter)
            for _ in range(3):
                with hub.trace.span("work"):
                    pass
                export.flush()
            warned = [
                one
                for one in caplog.records  # threads of other tests may write lines of theirs
                if one.levelno >= logging.WARNING and one.name.startswith("agentnb.trace")
            ]
    assert (export.dropped, export.exported) == (3, 0)
    assert export.error
    assert [(one.name, one.message.split(":")[0]) for one in warned] == [
        ("agentnb.trace", "1 spans were not exported to OTLPSpanExporter")
    ]
    assert "3 spans were not exported to OTLPSpanExporter" in str(hub.health().note)
    assert CANARY not in caplog.text + str(export.error)
    export.stop(0.01)


def test_the_metrics_of_a_worker_count_what_was_not_exported(hub, exporter):
    from agentnb.core.metrics.collector import _not_exported

    with hub.trace.export_to(exporter) as export:
        export._lost = 3
        found = _not_exported(hub)
    assert [(one.name, one.value) for one in found.samples] == [
        ("agentnb_spans_not_exported_total", 3)
    ]


def test_an_exporter_that_raises_loses_its_batch_alone(hub):
    class Raising(InMemorySpanExporter):
        def export(self, spans):
            # Instrumentation of HTTP clients looks for it: no span of the export itself.
            assert get_value("suppress_instrumentation") is True
            if spans[0].name == "bad":
                raise RuntimeError(f"password={CANARY}")
            return super().export(spans)

    exporter = Raising()
    with hub.trace.export_to(exporter) as export:
        for name in ("bad", "good"):
            with hub.trace.span(name):
                pass
            export.flush()
            assert export.error == ("RuntimeError: password=••••••" if name == "bad" else None)
    assert ([one.name for one in exporter.get_finished_spans()], export.dropped) == (["good"], 1)


def test_a_forked_child_exports_its_own_spans_alone(tmp_path):
    with agentnb.connect(home=tmp_path / "home") as hub:
        exporter = InMemorySpanExporter()
        export = hub.trace.export_to(exporter)
        with hub.trace.span("of the parent"):
            pass

        def child(pipe):
            with hub.trace.span("of the child"):
                pass
            export.flush()
            pipe.send(
                [
                    (one.name, one.resource.attributes["process.pid"])
                    for one in exporter.get_finished_spans()
                ]
            )

        here, there = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(target=child, args=(there,))
        process.start()
        assert here.poll(30)
        assert here.recv() == [("of the child", process.pid)]
        process.join()
        export.stop()
    assert [
        (one.name, one.resource.attributes["process.pid"]) for one in exporter.get_finished_spans()
    ] == [("of the parent", os.getpid())]


def test_a_processor_and_the_processors_of_a_provider_have_the_spans(hub, exporter):
    from opentelemetry.sdk.resources import Resource

    provider = TracerProvider(resource=Resource({"service.name": "theirs"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with hub.trace.export_to(provider), hub.trace.span("by the provider"):
        pass
    with hub.trace.export_to(SimpleSpanProcessor(exporter)), hub.trace.span("by a processor"):
        pass
    provider.shutdown()
    first, second = exporter.get_finished_spans()
    assert (first.name, first.resource.attributes["service.name"]) == ("by the provider", "theirs")
    assert (second.name, second.resource.attributes["service.name"]) == (
        "by a processor",
        "agentnb",
    )


def test_a_provider_of_the_sdk_shows_its_processors():
    """Their private name is the only way to a provider: a release without it fails here."""
    assert isinstance(TracerProvider()._active_span_processor, SpanProcessor)


@pytest.mark.parametrize("wrong", [None, "http://localhost:4318", print, SpanExporter], ids=repr)
def test_an_exporter_of_another_kind_is_refused(hub, wrong):
    with pytest.raises(UsageError, match="exporter must be a SpanExporter"):
        hub.trace.export_to(wrong)
    assert hub.trace.exports == ()


def test_a_provider_that_takes_no_spans_is_refused(hub):
    with pytest.raises(ConfigError, match="ProxyTracerProvider takes no finished spans"):
        hub.trace.export_to(ProxyTracerProvider())


def test_one_trace_leads_from_the_users_span_over_our_task_to_their_instrumentation(
    tmp_path, exporter
):
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("instrumentation")

    def write(_task, ctx):
        with tracer.start_as_current_span("chat"):
            return ctx.step("fetch", fetch)

    def fetch():
        with tracer.start_as_current_span("embeddings"):
            return 1

    with (
        agentnb.connect(home=tmp_path / "home") as hub,
        use(None),
        hub.trace.export_to(provider),
        tracer.start_as_current_span("request"),
    ):
        hub.workflows.agent("writer")(write)
        workflow = hub.workflows.create("app", tasks=[{"name": "write", "agent": "writer"}])
        hub.workflows.work()
        workflow.wait(timeout=30)
        hub.workflows.stop()
    provider.shutdown()
    found = {one.context.span_id: one for one in exporter.get_finished_spans()}

    def path(name):
        """Return the names from the first span of a name up to the root."""
        one, names = next(one for one in found.values() if one.name == name), []
        while one is not None:
            names.append(one.name)
            one = found.get(one.parent.span_id) if one.parent else None
        return names

    task = ["invoke_agent writer", "invoke_workflow app", "request"]
    assert path("chat") == ["chat", *task]
    assert path("embeddings") == ["embeddings", "step fetch", *task]
    assert len({one.context.trace_id for one in found.values() if one.name in path("chat")}) == 1


def test_a_real_receiver_gets_the_spans_of_agentnb_otel(otel_hub, receiver):
    hub = otel_hub(
        OTEL_EXPORTER_OTLP_HEADERS=f"x-api-key={CANARY}",
        OTEL_SERVICE_NAME="shop",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test,team=a%20b",
    )
    with pytest.raises(agentnb.AgentnbError), hub.trace.run("nightly") as run:
        hub.db.query(f"select * from missing where key = '{CANARY}'")
    own = hub.tracer.recent()
    hub.close()
    assert ids(own) == {
        (one.trace_id.hex(), one.span_id.hex(), one.parent_span_id.hex() or None)
        for one, _ in receiver.spans
    }
    failed, resource = next(
        one for one in receiver.spans if one[0].status.message and one[0].name != "nightly"
    )
    assert (failed.name, failed.kind) == ("SELECT missing", failed.SPAN_KIND_CLIENT)
    wanted = {"db.system.name": "sqlite", "db.query.text": "select * from missing where key = ?"}
    assert wanted.items() <= attributes_of(failed).items()
    assert failed.status.code == failed.status.STATUS_CODE_ERROR
    assert attributes_of(failed.events[0])["exception.type"] == "TableNotFound"
    assert failed.trace_id.hex() == run.trace_id
    wanted = {"service.name": "shop", "team": "a b", "process.pid": os.getpid()}
    assert wanted.items() <= resource.items()
    assert receiver.headers[0]["x-api-key"] == CANARY
    assert {(scope.name, url) for scope, url in receiver.scopes} == {("agentnb", SCHEMA_URL)}
    assert not any(CANARY in str(one) for one in receiver.spans)
    assert hub.settings.redactor(CANARY) == "••••••"


def test_variables_of_the_env_file_count(otel_hub, receiver, tmp_path, monkeypatch):
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT")
    lines = [
        f"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT={receiver.url}/v1/traces",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS=x-team=a%20b",
        "OTEL_SERVICE_NAME=from-the-file",
    ]
    (tmp_path / ".env").write_text("\n".join(lines))
    hub = otel_hub()
    with hub.trace.span("work"):
        pass
    hub.close()
    assert receiver.named("work")[1]["service.name"] == "from-the-file"
    assert receiver.headers[0]["x-team"] == "a b"


def test_the_log_has_the_spans_that_were_lost_at_the_end(otel_hub, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and listens to nobody
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        hub = otel_hub(OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_EXPORTER_OTLP_TIMEOUT="0.2")
        with hub.trace.span("work"):
            pass
        hub.close()
    (log,) = (tmp_path / "home/logs").glob("agentnb-*.jsonl")
    assert f"1 spans were not exported to {url}/v1/traces" in log.read_text()


SCRIPT = """
import logging, sys, agentnb
if sys.argv[1] == "logged":
    logging.basicConfig(format="logged: %(message)s")
with agentnb.connect(home="home", database_url="sqlite://") as hub, hub.trace.run("nightly"):
    hub.db.query("select 1")
"""


@pytest.mark.parametrize(("logs", "start"), [("plain", "agentnb"), ("logged", "logged")])
def test_a_script_whose_receiver_is_away_says_it_once_where_it_is_seen(tmp_path, logs, start):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and listens to nobody
        url = f"http://ada:{CANARY}@127.0.0.1:{taken.getsockname()[1]}"
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_TIMEOUT": "0.2"}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, logs],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, **variables, "AGENTNB_OTEL": "1"},
            check=True,
        )
    [line] = [one for one in done.stderr.splitlines() if "were not exported" in one]
    assert line.startswith(f"{start}: 3 spans were not exported to http://ada:••••••@127.0.0.1")


def test_a_task_is_linked_to_what_it_needed_as_far_as_this_process_has_done_it(hub, exporter):
    def task(name, *needs, number=7, fails=False):
        about = {"workflow": number, "task": name, "needs": needs}
        with contextlib.suppress(LookupError):  # noqa: SIM117 - the error ends the span
            with hub.tracer.span("task", service="workflow", kind="work", **about) as span:
                if fails:
                    raise LookupError(name)
        return span.span

    with hub.trace.export_to(exporter):
        task("plan", fails=True)
        plan = task("plan")
        task("other", number=8)
        task("build", "plan", "elsewhere")
        task("test", "plan", number=8)
    found = exporter.get_finished_spans()
    assert [[one.context.span_id for one in span.links] for span in found] == [
        *([], [], []),
        *([plan], []),
    ]


def test_a_tracer_without_a_folder_exports_its_steps_too(exporter):
    tracer = Tracer()
    with Traces(tracer, list).export_to(exporter), tracer.span("parse", kind="step"):
        pass
    assert [one.name for one in exporter.get_finished_spans()] == ["parse"]


def test_a_disabled_sdk_exports_nothing(otel_hub):
    assert otel_hub(OTEL_SDK_DISABLED="true").trace.exports == ()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "must be http:// or https:// with a"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", f"ftp://a:{CANARY}@b", "must be http:// or https://"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://:4318", "must be http:// or https://"),
        ("OTEL_EXPORTER_OTLP_HEADERS", CANARY, "must be pairs NAME=VALUE"),
        ("OTEL_EXPORTER_OTLP_HEADERS", f"authorization={CANARY}\n", None),
        ("OTEL_EXPORTER_OTLP_HEADERS", f"authorization={CANARY}%0Ax", "must be pairs NAME=VALUE"),
        ("OTEL_RESOURCE_ATTRIBUTES", CANARY, "must be pairs NAME=VALUE"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "must be http/protobuf, got 'grpc'"),
    ],
)  # fmt: skip
def test_a_variable_that_cannot_be_used_is_refused_without_its_secret(
    otel_hub, name, value, message, caplog
):
    with caplog.at_level(logging.DEBUG):
        hub = otel_hub(**{name: value})
        if message is None:
            assert hub.trace.exports
            return
        with pytest.raises(ConfigError, match=message) as raised:
            _ = hub.trace
    assert CANARY not in str(raised.value) + str(raised.value.hint) + caplog.text


def test_without_the_extra_the_error_has_the_line_to_paste(otel_hub, monkeypatch, exporter, hub):
    monkeypatch.setitem(environment._MODULES, "opentelemetry.no_such", "opentelemetry-no-such")
    for use_it in (lambda: otel_hub().trace, lambda: hub.trace.export_to(exporter)):
        with pytest.raises(ConfigError, match="needs the extra otel") as raised:
            use_it()
        assert raised.value.hint == "%pip install opentelemetry-no-such"
