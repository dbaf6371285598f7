"""Spans of agentnb in the words of OpenTelemetry's semantic conventions."""

from __future__ import annotations

import importlib
import pkgutil
from contextlib import suppress

import pytest
from opentelemetry import semconv
from opentelemetry.semconv._incubating.attributes import (
    db_attributes,
    gen_ai_attributes,
    messaging_attributes,
)
from opentelemetry.semconv.schemas import Schemas

from agentnb.core.redact import Redactor
from agentnb.core.trace import Tracer
from agentnb.core.trace.otel.conventions import ENUMERATED, MADE, NAMES, SCHEMA_URL, describe
from agentnb.core.trace.otel.statements import summary, without_literals

STABLE = ("db.", "http.", "url.", "server.", "error.", "exception.", "container.image")
ALL = sorted(MADE | {name for names in NAMES.values() for name in names.values()})


def names_in(package):
    """Return the names of attributes that a package of the conventions has, with their docs."""
    found = set()
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}."):
        texts = vars(importlib.import_module(module.name)).values()
        found |= {one for one in texts if isinstance(one, str)}
    return found


@pytest.mark.parametrize("name", ALL)
def test_a_name_is_one_of_the_conventions(name):
    stable = names_in(f"{semconv.__name__}.attributes")
    known = stable | names_in(f"{semconv.__name__}._incubating.attributes")
    assert name in (stable if name.startswith(STABLE) else known)


def test_the_values_and_the_schema_are_of_the_conventions():
    enums = {
        "db.system.name": db_attributes.DbSystemNameValues,
        "messaging.operation.type": messaging_attributes.MessagingOperationTypeValues,
        "gen_ai.operation.name": gen_ai_attributes.GenAiOperationNameValues,
    }
    assert enums.keys() == ENUMERATED.keys()
    for name, enum in enums.items():
        assert ENUMERATED[name] <= {one.value for one in enum}
    assert SCHEMA_URL in {one.value for one in Schemas}


def described(name, service, *, error=None, attempt=1, **about):
    span = Tracer().span(name, service=service, attempt=attempt, **about)
    with suppress(OSError), span:
        if error is not None:
            raise error
    return span, describe(span, Redactor(["hunter22"]))


def test_a_span_around_several_calls_is_no_client_s():
    _, found = described("transaction", "db", kind="step", system="sqlite")
    assert (found.name, found.kind) == ("transaction", "INTERNAL")
    _, found = described("pages", "api", kind="step", path="/repos/ada/app/pulls")
    assert (found.name, found.kind) == ("api pages", "INTERNAL")
    assert "http.request.method" not in found.attributes


def test_a_query_has_its_operation_its_table_and_no_value():
    text = "select name from app.task where owner = 'hunter22' and id = :id"
    _, found = described("query", "db", statement=text, system="postgresql", rows=3)
    assert (found.name, found.kind, found.error) == ("SELECT app.task", "CLIENT", None)
    wanted = {
        "db.system.name": "postgresql",
        "db.query.text": "select name from app.task where owner = ? and id = :id",
        "db.query.summary": "SELECT app.task",
        "db.operation.name": "SELECT",
        "db.collection.name": "app.task",
        "agentnb.rows": 3,
        "agentnb.service": "db",
        "agentnb.operation": "query",
    }
    assert wanted.items() <= found.attributes.items()


@pytest.mark.parametrize(
    ("text", "system", "left"),
    [
        ("select 'it''s hunter22', 1.5e3, 0xFF, t1.c from t1", "sqlite", "select ?, ?, ?, t1.c from t1"),  # noqa: E501
        ("select 1 -- hunter22\nfrom t /* hunter22 */ where a=$1", "", "select ?  \nfrom t   where a=$1"),  # noqa: E501
        ("select $tag$hunter22'$tag$ from t", "postgresql", "select ? from t"),
        (r"select E'it\'s hunter22' as a, 'x' from t", "postgresql", "select ? from t"),
        ('select "hunter22" from t', "mysql", "select ? from t"),
        ('select "hunter22" from t', "", "select ? from t"),
        ('select "a 1" from t', "postgresql", 'select "a 1" from t'),
        ("select 'hunter22 from t", "sqlite", "select ?"),
        ("insert into t values (-5, :p1, ?)", "sqlite", "insert into t values (-?, :p1, ?)"),
    ],
)  # fmt: skip
def test_values_are_left_out_of_a_statement(text, system, left):
    assert without_literals(text, system=system) == left


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("insert into task (a) values (?)", ("INSERT", "task")),
        ("update app.task set a = ?", ("UPDATE", "app.task")),
        ("select * from a join b on true", ("SELECT", None)),
        ('(select * from "Task")', ("SELECT", "Task")),
        ("create table if not exists t (a)", ("CREATE", "t")),
        ("", (None, None)),
        ("; 7", (None, None)),
    ],
)
def test_a_statement_has_an_operation_and_one_table_at_most(text, found):
    assert summary(text) == found


