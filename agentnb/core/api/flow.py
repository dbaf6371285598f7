"""One call, sans-I/O: run by synchronous and by asynchronous clients."""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias

from agentnb.core.api.address import origin_of, redirected, shown
from agentnb.core.api.body import content_of, value_of
from agentnb.core.api.forms import Form
from agentnb.core.api.options import headers_of
from agentnb.core.api.request import (
    Answer,
    Call,
    Outgoing,
    Pause,
    Reply,
    Send,
    Started,
    TransportFailure,
)
from agentnb.core.api.status import NEVER_AGAIN, error_of, is_redirect
from agentnb.core.errors import (
    AgentnbError,
    CircuitOpen,
    DeadlineExceeded,
    InvalidResponse,
    RateLimited,
    RejectedError,
    UnavailableError,
)
from agentnb.core.headers import hiding
from agentnb.core.resilience import Deadline
from agentnb.core.resilience.retry import warn
from agentnb.core.table import text_of
from agentnb.core.tape.hook import active
from agentnb.core.trace import current, outgoing_headers, start_trace, use
from agentnb.core.trace.files import clean
from agentnb.core.trace.spans import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from agentnb.core.api.context import ClientContext
    from agentnb.core.api.options import ResolvedOptions
    from agentnb.core.api.request import Request

__all__ = ["Steps", "named_error", "steps"]

Steps: TypeAlias = "Generator[Send | Pause | Call, Any, Reply]"

_HOPS = 5
_LONGEST_WAIT = 30.0
# What another origin may see of the headers; any of the others may be a credential.
_HARMLESS = frozenset({"accept", "accept-encoding", "accept-language", "user-agent"})
_CONDITIONS = frozenset({"if-none-match", "if-modified-since"})
_OF_THE_BODY = frozenset({"content-type", "content-length", "content-encoding"})


@dataclass(slots=True)
class _CallState:
    """The state of a call between its attempts."""

    context: ClientContext
    request: Request
    resolved: ResolvedOptions
    deadline: Deadline
    attempts: int
    mask: Callable[[str], str]
    """Masks secrets, those that this call sends included."""
    content: bytes | None = None
    number: int = 1
    again: bool = True

    @property
    def conditional(self) -> bool:
        """Whether 304 is a reply and no error, as for a call with a condition."""
        return not self.resolved.streams and not _CONDITIONS.isdisjoint(self.request.headers)

    @property
    def doing(self) -> str:
        return f"{self.request.method} {shown(self.request.url, self.mask)}"


def steps(context: ClientContext, request: Request, resolved: ResolvedOptions) -> Steps:
    """Yield the steps of a call, and return its reply.

    The order is: deadline > retry > breaker > one attempt.
    """
    if current() is not None:
        return (yield from _whole(context, request, resolved))
    with use(None):  # all attempts and what is logged of them belong together
        start_trace()
        return (yield from _whole(context, request, resolved))


def _whole(context: ClientContext, request: Request, resolved: ResolvedOptions) -> Steps:
    started = perf_counter()
    for hook in context.on_request:
        yield Call(hook, request)
    request.headers = headers_of(request.headers)
    content, kind = content_of(request.data)
    if kind is not None:
        request.headers.setdefault("content-type", kind)
    if content is None and request.method in {"POST", "PUT", "PATCH"}:
        content = b""  # whose length is said, as servers want it
    deadline = Deadline(resolved.timeout)
    attempts = resolved.attempts(request.method)
    mask = hiding(request.headers, context.runtime.redactor)
    state = _CallState(context, request, resolved, deadline, attempts, mask, content)
    try:
        answer, url = yield from _until_it_works(state)
        if answer.content is not None:
            return _started(state, answer, url, started)
        value = _value(state, answer)
    except Exception as error:
        context.count.failed(error)
        status, reason = getattr(error, "status", None), mask(str(error))
        context.log.error(  # noqa: TRY400 - the caller gets the error, with its traceback
            "API %s error: %s failed: %s: %s",
            "request" if status is None else "response",
            state.doing,
            type(error).__name__,
            reason,
            extra={
                "data": {"status": status, "url": shown(state.request.url, mask), "error": reason}
            },
        )
        raise
    ms = (perf_counter() - started) * 1000
    context.count.done(answer.status, ms)
    reply = Reply(answer.status, answer.headers, value, url, request.method, state.number, ms)
    for after in context.on_response:
        yield Call(after, reply)
    return reply


