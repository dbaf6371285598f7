"""The parts of a client that each of its calls uses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agentnb.core.api.address import shown
from agentnb.core.api.count import Count

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.api.breakers import Breakers
    from agentnb.core.api.cookies import Cookies
    from agentnb.core.api.options import ResolvedOptions
    from agentnb.core.api.request import Reply, Request
    from agentnb.core.runtime import Runtime
    from agentnb.core.trace.servicelog import ServiceLog

__all__ = ["ClientContext"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientContext:
    """The parts of a client that each of its calls uses.

    Parameters
    ----------
    origin
        Scheme, host and port of the base URL; credentials go nowhere else.
    options
        The client's options, which those of a call override.
    on_request, on_response
        The hooks.
    breakers
        The breakers of the hosts.
    cookies
        The cookies that are kept; None to keep none.
    runtime
        Tracer and redactor.
    log
        The log of the client.
    count
        The calls so far.
    """

    origin: str
    options: ResolvedOptions
    on_request: tuple[Callable[[Request], Any], ...]
    on_response: tuple[Callable[[Reply], Any], ...]
    breakers: Breakers
    cookies: Cookies | None
    runtime: Runtime
    log: ServiceLog
    count: Count = field(default_factory=Count)

    def shown(self, url: str) -> str:
        """Return a URL without secrets."""
        return shown(url, self.runtime.redactor)
