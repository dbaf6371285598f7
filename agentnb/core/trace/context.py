"""The trace context of the running code: W3C ids in one context variable."""

from __future__ import annotations

import os
import random
import re
import sys
from contextlib import nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING
from urllib.parse import quote

from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from contextvars import Token

__all__ = [
    "Context",
    "ambient",
    "attach",
    "carried",
    "carry_active",
    "check_correlation_id",
    "correlation",
    "current",
    "detach",
    "outgoing_headers",
    "outgoing_variables",
    "parse_traceparent",
    "stamp",
    "start_trace",
    "trace_id_of",
    "traceparent",
    "use",
]

# A generator of our own: a notebook that calls random.seed() must neither repeat trace ids nor
# get other numbers because a span was made. Ids have to be distinct, not hard to guess.
_ids = random.Random()  # noqa: S311 - see above
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_ids.seed)
random_bits = _ids.getrandbits

_PRINTABLE = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")

_SAMPLED = 1
_TRACEPARENT = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
    r"(?P<rest>-.*)?"
)


class Context:
    """A position in a trace: the parent of the next span.

    Parameters
    ----------
    trace
        The trace's id, a number of 128 bits.
    span
        The id of the surrounding span, a number of 64 bits.
    correlation_id
        Free text a user gave to the trace, or None.
    sampled
        Whether the trace is exported; the ``sampled`` flag of a ``traceparent``.

    Examples
    --------
    >>> context = Context(1, 2, "order-17")
    >>> context.trace_id, context.span_id
    ('00000000000000000000000000000001', '0000000000000002')
    """

    # Numbers inside and text on demand: most spans are never looked at.
    __slots__ = ("correlation_id", "sampled", "span", "trace")

    opener: Callable[[], None] | None = None
    """Called by the first span below; only a cell of a notebook has one."""

    def __init__(
        self,
        trace: int,
        span: int,
        correlation_id: str | None = None,
        *,
        sampled: bool = True,
    ) -> None:
        self.trace = trace
        self.span = span
        self.correlation_id = correlation_id
        self.sampled = sampled

    @property
    def trace_id(self) -> str:
        """The trace's id as 32 hexadecimal digits."""
        return f"{self.trace:032x}"

    @property
    def span_id(self) -> str:
        """The span's id as 16 hexadecimal digits."""
        return f"{self.span:016x}"

    @property
    def traceparent(self) -> str:
        """The value of a W3C ``traceparent`` header that continues here."""
        return f"00-{self.trace:032x}-{self.span:016x}-{self.sampled:02x}"

    def __repr__(self) -> str:
        return f"Context({self.traceparent})"


# The one module-level state of the package: a context variable belongs to the running code.
context_var: ContextVar[Context | None] = ContextVar("agentnb_trace", default=None)


def current() -> Context | None:
    """Return the surrounding span or trace, or None outside of every trace."""
    return context_var.get()


def traceparent() -> str | None:
    """Return the W3C ``traceparent`` of the running code, or None outside of every trace.

    >>> with use(Context(1, 2)):
    ...     traceparent()
    '00-00000000000000000000000000000001-0000000000000002-01'
    """
    context = context_var.get()
    return None if context is None else context.traceparent


def ambient() -> Context | None:
    """Return the active span of OpenTelemetry; None without one, or where nobody has imported it.

    It is the parent where no trace of agentnb runs.

    >>> ambient() is None
    True
    """
    if "opentelemetry.trace" not in sys.modules:
        return None
    from agentnb.core.trace.otel.parents import active_span

    return active_span()


def attach(context: Context) -> object:
    """Make a context the active one of OpenTelemetry, where that is in use: user code runs in it.

    Returns
    -------
    object
        The token that `detach` takes; None if OpenTelemetry is not in use.
    """
    if "opentelemetry.trace" not in sys.modules:
        return None
    from agentnb.core.trace.otel import parents

    return parents.attach(context)


def carry_active() -> Callable[[], AbstractContextManager[None]]:
    """Return what makes OpenTelemetry's active span that of a block in another thread."""
    if "opentelemetry.trace" not in sys.modules:
        return nullcontext
    from agentnb.core.trace.otel import parents

    return parents.carry()


def detach(attached: object) -> None:
    """Make the context before it the active one of OpenTelemetry again."""
    if attached is not None:
        from agentnb.core.trace.otel import parents

        parents.detach(attached)


def parse_traceparent(text: str | None) -> Context | None:
    """Read a W3C ``traceparent``; None if it is malformed.

    Source: https://www.w3.org/TR/trace-context/ (lower-case digits only, no id of zeros, version
    ff is forbidden, a version above 00 may carry more fields).

    >>> parse_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").span_id
    '00f067aa0ba902b7'
    >>> parse_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00").sampled
    False
    >>> parse_traceparent("not a header") is None
    True
    """
    found = _TRACEPARENT.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    version, trace, span = found["version"], int(found["trace"], 16), int(found["span"], 16)
    if version == "ff" or not trace or not span or (version == "00" and found["rest"]):
        return None
    return Context(trace, span, sampled=bool(int(found["flags"], 16) & _SAMPLED))