def _started(state: _CallState, answer: Answer, url: str, since: float) -> Reply:
    """Return a reply whose body is still to be read, and counted when it has been."""
    data = Started(answer.content, state.doing, state.mask, since)
    ms = (perf_counter() - since) * 1000
    status, method = answer.status, state.request.method
    return Reply(status, answer.headers, data, url, method, state.number, ms)


def _value(state: _CallState, answer: Answer) -> Any:
    resolved = state.resolved
    try:
        return value_of(
            answer.status,
            answer.headers,
            answer.body,
            method=state.request.method,
            expect=resolved.expect,
            schema=resolved.schema,
        )
    except InvalidResponse as error:
        named = named_error(error, state.doing)
        named.hide(state.mask)
        raise named from error.__cause__


def named_error(error: InvalidResponse, doing: str) -> InvalidResponse:
    """Return the error of a reply with the call that it answered."""
    found = InvalidResponse(
        f"{doing} answered, but {error.message}", service="api", hint=error.hint
    )
    found.status, found.content_type, found.snippet = (
        error.status,
        error.content_type,
        error.snippet,
    )
    return found


_Got: TypeAlias = "Generator[Send | Pause, Any, tuple[Answer, str]]"


def _until_it_works(state: _CallState) -> _Got:
    """Make attempts until one works or the policy ends them."""
    last: AgentnbError | None = None
    try:
        while True:
            try:
                return (yield from _attempt(state))
            except CircuitOpen:
                if last is None:
                    raise
                break  # it has opened meanwhile; the last failure says more
            except AgentnbError as error:
                last = error
                pause = _pause(state, error)
                if pause is None:
                    raise
            warn(
                state.context.log,
                last,
                doing=f"API request retry: {state.doing}",
                number=state.number,
                attempts=state.attempts,
                pause=pause,
            )
            state.context.count.retried()
            yield Pause(pause)
            state.number += 1
            state.again = True
        raise last
    finally:
        last = None  # its traceback holds this frame: without a cycle, all is freed at once


def _pause(state: _CallState, error: AgentnbError) -> float | None:
    """Return the seconds until the next attempt, or None for no other."""
    if state.number >= state.attempts or not state.again or error.status in NEVER_AGAIN:
        return None
    if not isinstance(error, UnavailableError) or isinstance(error, DeadlineExceeded):
        return None
    pause = state.resolved.retry.pause(state.number)
    if isinstance(error, RateLimited):
        wait = _asked(error)
        if wait is not None and wait > _LONGEST_WAIT:
            return None
        pause = pause if wait is None else max(wait, 0.01)
    left = state.deadline.remaining()
    if left is not None and left <= pause:
        return None
    import stamina

    # stamina's own switch turns retries off everywhere, in tests for instance.
    return pause if stamina.is_active() else None


def _asked(error: RateLimited) -> float | None:
    if error.reset_at is None:
        return None
    from datetime import UTC, datetime

    return (error.reset_at - datetime.now(UTC)).total_seconds()


def _attempt(state: _CallState) -> _Got:
    """Make one attempt, and go where it leads."""
    request, resolved = state.request, state.resolved
    url, method, headers, content = request.url, request.method, request.headers, state.content
    if origin_of(url) != state.context.origin:
        headers = _without_credentials(headers, state)
    for _ in range(_HOPS + 1):
        answer = yield from _hop(state, method, url, headers, content)
        if not (resolved.follow_redirects and is_redirect(answer)):
            return answer, url
        target = redirected(url, answer.headers["location"])
        if target is None:
            raise _rejected(state, answer, "is sent to where no call should go")
        if origin_of(target) != origin_of(url):
            headers = {name: headers[name] for name in headers if name in _HARMLESS | _OF_THE_BODY}
        if answer.status == 303 or (answer.status in {301, 302} and method == "POST"):  # noqa: PLR2004 - See Other
            method, content = ("HEAD" if method == "HEAD" else "GET"), None
            headers = {name: headers[name] for name in headers if name not in _OF_THE_BODY}
        url = target
    raise _rejected(state, answer, f"was redirected more than {_HOPS} times")


