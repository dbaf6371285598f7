"""Attempts on a tape: recorded below retry, so that the real one runs in a replay."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

from agentnb.core.api.address import shown
from agentnb.core.api.request import Answer, TransportFailure
from agentnb.core.errors import AgentnbError
from agentnb.core.headers import credentials, hiding
from agentnb.core.tape.failures import dump_error, load_error
from agentnb.core.tape.hook import Operation
from agentnb.core.tape.values import digest_of, dump, load, masked, masked_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.api.request import Outgoing
    from agentnb.core.api.transport import Transport
    from agentnb.core.errors import CircuitOpen
    from agentnb.core.tape.hook import Tape

__all__ = ["asend", "refused", "send"]

_BOUNDARY = re.compile(r"boundary=\"?([^\";]+)")
_LARGEST = 64_000  # bytes of a body that are compared as they are; else their digest
_OVERHEAD = 200  # bytes of an answer beside its body


class _Form:
    """The form of an answer of HTTP. A failure of the network is one, too."""

    def hold(self, answer: Answer | TransportFailure) -> tuple[Any, int]:
        """Return the answer, which nobody changes, and its size."""
        if isinstance(answer, TransportFailure):
            return answer, _OVERHEAD
        held = Answer(answer.status, answer.headers, answer.body, answer.cookies)
        return held, len(answer.body) + _OVERHEAD

    def dump(self, held: Any, redactor: Callable[[str], str]) -> dict[str, Any]:
        """Return the plain value of an answer.

        JSON is masked by its structure: masked as text, it could not be read.
        """
        if isinstance(held, TransportFailure):
            return {"failure": dump_error(held.error, redactor), "again": held.again}
        headers = {
            name: masked(name, value, redactor)
            for name, value in held.headers.items()
            if name != "set-cookie"  # whose value is a secret
        }
        kind = held.headers.get("content-type", "")
        found: dict[str, Any] = {"status": held.status, "headers": headers}
        return found | _body(kind, held.body, redactor)

    def load(self, data: dict[str, Any]) -> Answer | TransportFailure:
        """Return the answer of a plain value."""
        if "failure" not in data:
            return Answer(int(data["status"]), dict(data["headers"]), _bytes(data))
        error = load_error(data["failure"])
        if not isinstance(error, AgentnbError):
            raise TypeError(data["failure"]["class"])
        return TransportFailure(error, again=bool(data["again"]))


def _body(kind: str, body: bytes, redactor: Callable[[str], str]) -> dict[str, Any]:
    """Return the plain value of a body, by its structure where it is JSON."""
    if not body:
        return {}
    if "json" in kind.lower():
        try:
            return {"json": dump(json.loads(body), redactor)}
        except (ValueError, RecursionError):
            pass  # then it is text
    try:
        return {"text": redactor(body.decode())}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(masked_bytes(body, redactor)).decode()}


def _bytes(data: dict[str, Any]) -> bytes:
    if "json" in data:
        return json.dumps(load(data["json"]), ensure_ascii=False).encode()
    if "text" in data:
        return str(data["text"]).encode()
    return base64.b64decode(data.get("base64", ""))


def _arguments(out: Outgoing, redactor: Callable[[str], str]) -> dict[str, Any]:
    """Return an attempt as it is compared: its URL and its body, no header."""
    found: dict[str, Any] = {"url": shown(out.url, redactor)}
    kind, content = out.headers.get("content-type", ""), _plain(out)
    return found | _body(kind, content, redactor)


@lru_cache(maxsize=64)
def _operation(method: str) -> Operation:
    return Operation("api", method, _FORM, prepare=_arguments)


@lru_cache(maxsize=64)
def _stream(method: str) -> Operation:
    reason = "streams and downloads are not recorded"
    return Operation("api", method, None, reason, prepare=_arguments)


@lru_cache(maxsize=32)
def _hiding(secrets: tuple[str, ...], redactor: Callable[[str], str]) -> Callable[[str], str]:
    return hiding({}, redactor, secrets)


def _how(out: Outgoing, redactor: Callable[[str], str]) -> tuple[Operation, Any]:
    """Return the operation of an attempt, and what masks the credentials that it sends."""
    found = _stream(out.method) if out.streams else _operation(out.method)
    secrets = credentials(out.headers)
    if secrets:
        redactor = _hiding(tuple(secrets), redactor)
    return found, redactor


def send(
    tape: Tape, transport: Callable[[], Transport], out: Outgoing, redactor: Callable[[str], str]
) -> Answer:
    """Make an attempt that is recorded, or return its recorded answer.

    Parameters
    ----------
    tape
        The tape.
    transport
        Returns the transport, which a replay never makes.
    out
        The attempt.
    redactor
        That of the client.

    Raises
    ------
    TransportFailure, InvalidResponse
        As `Transport.send`.
    """

    def do() -> Answer | TransportFailure:
        try:
            return transport().send(out)
        except TransportFailure as failure:
            return failure

    operation, mask = _how(out, redactor)
    return _answered(tape.call(operation, _light(out), do, mask))


async def asend(
    tape: Tape, transport: Callable[[], Transport], out: Outgoing, redactor: Callable[[str], str]
) -> Answer:
    """Await `send`."""

    async def do() -> Answer | TransportFailure:
        try:
            return await transport().asend(out)
        except TransportFailure as failure:
            return failure

    operation, mask = _how(out, redactor)
    return _answered(await tape.acall(operation, _light(out), do, mask))


def refused(
    tape: Tape, out: Outgoing, error: CircuitOpen, redactor: Callable[[str], str]
) -> NoReturn:
    """Record an attempt that an open breaker refused, and raise the breaker's error."""

    def do() -> NoReturn:
        raise error

    operation, mask = _how(out, redactor)
    tape.call(operation, _light(out), do, mask)
    raise error


def _light(out: Outgoing) -> Outgoing:
    """Return an attempt without a large body, of which a tape keeps the digest."""
    if out.content is None or len(out.content) <= _LARGEST:
        return out
    return replace(out, content=digest_of(_plain(out)).encode())


def _plain(out: Outgoing) -> bytes:
    """Return the body of an attempt without its boundary, which is random in each call."""
    boundary = _BOUNDARY.search(out.headers.get("content-type", ""))
    content = out.content or b""
    return content if boundary is None else content.replace(boundary[1].encode(), b"boundary")


def _answered(found: Answer | TransportFailure) -> Answer:
    if isinstance(found, TransportFailure):
        raise found from found.__cause__
    return found


_FORM = _Form()