def trace_id_of(traceparent: str | None) -> str | None:
    """Return the id of the trace that a W3C ``traceparent`` belongs to; None if it is malformed.

    >>> trace_id_of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    '4bf92f3577b34da6a3ce929d0e0e4736'
    """
    context = parse_traceparent(traceparent)
    return None if context is None else context.trace_id


def check_correlation_id(value: object, service: str = "trace") -> str | None:
    """Return a correlation id that can travel: text, or None for none.

    Raises
    ------
    UsageError
        It is something else, or text that has no UTF-8.
    """
    if value is None:
        return None
    try:
        if isinstance(value, str) and value.encode() is not None:
            return value
    except UnicodeEncodeError:
        pass
    raise UsageError(
        f"correlation_id must be text, got {value!a}",
        service=service,
        hint='correlation_id="order-17"',
    )


def carried(traceparent: str | None, correlation_id: str | None) -> Context | None:
    """Return the trace context of a job, a task or an event; None if it has none.

    A correlation id without a readable ``traceparent``, as other programs send it, starts a
    trace of its own.

    >>> carried(None, "order-17").correlation_id
    'order-17'
    >>> carried(None, None) is None
    True
    """
    context = parse_traceparent(traceparent)
    if context is None:
        # Without a span: the first one made here is the trace's root.
        return None if correlation_id is None else Context(random_bits(128) or 1, 0, correlation_id)
    context.correlation_id = correlation_id
    return context


def stamp(context: Context | None) -> dict[str, object]:
    """Return the ``extra`` that stamps a log record with a context; empty for the running one.

    >>> stamp(Context(1, 2, "order-17"))["correlation_id"]
    'order-17'
    """
    if context is None:
        return {}
    return {
        "trace_id": context.trace_id,
        "span_id": context.span_id,
        "correlation_id": context.correlation_id,
    }


def outgoing_headers(context: Context) -> dict[str, str]:
    """Return the HTTP headers that continue a context: ``traceparent``, ``x-correlation-id``.

    A correlation id is free text; what a header cannot hold is percent-encoded as UTF-8.

    >>> outgoing_headers(Context(1, 2, "order 17"))["x-correlation-id"]
    'order%2017'
    """
    headers = {"traceparent": context.traceparent}
    if context.correlation_id is not None:
        headers["x-correlation-id"] = quote(context.correlation_id, safe=_PRINTABLE)
    return headers


def outgoing_variables(context: Context) -> dict[str, str]:
    """Return the environment variables that continue a context in another program.

    They are ``TRACEPARENT`` and ``CORRELATION_ID``.

    >>> outgoing_variables(Context(1, 2, "order 17"))["CORRELATION_ID"]
    'order 17'
    """
    variables = {"TRACEPARENT": context.traceparent}
    if context.correlation_id is not None:
        variables["CORRELATION_ID"] = context.correlation_id.replace("\0", "")
    return variables


def start_trace(*, correlation_id: str | None = None, parent: str | None = None) -> Context:
    """Start a trace for the running context, as a notebook does before each cell.

    The variable stays set until the next trace is started or `use` leaves.

    Parameters
    ----------
    correlation_id
        Free text that every span and log record of the trace carries.
    parent
        A W3C ``traceparent`` to continue. A malformed one is ignored: the caller's header must
        not break the call. Default: the active span of OpenTelemetry, where there is one.

    Returns
    -------
    Context
        The new place; spans made from now on are its children.

    Raises
    ------
    UsageError
        The correlation id is not text.
    """
    check_correlation_id(correlation_id)
    around = parse_traceparent(parent) or ambient()
    if around is None:
        here = Context(random_bits(128) or 1, random_bits(64) or 1, correlation_id)
    else:
        here = Context(around.trace, around.span, correlation_id, sampled=around.sampled)
    context_var.set(here)
    return here


def correlation(correlation_id: str) -> _Use:
    """Give everything that a block does a correlation id.

    Jobs, tasks, events, requests, containers and programs that it starts carry the id, and so do
    their spans and log records, in every process. A running trace goes on under the id; without
    one the block is a trace of its own.

    Parameters
    ----------
    correlation_id
        Free text, such as the number of an order.

    Raises
    ------
    UsageError
        It is not text.

    Examples
    --------
    >>> with correlation("order-17") as context:
    ...     current().correlation_id
    'order-17'
    """
    if check_correlation_id(correlation_id) is None:
        raise UsageError(
            "correlation_id must be text, got None",
            service="trace",
            hint='with agentnb.correlation("order-17"): ...',
        )
    around = context_var.get() or ambient()
    if around is None:
        return _Use(Context(random_bits(128) or 1, 0, correlation_id))
    if around.opener is not None:
        around.opener()
    return _Use(Context(around.trace, around.span, correlation_id, sampled=around.sampled))


def use(context: Context | None) -> _Use:
    """Run a block in a context, such as one from another thread.

    >>> context = Context(1, 2)
    >>> with use(context):
    ...     current() is context
    True
    """
    return _Use(context)


class _Use:
    """A block in a context; hand-written, since each task, job and event is one."""

    __slots__ = ("_context", "_token")

    _token: Token[Context | None]

    def __init__(self, context: Context | None) -> None:
        self._context = context

    def __enter__(self) -> Context | None:
        self._token = context_var.set(self._context)
        return self._context

    def __exit__(self, *_: object) -> None:
        context_var.reset(self._token)
