"""Services: containers that are ready when they are returned."""

from __future__ import annotations

import re
from time import monotonic
from typing import TYPE_CHECKING, Any, Unpack
from urllib.parse import urlsplit

from agentnb.core.docker.options import check_names
from agentnb.core.docker.service import Service, ServiceControl, ready_function
from agentnb.core.errors import OptionRefused, UsageError
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import seconds, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agentnb.core.docker.arguments import ServiceArguments
    from agentnb.core.docker.connection import Connection
    from agentnb.core.docker.exec import Execution
    from agentnb.core.docker.inspection import Inspection
    from agentnb.core.docker.run import ContainerRuns

__all__ = ["Services"]

_PORT = 65_535
_HERE = {"localhost", "127.0.0.1", "::1"}
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")


@refuse_unknown("docker")
class Services:
    """Starts services, and waits until they are ready.

    Parameters
    ----------
    connection
        The connection to the engine.
    runs, execution, inspection
        The parts that run containers, and that reach into them.
    """

    def __init__(
        self,
        connection: Connection,
        runs: ContainerRuns,
        execution: Execution,
        inspection: Inspection,
    ) -> None:
        self._connection, self._runs = connection, runs
        self._control = ServiceControl(
            logs=inspection.get_container_logs,
            exec=execution.exec,
            stop=runs.stop_container,
            threads=connection.threads,
        )

    def service(
        self,
        /,
        image: str,
        command: str | Sequence[str] | None = None,
        *,
        ready: str | re.Pattern[str] | Callable[[Service], object] | None = None,
        port: int | None = None,
        scheme: str | None = None,
        timeout: float = 60.0,
        files: Mapping[str, Any] | None = None,
        **options: Unpack[ServiceArguments],
    ) -> Service:
        """Start a container, wait until it is ready, and return it.

        Use it as a context manager, or call its `stop`; at the latest it goes with this process.

        Parameters
        ----------
        image, command, files, **options
            As in `run_container`. The default policy is ``service`` where it is allowed, else the
            first that has a network.
        ready
            A text or pattern that a line of its log holds; or a function that is called with the
            service until it returns something true, an error being no. None: `port` answers, or
            without one the image's own HEALTHCHECK says so.
        port
            The port inside, published on a free one of 127.0.0.1; `Service.url` has it. It must
            answer before a function is asked and before a service counts as ready.
        scheme
            The scheme of `Service.url`; default: that of the port, such as
            ``redis`` for 6379, else ``http``.
        timeout
            Seconds until it is ready, at most.

        Raises
        ------
        DeadlineExceeded
            It is not ready in time; the message ends with its last output. It is removed.
        RejectedError
            It has ended before it was ready; likewise.
        OptionRefused
            No policy that is allowed here has a network, for `port`.

        Examples
        --------
        ::

            with hub.docker.service("redis:7", port=6379) as redis:
                client = redis_py.from_url(redis.url)
        """
        timeout = seconds("timeout", timeout, service="docker", hint="timeout=60")
        until = monotonic() + timeout
        if callable(ready):
            ready = ready_function(ready)
        elif ready is not None and not isinstance(ready, (str, re.Pattern)):
            raise UsageError(
                f"ready must be a text, a pattern or a function, got {type(ready).__name__}",
                service="docker",
                hint="ready='ready to accept connections'",
            )
        if scheme is not None and (
            not isinstance(scheme, str) or _SCHEME.fullmatch(scheme) is None
        ):
            raise UsageError(
                f"scheme must be that of a URL, got {scheme!r:.80}",
                service="docker",
                hint="scheme='redis'",
            )
        check_names(options)
        if options.get("keep"):
            raise UsageError(
                "a service goes with its process", service="docker", hint="leave keep= out"
            )
        given: Any = _published(
            self._connection, {"policy": _service_policy(self._connection), **options}, port
        )
        if ready is None and port is None and "pull" not in options:
            _need_check(self._connection, image)
        container = self._runs.run_container(image, command, files=files, **given)
        service = Service(self._control, container, port, scheme)
        try:
            _wait(self._connection, service, ready, port, until, timeout)
        except BaseException:
            self._connection.discard(container.id)
            raise
        return service


def _service_policy(connection: Connection) -> str | None:
    names = [policy.name for policy in connection.policies if policy.network]
    return "service" if "service" in names else next(iter(names), None)


def _published(connection: Connection, options: dict[str, Any], port: int | None) -> dict[str, Any]:
    """Return options by which a port is published where this process reaches it."""
    if port is None:
        return options
    whole("port", port, service="docker", most=_PORT, hint="port=6379")
    address = urlsplit(connection.engine.endpoint.url)
    if address.scheme != "unix" and address.hostname not in _HERE:
        raise OptionRefused(
            f"the option 'port' is refused: {address.hostname} publishes on its own 127.0.0.1",
            service="docker",
            hint="forward the engine's socket and the port (ssh -L), or use a network",
        )
    ports = options.get("ports") or {}
    ports = dict(ports) if hasattr(ports, "keys") else dict.fromkeys(ports)
    return {**options, "ports": {port: None, **ports}}


def _need_check(connection: Connection, image: str) -> None:
    check = (connection.images.find(image).get("Config") or {}).get("Healthcheck") or {}
    if (check.get("Test") or ["NONE"])[0] == "NONE":
        raise UsageError(
            "nothing tells when the service is ready: the image has no HEALTHCHECK",
            service="docker",
            hint="port=6379, or ready='a text of its log', or ready=FUNCTION",
        )


def _wait(
    connection: Connection,
    service: Service,
    ready: Any,
    port: int | None,
    until: float,
    timeout: float,
) -> None:
    waiting = connection.containers.waiting(service.container.id, timeout, until=until)
    if isinstance(ready, (str, re.Pattern)):
        waiting.line(ready)
    if port is not None:
        waiting.port(port, service.container.ports.get(port))
    if callable(ready):
        waiting.function(lambda: ready(service))
    elif ready is None and port is None:
        waiting.healthy()