def test_a_request_has_its_url_without_secrets_and_the_number_of_resends():
    url = "https://ada:s3cret-word@api.example/items?token=abcdefgh12&page=2"
    failure = OSError("the server is away: hunter22")
    span, found = described("GET", "api", url=url, status=503, bytes=7, attempt=2, error=failure)
    assert (found.name, found.kind) == ("GET", "CLIENT")
    shown = found.attributes["url.full"]
    assert "s3cret" not in shown
    assert "abcdefgh12" not in shown
    assert shown.endswith("page=2")
    wanted = {
        "http.request.method": "GET",
        "http.response.status_code": 503,
        "http.request.resend_count": 1,
        "server.address": "api.example",
        "server.port": 443,
        "error.type": "503",
    }
    assert wanted.items() <= found.attributes.items()
    assert found.error == "the server is away: ••••••"
    (event,) = found.events
    assert (event.name, event.at) == ("exception", span.ended)
    assert event.attributes == {
        "exception.type": "OSError",
        "exception.message": "the server is away: ••••••",
    }


@pytest.mark.parametrize("url", ["no url", "http://[::1", "http://host:99999999/", 7])
def test_a_url_that_is_none_gives_no_server(url):
    _, found = described("GET", "api", url=url)
    assert not {"server.address", "server.port"} & found.attributes.keys()


@pytest.mark.parametrize(
    ("service", "name", "about", "span_name", "kind", "operation"),
    [
        ("queue", "add", {"queue": "mail", "job": "7"}, "add mail", "PRODUCER", "send"),
        ("queue", "process", {"queue": "mail", "job": "7"}, "process mail", "CONSUMER", "process"),
        ("queue", "result", {"queue": "mail", "job": "7"}, "result mail", "CLIENT", "receive"),
        ("events", "publish", {"channel": "made", "event": "7"}, "publish made", "PRODUCER", "send"),  # noqa: E501
        ("events", "handle", {"channel": "made", "event": "7"}, "handle made", "CONSUMER", "process"),  # noqa: E501
    ],
)  # fmt: skip
def test_jobs_and_events_are_messages(service, name, about, span_name, kind, operation):
    _, found = described(name, service, **about)
    assert (found.name, found.kind) == (span_name, kind)
    wanted = {
        "messaging.system": "agentnb",
        "messaging.operation.name": name,
        "messaging.operation.type": operation,
        "messaging.destination.name": span_name.split()[1],
        "messaging.message.id": "7",
    }
    assert wanted.items() <= found.attributes.items()


@pytest.mark.parametrize(
    ("service", "name", "about", "span_name", "kind"),
    [
        ("workflow", "task", {"agent": "writer", "task": "write"}, "invoke_agent writer", "INTERNAL"),  # noqa: E501
        ("workflow", "create", {"workflow": "3", "workflow_name": "app"}, "invoke_workflow app", "INTERNAL"),  # noqa: E501
        ("workflow", "step", {"step": "fetch"}, "step fetch", "INTERNAL"),
        ("redis", "GET", {}, "GET", "CLIENT"),
        ("cache", "get", {"key": "k", "hit": True}, "cache get", "CLIENT"),
        ("docker", "run", {"image": "app:1", "exit_code": 3}, "docker run", "CLIENT"),
        ("git", "commit", {}, "git commit", "INTERNAL"),
        ("websocket", "handle", {}, "websocket handle", "CONSUMER"),
        ("notebook", "cell", {}, "cell", "INTERNAL"),
        ("app", "chat", {"gen_ai.usage.input_tokens": 3, "page": 1}, "chat", "INTERNAL"),
    ],
)  # fmt: skip
def test_each_service_has_a_name_and_a_kind(service, name, about, span_name, kind):
    _, found = described(name, service, **about)
    assert (found.name, found.kind) == (span_name, kind)


def test_own_names_have_a_prefix_and_those_of_the_user_are_kept():
    _, found = described("chat", "app", **{"gen_ai.usage.input_tokens": 3, "page": 1})
    assert {"gen_ai.usage.input_tokens": 3, "page": 1}.items() <= found.attributes.items()
    _, found = described("get", "cache", key="k", hit=True)
    assert {"agentnb.key": "k", "agentnb.hit": True}.items() <= found.attributes.items()


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ([1, 2], [1, 2]),
        ([1, "a"], '[1, "a"]'),
        ({"a": [1]}, '{"a": [1]}'),
        (2**70, str(2**70)),
        ({"password": "x"}, '{"password": "••••••"}'),
        ("see hunter22", "see ••••••"),
        (float("nan"), "nan"),
        ([], []),
    ],
    ids=repr,
)
def test_every_value_has_a_form_and_no_secret(value, kept):
    assert described("work", "app", value=value)[1].attributes["value"] == kept


def test_a_missing_value_is_no_attribute_and_what_is_not_over_says_so():
    span, found = described("work", "app", value=None)
    assert "value" not in found.attributes
    span.outcome = "running"
    assert describe(span).attributes["agentnb.outcome"] == "running"
    assert describe(span).error is None


def test_a_span_that_was_lost_is_an_error_with_its_outcome():
    span, _ = described("process", "queue", queue="mail")
    span.outcome = "Lost"
    found = describe(span)
    assert (found.error, found.attributes["error.type"]) == ("Lost", "Lost")
