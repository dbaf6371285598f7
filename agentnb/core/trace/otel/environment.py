"""The export that ``AGENTNB_OTEL=1`` asks for, by the variables of OpenTelemetry."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from agentnb.core.errors import ConfigError, UnavailableError, UsageError
from agentnb.core.redact import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.settings import Settings
    from agentnb.core.trace.otel.export import SpanExport
    from agentnb.core.trace.otel.sinks import Sink
    from agentnb.core.trace.spans import Tracer

__all__ = ["OTLPTarget", "check_installed", "export_by_environment", "target_of", "variables_of"]

_MODULES: Final = {
    "opentelemetry.sdk.trace": "opentelemetry-sdk",
    "opentelemetry.exporter.otlp.proto.http": "opentelemetry-exporter-otlp-proto-http",
}
_PROTOCOL: Final = "http/protobuf"
_DEFAULT: Final = "http://localhost:4318"
_PATH: Final = "/v1/traces"
_PREFIX: Final = "OTEL_EXPORTER_OTLP_"
_LONG_ENOUGH: Final = 8
_logger = logging.getLogger("agentnb.trace")


def check_installed(needs: str) -> None:
    """Refuse to go on without the packages of the extra ``otel``.

    Raises
    ------
    ConfigError
        One is missing; the hint is the line that installs it.
    """
    missing = [package for module, package in _MODULES.items() if not _is_there(module)]
    if missing:
        raise ConfigError(
            f"{needs} needs the extra otel: {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not installed here",
            service="trace",
            hint=f"%pip install {' '.join(missing)}",
        )


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a package above it is not there
        return False


class OTLPTarget:
    """The receiver of spans by OTLP over HTTP.

    Parameters
    ----------
    url
        The URL of the traces.
    headers
        Headers of each request; their values are shown nowhere.

    Examples
    --------
    >>> OTLPTarget("https://ada:s3cret@collector.example/v1/traces", {})
    OTLPTarget(https://ada:••••••@collector.example/v1/traces)
    """

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self.url = url
        self._headers = headers
        self.redactor = Redactor([*headers.values(), *(unquote(one) for one in headers.values())])
        """Masks the values of the headers."""

    @property
    def secrets(self) -> list[str]:
        """The values of the headers that are long enough to be looked for in all texts."""
        return [value for value in self._headers.values() if len(value) >= _LONG_ENOUGH]

    def sink(self) -> Sink:
        """Return a sink that sends there; imports the exporter."""
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from requests import Session

        from agentnb.core.trace.otel.sinks import ExporterSink

        session = Session()
        session.hooks["response"].append(_refuse_redirect)
        exporter = OTLPSpanExporter(self.url, headers=self._headers, session=session)
        return ExporterSink(exporter, owned=True)

    def __repr__(self) -> str:
        return f"OTLPTarget({self.redactor(self.url)})"


def _refuse_redirect(response: Any, **_: Any) -> None:
    """Refuse a redirect: a login page that answers 200 has not taken the spans."""
    if response.is_redirect:
        status = response.status_code
        response.close()
        raise UnavailableError(f"it answered {status}, a redirect", service="trace")


def target_of(variable: Callable[[str], str | None], url: str | None = None) -> OTLPTarget:
    """Return where spans go by the variables of OpenTelemetry.

    Parameters
    ----------
    variable
        Returns a variable of the environment or of ``.env``; None for none.
    url
        The endpoint, in place of theirs.

    Raises
    ------
    ConfigError
        A variable cannot be used.
    UsageError
        The URL is none.

    Examples
    --------
    >>> target_of({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318/"}.get).url
    'http://collector:4318/v1/traces'
    """
    if url is not None:
        if not _is_url(url):
            raise UsageError(
                f"the URL of OTLP must be http:// or https:// with a host, got {url!a}",
                service="trace",
                hint=_DEFAULT,
            )
        found = url if urlsplit(url).path.strip("/") else f"{url.rstrip('/')}{_PATH}"
        return OTLPTarget(found, _headers(variable))
    for name in (f"{_PREFIX}TRACES_PROTOCOL", f"{_PREFIX}PROTOCOL"):
        protocol = variable(name)
        if protocol and protocol != _PROTOCOL:
            raise ConfigError(
                f"{name} must be {_PROTOCOL}, got {protocol!a}",
                service="trace",
                hint=f"{_PREFIX}TRACES_PROTOCOL={_PROTOCOL}, and the endpoint's port 4318; "
                "hub.trace.export_to(exporter) takes an exporter of another protocol",
            )
        if protocol:
            break
    return OTLPTarget(_endpoint(variable), _headers(variable))


def _endpoint(variable: Callable[[str], str | None]) -> str:
    for name, path in ((f"{_PREFIX}TRACES_ENDPOINT", ""), (f"{_PREFIX}ENDPOINT", _PATH)):
        text = variable(name)
        if text and not _is_url(text):
            raise ConfigError(
                f"{name} must be http:// or https:// with a host",
                service="trace",
                hint=f"{name}={_DEFAULT}{_PATH if not path else ''}",
            )
        if text:
            return f"{text.rstrip('/')}{path}" if path else text
    return f"{_DEFAULT}{_PATH}"


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text.strip())
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _headers(variable: Callable[[str], str | None]) -> dict[str, str]:
    for name in (f"{_PREFIX}TRACES_HEADERS", f"{_PREFIX}HEADERS"):
        text = variable(name)
        if text:
            return _pairs(name, text)
    return {}


def _pairs(name: str, text: str) -> dict[str, str]:
    """Return the pairs of a variable; its text is in no message, since it may hold a secret."""
    found = {}
    for pair in filter(None, (one.strip() for one in text.split(","))):
        key, equals, value = pair.partition("=")
        value = unquote(value.strip())
        if not equals or not key.strip() or not (key + value).isprintable():
            raise ConfigError(
                f"{name} must be pairs NAME=VALUE with commas, percent-encoded",
                service="trace",
                hint=f"{name}=NAME=VALUE,NAME=VALUE",
            )
        found[unquote(key.strip()).lower() if "HEADERS" in name else key.strip()] = value
    return found


def variables_of(settings: Settings) -> Callable[[str], str | None]:
    """Return what gives a variable of the environment or of ``.env``; None for one without text."""

    def variable(name: str) -> str | None:
        try:
            return settings.variable(name).reveal().strip()
        except ConfigError:
            return None

    return variable


def export_by_environment(tracer: Tracer, settings: Settings) -> SpanExport | None:
    """Export the spans of a tracer to where the variables say; None where the SDK is disabled.

    Raises
    ------
    ConfigError
        The extra is not installed, or a variable cannot be used.
    """
    variable = variables_of(settings)
    if (variable("OTEL_SDK_DISABLED") or "").lower() == "true":
        _logger.info("no span is exported: OTEL_SDK_DISABLED is set")
        return None
    check_installed("AGENTNB_OTEL")
    target = target_of(variable)
    for secret in target.secrets:
        settings.redactor.add(secret)
    # Now, and not in the export's thread: spans look for it to be parents.
    import opentelemetry.trace  # noqa: F401

    from agentnb.core.trace.otel.export import SpanExport

    return SpanExport(
        tracer,
        target.sink,
        settings.redactor(target.redactor(target.url)),
        redactor=lambda text: settings.redactor(target.redactor(text)),
        resource=_resource(variable),
    )


def _resource(variable: Callable[[str], str | None]) -> dict[str, str]:
    """Return the attributes of the resource, those of ``.env`` included."""
    name = "OTEL_RESOURCE_ATTRIBUTES"
    found = _pairs(name, variable(name) or "")
    service = variable("OTEL_SERVICE_NAME")
    return {**found, "service.name": service} if service else found
