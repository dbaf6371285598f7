"""The clients of a hub: one a URL, closed together."""

from __future__ import annotations

from concurrent.futures import wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

from agentnb.core.background import run_in_thread
from agentnb.core.callthreads import CallThreads
from agentnb.core.errors import NotFoundError, UsageError
from agentnb.core.forking import new_lock
from agentnb.core.keywords import refuse_unknown
from agentnb.core.runtime import Runtime
from agentnb.core.table import Table
from agentnb.core.twins import twin
from agentnb.core.websocket.client import WebSocketClient
from agentnb.core.websocket.handshake import Handshake
from agentnb.core.websocket.running import running

if TYPE_CHECKING:
    from pathlib import Path

    from agentnb.core.websocket.arguments import WebSocketOptions


__all__ = ["WebSockets"]

_CLOSE_SECONDS = 5.0


@refuse_unknown("websocket")
class WebSockets:
    """Keeps one client for each URL.

    Parameters
    ----------
    home
        Where a running ``agentnb serve`` has left its address; None for nowhere.
    runtime
        Tracer, redactor and logs; default: new ones.
    """

    def __init__(
        self,
        *,
        home: Path | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        self._home = home
        self._runtime = runtime or Runtime()
        self._lock = new_lock()
        self._call_threads = CallThreads("websocket", limit=4)
        self._clients: dict[str, WebSocketClient] = {}
        self._options: dict[str, WebSocketOptions] = {}

    def client(
        self, url: str | None = None, **options: Unpack[WebSocketOptions]
    ) -> WebSocketClient:
        """Return the client of a URL, made on first use; it is not connected by that.

        Parameters
        ----------
        url
            ``ws://`` or ``wss://``; default: the ``agentnb serve`` that runs in this home, with
            its token.
        **options
            As `WebSocketClient` takes them.

        Raises
        ------
        UsageError
            It is kept already, with other options.
        NotFoundError
            No server runs in this home.
        """
        if url is None:
            url, token = self._own()
            bearer = {"Authorization": f"Bearer {token}"} if token else {}
            options["headers"] = _with(bearer, options.get("headers"))
        with self._lock:
            kept = self._clients.get(url)
            if kept is None:
                kept = self._clients[url] = WebSocketClient(
                    url,
                    runtime=self._runtime,
                    **options,
                )
                self._options[url] = options
            elif options and options != self._options[url]:
                raise UsageError(
                    f"{kept.url} is open with other options",
                    service="websocket",
                    hint="close it first: hub.websockets.close_client(url)",
                )
        return kept

    def _own(self) -> tuple[str, str]:
        found = None if self._home is None else running(self._home)
        if found is None:
            raise NotFoundError(
                "no server of events runs in this home",
                service="websocket",
                hint="start one: agentnb serve; or name a URL",
            )
        if found.token:
            self._runtime.redactor.add(found.token)
        return found.url, found.token

    def clients(self) -> list[WebSocketClient]:
        """Return the clients that are kept, oldest first."""
        return list(self._clients.values())

    def close_client(self, url: str, timeout: float = _CLOSE_SECONDS) -> bool:
        """Disconnect a client and forget it; return whether there was one.

        Parameters
        ----------
        url
            As it was given, or as it is shown.
        timeout
            Seconds, as `WebSocketClient.disconnect` takes them.
        """
        with self._lock:
            found = [key for key, one in self._clients.items() if url in {key, one.url}]
            closed = [self._clients.pop(key) for key in found]
            for key in found:
                self._options.pop(key, None)
        for one in closed:
            one.disconnect(timeout)
        return bool(closed)

    def table(self) -> Table:
        """Return the clients with their counts."""
        rows = []
        for one in self.clients():
            s = one.stats()
            counts = (s["connects"], s["received"], s["sent"], s["waiting"], s["dropped"])
            error = s["last_error"] or ("" if s["state"] == "connected" else s["last_end"])
            for where in (f" to {s['url']}", f" from {s['url']}", f"{s['url']}: ", f"{s['url']} "):
                error = error.replace(where, "")  # it stands in the row already
            rows.append((s["url"], s["state"], *counts, error))
        columns = ("url", "state", "connects", "received", "sent", "waiting", "dropped", "trouble")
        return Table(columns, rows, empty="no WebSocket yet: hub.websocket(URL) (%ws connect URL)")

    def close(self, timeout: float = _CLOSE_SECONDS) -> None:
        """Disconnect all clients, at the same time and within the timeout."""
        with self._lock:
            clients = self.clients()
            self._clients.clear()
            self._options.clear()
        ending = [
            run_in_thread(one.disconnect, timeout, name="websocket-close")
            for one in clients
            if one.state not in {"new", "closed"}
        ]
        wait(ending, timeout + 1)
        self._call_threads.close()

    aclose_client = twin(close_client)
    aclose = twin(close)


@dataclass(frozen=True)
class _Added:
    """A function of headers, and others that are sent with them."""

    others: dict[str, str]
    function: Any

    async def __call__(self) -> dict[str, str]:
        return {**self.others, **await Handshake(self.function).ask()}


def _with(others: dict[str, str], headers: Any) -> Any:
    return _Added(others, headers) if callable(headers) else {**others, **(headers or {})}
