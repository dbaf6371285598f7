"""The table of semantic conventions: a span of agentnb in the words of OpenTelemetry.

Databases and HTTP have stable conventions; those of messaging and of generative AI are in
development, and are used as they are. All else is below ``agentnb.``. A test compares each name
with the package ``opentelemetry-semantic-conventions``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, Literal, NamedTuple
from urllib.parse import urlsplit

from agentnb.core.redact import redact
from agentnb.core.trace.files import clean
from agentnb.core.trace.otel.statements import summary, without_literals

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.trace.spans import Span

__all__ = [
    "ENUMERATED",
    "MADE",
    "NAMES",
    "SCHEMA_URL",
    "Attribute",
    "Described",
    "Event",
    "describe",
]

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.41.0"
"""The version of the conventions that the names below are of."""

Attribute = str | bool | int | float | list[str] | list[bool] | list[int] | list[float]
SpanKind = Literal["INTERNAL", "CLIENT", "PRODUCER", "CONSUMER"]

NAMES: Final[dict[str, dict[str, str]]] = {
    "db": {"statement": "db.query.text", "system": "db.system.name", "table": "db.collection.name"},
    "redis": {},
    "cache": {},
    "api": {
        "url": "url.full",
        "method": "http.request.method",
        "status": "http.response.status_code",
    },
    "queue": {"queue": "messaging.destination.name", "job": "messaging.message.id"},
    "events": {"channel": "messaging.destination.name", "event": "messaging.message.id"},
    "workflow": {"agent": "gen_ai.agent.name"},
    "websocket": {"url": "url.full"},
    "docker": {"image": "container.image.name", "exit_code": "process.exit.code"},
    "files": {"path": "file.path"},
}
"""The conventional names of the attributes of each service."""

ENUMERATED: Final = {
    "db.system.name": frozenset({"postgresql", "mysql", "mariadb", "sqlite", "redis"}),
    "messaging.operation.type": frozenset({"send", "process", "receive"}),
    "gen_ai.operation.name": frozenset({"invoke_agent", "invoke_workflow"}),
}
"""The values of theirs that are used; a database of another kind has the name of its own."""

MADE: Final = frozenset({
    *("db.operation.name", "db.query.summary", "error.type", "exception.type"),
    *("exception.message", "gen_ai.operation.name", "http.request.resend_count"),
    *("messaging.operation.name", "messaging.operation.type", "messaging.system"),
    *("server.address", "server.port"),
})  # fmt: skip
"""The names of what no attribute of a span holds in this form."""

_MESSAGES: Final[dict[tuple[str, str], tuple[str, SpanKind]]] = {
    ("queue", "add"): ("send", "PRODUCER"),
    ("queue", "add_many"): ("send", "PRODUCER"),
    ("queue", "map"): ("send", "PRODUCER"),
    ("queue", "schedule"): ("send", "PRODUCER"),
    ("queue", "process"): ("process", "CONSUMER"),
    ("queue", "result"): ("receive", "CLIENT"),
    ("queue", "results"): ("receive", "CLIENT"),
    ("events", "publish"): ("send", "PRODUCER"),
    ("events", "handle"): ("process", "CONSUMER"),
}
"""The type and the span kind of each operation on messages."""

_AGENTS: Final = {
    "task": "invoke_agent",
    "create": "invoke_workflow",
    "workflow": "invoke_workflow",
}
_CLIENTS: Final = frozenset({"db", "redis", "cache", "api", "docker", "websocket"})
_REDIS: Final = frozenset({"redis", "cache"})


class Event(NamedTuple):
    """Something that happened at a time of a span: the error that ended it."""

    name: str
    at: float
    attributes: dict[str, Attribute]


class Described(NamedTuple):
    """A span in the words of OpenTelemetry, with every secret masked.

    Attributes
    ----------
    name, kind, attributes
        As the conventions have them.
    error
        The description of its status where it failed, else None.
    events
        The exception that ended it.
    """

    name: str
    kind: SpanKind
    attributes: dict[str, Attribute]
    error: str | None
    events: tuple[Event, ...]


def describe(span: Span, redactor: Callable[[str], str] = redact) -> Described:
    """Return a span as the conventions have it.

    Examples
    --------
    >>> from agentnb.core.trace import Tracer
    >>> with Tracer().span("add", service="queue", queue="mail", job="7") as span:
    ...     pass
    >>> found = describe(span)
    >>> found.name, found.kind, found.attributes["messaging.message.id"]
    ('add mail', 'PRODUCER', '7')
    """
    known = NAMES.get(span.service, {})
    prefix = "" if span.service == "app" else "agentnb."
    given = clean(span.attributes or {}, redactor)
    attributes: dict[str, Attribute] = {
        "agentnb.service": span.service,
        "agentnb.operation": redactor(span.name),
        "agentnb.attempt": span.attempt,
        "agentnb.kind": span.kind,
    }
    if span.correlation_id is not None:
        attributes["agentnb.correlation_id"] = redactor(span.correlation_id)
    if isinstance(given, dict):
        for key, value in given.items():
            # A name with a dot is the user's choice, such as `gen_ai.usage.input_tokens`.
            name = known.get(key) or (key if "." in key else f"{prefix}{key}")
            if value is not None:
                attributes[name] = _attribute(value)
    name, kind = _worded(span, attributes)
    events: tuple[Event, ...] = ()
    description = None
    if span.failed:
        outcome = redactor(span.outcome)
        attributes.setdefault("error.type", outcome)
        description = redactor(span.error) if span.error else outcome
        about: dict[str, Attribute] = {"exception.type": outcome}
        if span.error:
            about["exception.message"] = description
        events = (Event("exception", span.ended, about),)
    elif span.outcome != "ok":
        attributes["agentnb.outcome"] = span.outcome
    return Described(redactor(name), kind, attributes, description, events)


def _attribute(value: object) -> Attribute:
    """Return a value that attributes have: what is nested becomes JSON."""
    if isinstance(value, str | bool | int | float):
        return value if not isinstance(value, int) or -(2**63) <= value < 2**63 else str(value)
    if isinstance(value, list):
        for kind in (str, bool, int, float):
            if all(type(one) is kind for one in value):
                return value
    return json.dumps(value, ensure_ascii=False)


def _worded(span: Span, attributes: dict[str, Attribute]) -> tuple[str, SpanKind]:
    """Add what the conventions of a service want, and return the name and the kind."""
    service, name = span.service, span.name
    is_call = span.kind == "call"  # else around several, such as a transaction or pages
    kind: SpanKind = "CLIENT" if service in _CLIENTS and is_call else "INTERNAL"
    if service == "db":
        return _query(span, attributes), kind
    if service in _REDIS:
        attributes["db.system.name"] = "redis"
        attributes["db.operation.name"] = name
        return (name if service == "redis" else f"cache {name}"), kind
    if service == "api" and is_call:
        return _request(span, attributes), kind
    if (service, name) in _MESSAGES:
        operation, kind = _MESSAGES[service, name]
        attributes["messaging.system"] = "agentnb"
        attributes["messaging.operation.name"] = name
        attributes["messaging.operation.type"] = operation
        return f"{name} {attributes.get('messaging.destination.name', service)}", kind
    if service == "workflow" and name in _AGENTS:
        operation = attributes["gen_ai.operation.name"] = _AGENTS[name]
        whose = "gen_ai.agent.name" if name == "task" else "agentnb.workflow_name"
        called = attributes.get(whose) or attributes.get("agentnb.workflow")
        return f"{operation} {called}" if called else operation, kind
    if service in {"app", "notebook"}:
        return name, kind
    if (service, name) == ("workflow", "step") and "agentnb.step" in attributes:
        return f"step {attributes['agentnb.step']}", kind
    if service == "websocket":
        kind = "CONSUMER" if name == "handle" else kind
    return f"{service} {name}", kind


def _query(span: Span, attributes: dict[str, Attribute]) -> str:
    text, system = attributes.get("db.query.text"), attributes.get("db.system.name")
    if not isinstance(text, str):
        attributes["db.operation.name"] = span.name
        table = attributes.get("db.collection.name")
        return f"{span.name} {table}" if table else span.name
    attributes["db.query.text"] = text = without_literals(text, system=str(system or ""))
    operation, table = summary(text)
    if operation:
        attributes["db.operation.name"] = operation
    if table:
        attributes["db.collection.name"] = table
    found = f"{operation} {table}" if table else operation or span.name
    attributes["db.query.summary"] = found
    return found


def _request(span: Span, attributes: dict[str, Attribute]) -> str:
    method = str(attributes.setdefault("http.request.method", span.name))
    if span.attempt > 1:
        attributes["http.request.resend_count"] = span.attempt - 1
    status = attributes.get("http.response.status_code")
    if span.failed and isinstance(status, int) and status >= 400:  # noqa: PLR2004 - HTTP's errors
        attributes["error.type"] = str(status)
    _place(attributes)
    return method


def _place(attributes: dict[str, Attribute]) -> None:
    """Add the server of a URL."""
    url = attributes.get("url.full")
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        host, port = parts.hostname, parts.port
    except ValueError:
        return
    if host:
        attributes["server.address"] = host
        default = {"http": 80, "https": 443, "ws": 80, "wss": 443}.get(parts.scheme)
        if (port or default) is not None:
            attributes["server.port"] = port or default or 0
