"""A trace that is over goes to a file or a receiver of OpenTelemetry."""

from __future__ import annotations

import base64
import json
import socket
from functools import partial

import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

import agentnb
from agentnb.cli import main
from agentnb.core.errors import NotFoundError
from agentnb.core.trace import start_trace, use
from agentnb.core.trace.otel import environment
from agentnb.core.trace.otel.otlp import to_otlp
from agentnb.core.trace.process import Process
from tests.otlp import attributes_of, receiving

CANARY = "canary-4711-secret"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Return the home of a folder that commands run in, with one trace of a failure."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AGENTNB_HOME", str(tmp_path / "home"))
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


@pytest.fixture
def trace(home):
    with agentnb.connect(home=home, database_url="sqlite://") as hub, use(None):
        with pytest.raises(agentnb.AgentnbError), hub.trace.run("nightly", "order-17"):
            with hub.trace.span("parse", page=1, share=0.5, done=True, names=["a", "b"]) as span:
                span.links = ("00f067aa0ba902b7",)
            hub.db.query(f"select * from missing where key = '{CANARY}'")
        return hub.trace.last()


def read(text):
    """Return the spans of OTLP's JSON with their resources; every name in it has to be known."""
    found = json.loads(text)
    for of_resource in found["resourceSpans"]:
        for of_scope in of_resource["scopeSpans"]:
            for span in of_scope["spans"]:
                for one in (span, *span.get("links", ())):
                    for key in {"traceId", "spanId", "parentSpanId"} & one.keys():
                        one[key] = base64.b64encode(bytes.fromhex(one[key])).decode()
    return [
        (span, attributes_of(of_resource.resource))
        for of_resource in ParseDict(found, TracesData()).resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]


def ids_of(trace):
    return {(one.trace_id, one.span_id, one.parent_id) for one in trace.spans}


def received_ids(pairs):
    return {
        (one.trace_id.hex(), one.span_id.hex(), one.parent_span_id.hex() or None)
        for one, _ in pairs
    }


def test_a_file_holds_every_span_in_the_form_of_the_protocol(trace):
    found = read(to_otlp(trace))
    assert received_ids(found) == ids_of(trace)
    parse = next(one for one, _ in found if one.name == "parse")
    wanted = {"page": 1, "share": 0.5, "done": True, "names": ["a", "b"]}
    assert wanted.items() <= attributes_of(parse).items()
    assert [one.span_id.hex() for one in parse.links] == ["00f067aa0ba902b7"]
    query = next(one for one, _ in found if one.name == "SELECT missing")
    assert (query.kind, parse.kind) == (query.SPAN_KIND_CLIENT, query.SPAN_KIND_INTERNAL)
    assert query.status.code == query.status.STATUS_CODE_ERROR
    assert attributes_of(query.events[0])["exception.type"] == "TableNotFound"
    assert CANARY not in to_otlp(trace).decode()


def test_the_file_has_a_resource_for_each_process(trace):
    for number, span in enumerate(trace.spans):
        span.process = Process(number % 2 + 1, "far", "worker mail")
    found = {resource["process.pid"]: resource for _, resource in read(to_otlp(trace))}
    assert found.keys() == {1, 2}
    assert found[1]["host.name"] == "far"
    assert found[2]["agentnb.role"] == "worker mail"
    assert found[1]["service.name"] == "agentnb"


def test_the_command_sends_a_trace_to_a_receiver(trace, capsys):
    with receiving() as receiver:
        code = main(["trace", "export", trace.id[:8], "--otlp", receiver.url])
    assert code == 0
    assert received_ids(receiver.spans) == ids_of(trace)
    said = capsys.readouterr().out
    assert (
        said
        == f"{len(trace.spans)} spans of trace {trace.id[:8]} sent to {receiver.url}/v1/traces\n"
    )


def test_the_command_takes_the_endpoint_of_the_environment(trace, monkeypatch):
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-key={CANARY}")
        assert main(["trace", "export"]) == 0
    assert received_ids(receiver.spans) == ids_of(trace)
    assert receiver.headers[0]["x-key"] == CANARY


