"""Errors by status."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from agentnb.core.api.body import snippet_of
from agentnb.core.errors import AgentnbError, HTTPNotFound, RateLimited, RejectedError
from agentnb.core.errors import UnavailableError as Unavailable
from agentnb.core.table import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentnb.core.api.request import Answer

__all__ = ["AGAIN", "LOOK", "NEVER_AGAIN", "error_of", "is_redirect", "wait_of"]

NEVER_AGAIN = frozenset({501, 505, 511})
"""Failures of a service that another attempt will not change."""

AGAIN = "try again later"
LOOK = "the service may have done it: look before you send it again"

# Source: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api (a 403
# whose message says so is a limit too; where no header says for how long, it is for a minute).
_SECONDARY = re.compile(r"secondary rate limit|abuse detection", re.IGNORECASE)
_SECONDARY_WAIT = 60.0

_FARTHEST = 10 * 365 * 86_400.0
_TOLD = ("message", "detail", "title", "error_description", "error")


def is_redirect(answer: Answer) -> bool:
    """Return whether a reply says to go elsewhere."""
    return answer.status in {301, 302, 303, 307, 308} and "location" in answer.headers


def error_of(
    answer: Answer, doing: str, *, harmless: bool, conditional: bool = False
) -> AgentnbError | None:
    """Return the error that a reply is, or None for one that is none.

    Parameters
    ----------
    answer
        The reply.
    doing
        Method and URL, as they may be shown.
    harmless
        Whether the call changes nothing, so that it may be made again.
    conditional
        Whether the call asked for what has changed only, so that 304 is a reply.
    """
    status = answer.status
    if 200 <= status < 300 or (conditional and status == HTTPStatus.NOT_MODIFIED):  # noqa: PLR2004 - what HTTP calls successful
        return None
    error = _error(
        answer, f"{doing} answered {_named(status)}{_detail_of(answer.body)}", harmless=harmless
    )
    error.status = status
    return error


def _error(answer: Answer, message: str, *, harmless: bool) -> AgentnbError:
    status, headers = answer.status, answer.headers
    secondary = status == HTTPStatus.FORBIDDEN and _SECONDARY.search(message) is not None
    if secondary or _is_limit(status, headers):
        wait = wait_of(headers)
        if wait is None and secondary:
            wait = _SECONDARY_WAIT
        limited = RateLimited(message, service="api", hint=_when(wait))
        if wait is not None:
            limited.reset_at = datetime.fromtimestamp(time.time() + wait, UTC)
        return limited
    if status >= 500 or status == HTTPStatus.REQUEST_TIMEOUT:  # noqa: PLR2004 - what HTTP calls a server's
        return Unavailable(message, service="api", hint=AGAIN if harmless else LOOK)
    if status in {404, 410}:
        return HTTPNotFound(message, service="api", hint="look at the URL, or at who may see it")
    hint = None
    if status < 400:  # noqa: PLR2004 - what HTTP calls a redirection
        hint = "follow_redirects=True goes there" if is_redirect(answer) else None
    elif status == HTTPStatus.UNAUTHORIZED:
        hint = "give auth= a token that is valid"
    elif status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        hint = "name the proxy with its login: HTTP_PROXY=http://USER:PASSWORD@HOST:PORT"
    elif status == HTTPStatus.FORBIDDEN:
        hint = "the token may not do this"
    return RejectedError(message, service="api", hint=hint)


def _is_limit(status: int, headers: Mapping[str, str]) -> bool:
    """Return whether a reply asks to wait.

    Source: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api (a 403
    with ``retry-after``, or with ``x-ratelimit-remaining`` at 0, is a limit as a 429 is).
    """
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return True
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return wait_of(headers) is not None
    spent = headers.get("x-ratelimit-remaining") == "0"
    return status == HTTPStatus.FORBIDDEN and (spent or "retry-after" in headers)


def wait_of(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a service asks to wait, or None.

    >>> wait_of({"retry-after": "7"}), wait_of({})
    (7.0, None)
    """
    after = headers.get("retry-after", "").strip()
    if after.isascii() and after.isdecimal():
        return min(float(after[:12]), _FARTHEST)
    if after:
        moment = _moment(after)
        if moment is not None:
            # By the service's own clock, which may differ from this machine's.
            now = _moment(headers.get("date", ""))
            return min(max(0.0, moment - (time.time() if now is None else now)), _FARTHEST)
    reset = headers.get("x-ratelimit-reset", "").strip()
    if headers.get("x-ratelimit-remaining") == "0" and reset.isascii() and reset.isdecimal():
        return min(max(0.0, float(reset[:12]) - time.time()), _FARTHEST)
    return None


def _moment(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _when(wait: float | None) -> str:
    if wait is None:
        return "call less often; it does not say when it takes calls again"
    return f"it takes calls again in {wait:,.0f} s"


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _detail_of(body: bytes) -> str:
    """Return the message in the body of an error."""
    if not body:
        return ""
    import msgspec

    try:
        found: Any = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError):
        found = None
    texts = _texts(found)
    return f": {text_of(' '.join('; '.join(texts).split()))}" if texts else f": {snippet_of(body)}"


def _texts(found: Any) -> list[str]:
    """Return the messages in an error's JSON: its own, and those of its parts."""
    if isinstance(found, str):
        return [found] if found.strip() else []
    if not isinstance(found, dict):
        return []
    texts = next((texts for name in _TOLD if (texts := _texts(found.get(name)))), [])
    parts = found.get("errors")
    for part in parts if isinstance(parts, list) else ():
        texts = [*texts, *(text for text in _texts(part) if text not in texts)]
    return texts
