"""A service in a container: a database or the like, ready to be used."""

from __future__ import annotations

import inspect
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Self, Unpack

from agentnb.core.closing import aleave, leave
from agentnb.core.errors import NotFoundError, UnavailableError, UsageError
from agentnb.core.keywords import refuse_unknown
from agentnb.core.twins import twin

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentnb.core.callthreads import CallThreads
    from agentnb.core.docker.arguments import ExecArguments, LogArguments
    from agentnb.core.docker.logs import Logs
    from agentnb.core.docker.results import Container, ExecResult

__all__ = ["Service", "ServiceControl", "ready_function"]

# By the ports that these are known by; all else is a web server, or is told otherwise.
_SCHEMES = {
    1883: "mqtt",
    3306: "mysql",
    4222: "nats",
    5432: "postgresql",
    5672: "amqp",
    6379: "redis",
    27017: "mongodb",
}
HOST = "127.0.0.1"


class ServiceControl(NamedTuple):
    """The calls that a service makes for its container.

    Parameters
    ----------
    logs, exec, stop
        `DockerManager.get_container_logs`, `DockerManager.exec` and
        `DockerManager.stop_container`.
    threads
        The threads in which awaited calls run.
    """

    logs: Callable[..., Any]
    exec: Callable[..., ExecResult]
    stop: Callable[..., None]
    threads: CallThreads


@refuse_unknown("docker")
class Service:
    """A container that is ready, and gone at the end of a ``with`` block or by `stop`.

    Parameters
    ----------
    control
        The calls for its container.
    container
        The container.
    inside
        The port inside that `port` and `url` stand for; None for none.
    scheme
        The scheme of `url`; None for that of the port, else ``http``.
    """

    def __init__(
        self,
        control: ServiceControl,
        container: Container,
        inside: int | None,
        scheme: str | None,
    ) -> None:
        self._control = control
        self.container = container
        self._inside = inside
        self._scheme = scheme or _SCHEMES.get(inside or 0, "http")

    @property
    def _call_threads(self) -> CallThreads:
        return self._control.threads

    @property
    def name(self) -> str:
        """The container's name, by which those on its network reach it."""
        return self.container.name

    @property
    def host(self) -> str:
        """The address at which it is published."""
        return HOST

    @property
    def port(self) -> int:
        """The port of this machine at which it is published.

        Raises
        ------
        UsageError
            It was started without ``port=``.
        UnavailableError
            It had ended before it was published.
        """
        if self._inside is None:
            raise UsageError(
                f"{self.name} is not published",
                service="docker",
                hint="service(IMAGE, port=6379); on a network its containers reach it by name",
            )
        published = self.container.ports.get(self._inside)
        if published is None:
            raise UnavailableError(
                f"{self.name} has ended",
                service="docker",
                hint=f"hub.docker.get_container_logs({self.name!r}) (%docker logs {self.name}) "
                "has its last lines",
            )
        return published

    @property
    def url(self) -> str:
        """Its address, such as ``redis://127.0.0.1:49153``."""
        return f"{self._scheme}://{HOST}:{self.port}"

    def logs(self, /, **options: Unpack[LogArguments]) -> Logs:
        """Return the output of the service; options are those of `get_container_logs`."""
        found: Logs = self._control.logs(self.container, follow=False, **options)
        return found

    def exec(self, /, command: str | Sequence[str], **options: Unpack[ExecArguments]) -> ExecResult:
        """Run another program in its container; options are those of `DockerManager.exec`."""
        return self._control.exec(self.container, command, **options)

    def stop(self, *, grace: float = 5.0) -> None:
        """Stop it and remove its container, which may be gone already.

        Parameters
        ----------
        grace
            Seconds between asking it to end and killing it.
        """
        with suppress(NotFoundError):
            self._control.stop(self.container, grace=grace)

    alogs = twin(logs)
    aexec = twin(exec)  # noqa: A003 - the method
    astop = twin(stop)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        leave(error, self.stop)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await aleave(error, self.astop)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        published = self.container.ports.get(self._inside or 0)
        where = "" if published is None else f" at {self.url}"
        return f"<Service {self.name} of {self.container.image}{where}>"


def ready_function(ready: Callable[[Service], object]) -> Callable[[Service], object]:
    """Return the function that tells whether a service is ready, if it can be called with one.

    Raises
    ------
    UsageError
        It takes something else, or is a coroutine function.
    """
    if inspect.iscoroutinefunction(ready):
        raise UsageError(
            "ready cannot be a coroutine function here",
            service="docker",
            hint="await hub.docker.aservice(IMAGE, ready=...), or a plain function",
        )
    with suppress(ValueError):  # a builtin that does not tell what it takes
        try:
            inspect.signature(ready).bind(None)
        except TypeError as error:
            raise UsageError(
                f"ready cannot be called with the service: {error}",
                service="docker",
                hint="ready=lambda service: connect(service.url).ping()",
            ) from error
    return ready