def test_spans_that_are_not_sampled_are_not_sent(home, capsys):
    connect = partial(agentnb.connect, home=home, database_url="sqlite://")
    with connect() as hub, use(None), hub.trace.run("kept") as run:
        hub.db.query("select 1")
        start_trace(parent=run.traceparent[:-2] + "00")
        with hub.trace.span("alone"):
            hub.db.query("select 2")
    with receiving() as receiver:
        assert main(["trace", "export", run.trace_id, "--otlp", receiver.url]) == 0
        assert [one.name for one, _ in receiver.spans] == ["kept", "connect", "SELECT"]
        said = capsys.readouterr().out
        assert said.startswith(f"3 spans of trace {run.trace_id[:8]} sent to ")
        assert said.endswith("; 2 that are not sampled were left out\n")
        receiver.spans.clear()
        with connect() as hub, use(None):
            start_trace(parent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")
            with hub.trace.span("unsampled"):
                pass
            trace = hub.trace.get("4bf92f35")
            assert [span.sampled for span in trace.spans] == [False]
            assert '"flags": 0' in to_otlp(trace).decode()
        assert main(["trace", "export", "4bf92f35", "--otlp", receiver.url]) == 2
        assert "no span of trace 4bf92f35 is sampled" in capsys.readouterr().err
        assert receiver.spans == []


@pytest.mark.usefixtures("trace")
def test_the_hints_of_the_command_name_the_command_line(capsys):
    assert main(["trace", "show", "123456"]) == 2
    assert capsys.readouterr().err.endswith("hint: agentnb trace list lists the traces\n")
    assert main(["trace", "list"]) == 0
    said = capsys.readouterr().out
    assert "agentnb trace show ID shows one" in said
    assert "%trace" not in said
    with agentnb.connect(database_url="sqlite://") as hub, pytest.raises(NotFoundError) as caught:
        hub.trace.get("123456")
    assert caught.value.hint == "hub.trace.list() lists the traces"


@pytest.mark.usefixtures("trace")
def test_a_receiver_that_is_away_is_an_error_without_a_secret(capsys, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization={CANARY}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and listens to nobody
        url = f"http://ada:{CANARY}@127.0.0.1:{taken.getsockname()[1]}"
        assert main(["trace", "export", "--otlp", url]) == 2
    said = capsys.readouterr().err
    assert "did not take the spans" in said
    assert "is a collector listening there" in said
    assert CANARY not in said


@pytest.mark.usefixtures("trace")
def test_a_receiver_that_redirects_has_not_taken_the_spans(capsys):
    with receiving() as receiver:
        receiver.redirect = f"{receiver.url}/login"
        assert main(["trace", "export", "--otlp", receiver.url]) == 2
    assert "it answered 302, a redirect" in capsys.readouterr().err


@pytest.mark.usefixtures("trace")
def test_a_receiver_that_tells_a_header_back_shows_no_secret(capsys, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-key={CANARY}")
    with receiving() as receiver:
        receiver.refuse = lambda headers: f"no such key: {headers['x-key']}"
        assert main(["trace", "export", "--otlp", receiver.url]) == 2
    said = capsys.readouterr().err
    assert "no such key: ••••••" in said
    assert "hint: OTEL_EXPORTER_OTLP_HEADERS=NAME=VALUE" in said
    assert CANARY not in said


def test_the_command_lists_and_shows_traces(trace, capsys):
    assert main(["trace", "list", "--failed", "-n", "1"]) == 0
    assert trace.id[:8] in capsys.readouterr().out
    assert main(["trace", "show", trace.id[:8], "--plain"]) == 0
    assert capsys.readouterr().out == f"{trace.plain()}\n"
    assert main(["trace", "show"]) == 0
    assert "nightly" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trace"], "verb"),
        (["trace", "shwo"], "shwo"),
        (["trace", "show", "123456"], "123456"),
        (["trace", "show", "--otlp", "http://a"], "--otlp has no effect with show"),
        (["trace", "list", "123456"], "ID has no effect with list"),
        (["trace", "list", "-n", "0"], "must be 1 or more"),
        (["trace", "export", "-n", "3"], "-n has no effect with export"),
        (["trace", "export", "--otlp", "collector:4318"], "must be http:// or https://"),
    ],
)
@pytest.mark.usefixtures("trace")
def test_a_command_that_cannot_be_is_refused(capsys, words, message):
    assert main(words) == 2
    assert message in capsys.readouterr().err


@pytest.mark.usefixtures("trace")
def test_without_the_extra_the_command_has_the_line_to_paste(capsys, monkeypatch):
    monkeypatch.setitem(environment._MODULES, "opentelemetry.no_such", "opentelemetry-no-such")
    assert main(["trace", "export"]) == 2
    assert "pip install opentelemetry-no-such" in capsys.readouterr().err