def _without_credentials(headers: dict[str, str], state: _CallState) -> dict[str, str]:
    """Return the headers for another origin: those of the call, without the client's."""
    own = state.context.options.headers
    return {
        name: value
        for name, value in headers.items()
        if name in _HARMLESS | _OF_THE_BODY or own.get(name) != value
    }


def _rejected(state: _CallState, answer: Answer, why: str) -> RejectedError:
    error = RejectedError(
        f"{state.doing} {why}",
        service="api",
        hint="follow_redirects=False returns the redirect as an error with its location",
    )
    error.status = answer.status
    return error


def _hop(
    state: _CallState, method: str, url: str, headers: dict[str, str], content: bytes | None
) -> Generator[Send, Any, Answer]:
    """Send once, under the breaker of the host and in a span of its own."""
    deadline, limit = state.deadline, state.resolved.max_bytes
    where = shown(url, state.mask)
    mask, cookies = state.mask, state.context.cookies
    if cookies is not None and (cookie := cookies.header(url)) is not None:
        headers = {"cookie": cookie, **headers}
        mask = hiding({"cookie": cookie}, mask)
    deadline.check("api", f"{method} {where}")
    with _guard(state, method, url, headers, content), _span(state, method, where) as here:
        headers = {**outgoing_headers(here), **headers, "traceparent": here.traceparent}
        streams = state.resolved.streams
        silence = deadline.clip(state.resolved.idle)
        if silence is not None and not streams and state.number < state.attempts:
            silence /= 2  # a server that hangs leaves time to try again
        out = Outgoing(method, url, headers, content, silence, deadline, limit, streams)
        try:
            return (yield from _sent(state, out, where, here))
        except AgentnbError as error:
            error.hide(mask)  # before the breaker and the span keep what it says
            raise


@contextmanager
def _guard(
    state: _CallState, method: str, url: str, headers: dict[str, str], content: bytes | None
) -> Generator[None, None, None]:
    """Guard an attempt by the breaker of its host, whose refusals are on the tape.

    Calls before the recorded work decide whether it is open, so a replay takes that from the tape.
    """
    tape = active()
    if tape is not None and tape.replays:
        yield
        return
    with ExitStack() as stack:
        try:
            stack.enter_context(state.context.breakers.of(origin_of(url)).guard())
        except CircuitOpen as error:
            if tape is not None:
                from agentnb.core.api.taped import refused

                limit, streams = state.resolved.max_bytes, state.resolved.streams
                out = Outgoing(method, url, headers, content, None, state.deadline, limit, streams)
                refused(tape, out, error, state.mask)
            raise
        yield


def _sent(state: _CallState, out: Outgoing, where: str, span: Span) -> Generator[Send, Any, Answer]:
    """Send, and raise the error of an answer that is one."""
    context, doing = state.context, f"{out.method} {where}"
    if context.log.isEnabledFor(logging.DEBUG):
        _log_request(state, doing, {"method": out.method, "url": where})
    try:
        answer: Answer = yield Send(out)
    except TransportFailure as failed:
        state.again = failed.again
        raise failed.error from failed.__cause__
    except InvalidResponse as error:
        raise named_error(error, doing) from error.__cause__
    span.note(status=answer.status)
    if answer.content is None:  # else it is still to come, and counted by the stream
        span.note(bytes=len(answer.body))
    if context.cookies is not None and answer.cookies:
        context.cookies.take(out.url, answer.cookies)
    if context.log.isEnabledFor(logging.DEBUG):
        fields = {"status": answer.status, "url": where}
        context.log.debug("API response %s %d", doing, answer.status, extra={"data": fields})
    if state.resolved.follow_redirects and is_redirect(answer):
        return answer
    harmless = out.method in {"GET", "HEAD"}
    failure = error_of(answer, doing, harmless=harmless, conditional=state.conditional)
    if failure is not None:
        raise failure
    return answer


def _span(state: _CallState, method: str, where: str) -> Span:
    about: dict[str, object] = {"method": method, "url": where}
    return Span(state.context.runtime.tracer, method, "api", state.number, about)


def _log_request(state: _CallState, doing: str, fields: dict[str, object]) -> None:
    context, data, brief = state.context, state.request.data, ""
    if data is not None:
        fields["data"] = clean(data.described() if isinstance(data, Form) else data, state.mask)
        brief = f" {text_of(fields['data'])}"
    context.log.debug("API request %s%s", doing, brief, extra={"data": fields})
