"""The metrics and the probes of a worker, while it runs."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from agentnb.core.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from agentnb.core.hub import Hub
    from agentnb.core.metrics.server import Reply
    from agentnb.core.work.stopping import Signals

__all__ = ["Status", "offered"]

_READY_SECONDS = 1.0


class Status:
    """The state of a worker, as the probes give it.

    Attributes
    ----------
    started
        True while it claims work.
    signals
        Those that stop it; None before it started.
    executor_away
        Returns whether an executor of the worker takes no attempts.
    """

    def __init__(self) -> None:
        self.started = False
        self.stopped = False
        self.signals: Signals | None = None
        self.executor_away: Callable[[], bool] = lambda: False

    @property
    def word(self) -> str:
        """``starting``, ``working`` or ``stopping``; the last from the signal on."""
        if self.stopped or (self.signals is not None and self.signals.received is not None):
            return "stopping"
        return "working" if self.started else "starting"


@contextmanager
def offered(
    hub: Hub,
    address: str | None,
    status: Status,
    *,
    queues: Sequence[str],
    agents: bool,
    say: Callable[[str], object],
) -> Iterator[None]:
    """Offer metrics and probes during a block; nothing without an address.

    Parameters
    ----------
    hub
        The worker's hub.
    address
        Where; None for nowhere.
    status
        The state of the worker.
    queues, agents
        The queues, and whether there are agents.
    say
        Called with a line about the address.

    Raises
    ------
    ConfigError
        prometheus-client is missing, or nothing can listen there.
    """
    if address is None:
        yield
        return
    pip = f"{sys.executable} -m pip"
    require(("prometheus_client",), "agentnb worker --metrics", service="cli", pip=pip)
    from agentnb.core.metrics.address import read_address
    from agentnb.core.metrics.depths import DepthReader
    from agentnb.core.metrics.server import MetricsServer, as_json

    def serving() -> Sequence[str]:
        worker = hub.workflows.worker if agents else None
        return () if worker is None else worker.agents

    depths = DepthReader(hub, queues=lambda: queues, agents=serving)

    def alive(_accept: str) -> Reply:
        return as_json(HTTPStatus.OK, ok=True, state=status.word)

    def ready(_accept: str) -> Reply:
        word = status.word
        # The class of an error alone: its text may name hosts.
        services: dict[str, str] = {}
        if word == "working":
            found = hub.ready(_READY_SECONDS).services
            services = {name: state.partition(":")[0] for name, state in found.items()}
            if status.executor_away():
                services["executor"] = "away"
        ok = word == "working" and all(state == "ok" for state in services.values())
        code = HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE
        return as_json(code, ok=ok, state=word, services=services)

    pages = {"/metrics": _metrics(hub, depths), "/healthz": alive, "/readyz": ready}
    with MetricsServer(read_address(address), pages) as server:
        note = "" if server.address.is_local else ", open to other machines"
        say(f"metrics  http://{server.address}/metrics, /healthz and /readyz{note}")
        try:
            yield
        finally:
            depths.close()


def _metrics(hub: Hub, depths: Any) -> Callable[[str], Reply]:
    from prometheus_client import CollectorRegistry, ProcessCollector
    from prometheus_client.exposition import choose_encoder

    from agentnb.core.metrics.collector import MetricsCollector

    registry = CollectorRegistry()
    registry.register(MetricsCollector(hub, depths))
    ProcessCollector(registry=registry)

    def page(accept: str) -> Reply:
        encode, kind = choose_encoder(accept)
        return HTTPStatus.OK, kind, encode(registry)

    return page
