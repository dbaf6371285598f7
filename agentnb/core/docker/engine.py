"""The engine: found and connected on first use, with its errors translated."""

from __future__ import annotations

import json
import re
import socket
from contextlib import closing, contextmanager, nullcontext
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from agentnb.core.docker.endpoint import Endpoint, find, how_to_start, not_docker
from agentnb.core.docker.interrupting import interruptible
from agentnb.core.errors import (
    AgentnbError,
    ConfigError,
    ContainerNotFound,
    DeadlineExceeded,
    ImageNotFound,
    NotFoundError,
    RejectedError,
    UnavailableError,
)
from agentnb.core.forking import ForkGuard, new_lock
from agentnb.core.redact import redact
from agentnb.core.resilience import Boundary, RetryPolicy
from agentnb.core.trace import current
from agentnb.core.trace.spans import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping
    from contextlib import AbstractContextManager
    from io import RawIOBase
    from typing import IO

    from agentnb.core.runtime import Runtime


__all__ = ["Engine", "connected", "explain"]

CONNECT_SECONDS = 1.0
"""How long the first answer may take: within 2 s everybody knows."""

CALL_SECONDS = 60.0
CHUNK = 65_536
_REASON = 500
_OLD = "1.24"
# Repeats what the daemon's own address is; nothing that anybody could use.
_NOISE = re.compile(
    r"^(?:OCI runtime create failed: )?(?:container_linux\.go:\d+: )?", re.MULTILINE
)

T = TypeVar("T")


class Engine:
    """A connection to an engine. Thread-safe; a forked child makes its own.

    Parameters
    ----------
    host, context
        ``DOCKER_HOST`` and ``DOCKER_CONTEXT``; None for docker's own choice.
    runtime
        Tracer and logs.
    """

    def __init__(self, host: str | None, context: str | None, *, runtime: Runtime) -> None:
        self._host, self._context = host, context
        self.tracer = runtime.tracer
        self._lock = new_lock()
        self._api: Any = None
        self._fork = ForkGuard()
        self._endpoint: Endpoint | None = None
        self.log = runtime.log("docker")
        self._boundary = Boundary("docker", retry=RetryPolicy(attempts=2), logger=self.log)

    @property
    def endpoint(self) -> Endpoint:
        """The address of the engine.

        Raises
        ------
        ConfigError
            A misspelt context, or an address that cannot be used.
        """
        if self._endpoint is None:
            self._endpoint = find(self._host, self._context)
        return self._endpoint

    @property
    def api(self) -> Any:
        """The SDK's client, connected; it answered at least once.

        Raises
        ------
        UnavailableError
            No engine answers, which is known within 2 s.
        ConfigError
            As `endpoint`.
        """
        with self._lock:
            if self._api is None or self._fork.forked:
                self._api = connected(self.endpoint)
                self._fork.reset()
            return self._api

    def speaks(self, major: int, minor: int) -> bool:
        """Return whether its API is of a version or newer: 1.41 is that of 20.10, 1.42 of 23."""
        return tuple(int(part) for part in self.api.api_version.split(".")) >= (major, minor)

    def call(
        self,
        name: str,
        function: Callable[[Any], T],
        *,
        idempotent: bool = False,
        **attributes: object,
    ) -> T:
        """Call the engine in a span, and translate its errors.

        Parameters
        ----------
        name
            The action, for the span and for messages.
        function
            Does it; it is given the SDK's client.
        idempotent
            Whether doing it twice does the same as once; then it is tried again when the engine
            was not reached.
        """
        api = self.api  # where none answers, it has had its time: that is not tried again

        def attempt(_: object) -> T:
            try:
                return function(api)
            except AgentnbError:
                raise
            except Exception as error:  # noqa: BLE001 - put into ours, or raised as it is
                explain(error, name, self.endpoint)

        with self.span(name, **attributes):
            return self._boundary.call(attempt, idempotent=idempotent, doing=name)

    def span(self, name: str, **attributes: object) -> AbstractContextManager[Span]:
        """Return the span of a call; within another call of docker that one's, which goes on."""
        around = current()
        if isinstance(around, Span) and around.service == "docker":
            around.note(**attributes)
            return nullcontext(around)
        return Span(self.tracer, name, "docker", 1, attributes)

    @contextmanager
    def logs_failure(self, event: str, **data: object) -> Iterator[None]:
        """Log the error that a block ends with, its first line and without secrets."""
        try:
            yield
        except Exception as error:
            message = error.message if isinstance(error, AgentnbError) else type(error).__name__
            reason = redact(message.partition("\n")[0])[:_REASON]
            self.log.error(  # noqa: TRY400 - the caller gets the error, with its traceback
                "%s: %s: %s",
                event,
                ", ".join(map(str, data.values())),
                reason,
                extra={"data": {**data, "error": reason}},
            )
            raise

    def stream(
        self,
        path: str,
        params: Mapping[str, object],
        *,
        timeout: float | None,
        archive: IO[bytes] | RawIOBase | None = None,
        registry: bool = False,
        live: bool = True,
    ) -> Generator[bytes, None, None]:
        """Yield the stream of the engine; closing the iterator ends it.

        Parameters
        ----------
        path
            Behind the version, such as ``/containers/x/logs``.
        params
            Behind the question mark.
        timeout
            Seconds without a word after which it is given up; None for no limit.
        archive
            A tar archive to send with the question.
        registry
            Whether the question is one to a registry, with the user's credentials for it.
        live
            Whether to yield at once what has come; else in large pieces, which is faster.
        """
        api = self.api
        headers = {"Accept-Encoding": "identity"}  # an archive would come compressed
        if archive is not None:
            headers["Content-Type"] = "application/x-tar"
            api._set_auth_headers(headers)  # noqa: SLF001 - for base images that are not public
        if registry:
            headers |= _credentials(api, str(params["fromImage"]))
        try:
            answer = api.request(
                "POST" if registry or archive is not None else "GET",
                f"{api.base_url}/v{api.api_version}{path}",
                params=dict(params),
                data=archive,
                headers=headers,
                stream=True,
                timeout=(CALL_SECONDS, timeout),
            )
            api._raise_for_status(answer)  # noqa: SLF001 - the one way to the engine's own words
        except Exception as error:  # noqa: BLE001 - as in call
            explain(error, path, self.endpoint)
        read = answer.raw.read1 if live else answer.raw.read
        with answer:
            while True:
                try:
                    with interruptible(answer):
                        data = read(CHUNK)
                except Exception as error:  # noqa: BLE001 - as in call
                    explain(error, path, self.endpoint)
                if not data:
                    return
                yield data

    def follow(
        self,
        path: str,
        params: Mapping[str, object],
        read: Callable[[Any], object],
        *,
        timeout: float,
        late: Callable[[], DeadlineExceeded],
        archive: IO[bytes] | RawIOBase | None = None,
        registry: bool = False,
    ) -> None:
        """Read the JSON that the engine sends of its work, a line each, up to its end.

        Parameters
        ----------
        path, params, archive, registry
            As `stream` takes them.
        read
            Given what each line says.
        timeout
            Seconds for all of it.
        late
            Returns the error of what takes longer.
        """
        until, pending = monotonic() + timeout, b""
        sent = self.stream(path, params, timeout=timeout, archive=archive, registry=registry)
        with closing(sent):  # the engine gives up what nobody listens to
            for data in sent:
                *lines, pending = (pending + data).split(b"\n")
                for line in filter(bytes.strip, lines):
                    read(json.loads(line))
                if monotonic() > until:
                    raise late()

    def close(self) -> None:
        """Close the connections; the next use opens others."""
        with self._lock:
            if self._api is not None and not self._fork.forked:
                self._api.close()
            self._api = None


def connected(endpoint: Endpoint) -> Any:
    """Return the SDK's client of an engine that has answered.

    Raises
    ------
    UnavailableError
        None does.
    ConfigError
        The certificates cannot be used, or it is not Docker's engine.
    """
    import docker
    from docker.errors import TLSParameterError

    try:
        tls = docker.tls.TLSConfig(**endpoint.tls) if endpoint.tls else False
        _knock(endpoint)
        # Asked by a client of its own: the SDK leaks the one whose first call fails.
        first = docker.APIClient(endpoint.url, version=_OLD, tls=tls, timeout=CONNECT_SECONDS)
        with closing(first):
            found = first.version(api_version=False)
        api = docker.APIClient(
            endpoint.url, version=found["ApiVersion"], tls=tls, timeout=CALL_SECONDS
        )
    except TLSParameterError as error:
        raise ConfigError(
            f"the certificates of {endpoint.source} cannot be used: {error}",
            service="docker",
            hint="DOCKER_CERT_PATH is the folder of ca.pem, cert.pem and key.pem",
        ) from error
    except Exception as error:
        raise UnavailableError(
            f"no Docker engine answers at {endpoint.url} ({endpoint.source})",
            service="docker",
            hint=how_to_start(endpoint),
        ) from error
    if (reason := not_docker(found)) is not None:
        api.close()
        raise ConfigError(
            f"the engine at {endpoint.url} ({endpoint.source}) is {reason}",
            service="docker",
            hint="set DOCKER_HOST to a Docker engine, such as unix:///var/run/docker.sock",
        )
    if endpoint.url.startswith("unix://"):
        api.trust_env = False  # a third of a call goes into looking for proxies, and none is used
    return api


def _credentials(api: Any, image: str) -> dict[str, str]:
    """Return the header with the credentials of ``docker login`` for an image's registry."""
    from docker import auth

    registry, _ = auth.resolve_repository_name(image)
    header = auth.get_config_header(api, registry)
    return {"X-Registry-Auth": header} if header else {}


def _knock(endpoint: Endpoint) -> None:
    """Connect to a socket's file and leave again: the SDK leaks a socket that cannot connect."""
    if endpoint.url.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(CONNECT_SECONDS)
            link.connect(endpoint.url.removeprefix("unix://"))


def _missing(message: str) -> type[NotFoundError]:
    kinds = {"container": ContainerNotFound, "image": ImageNotFound}
    found = re.match(r"No such (\w+)", message)
    return kinds.get(found[1].lower(), NotFoundError) if found else NotFoundError


def explain(error: Exception, doing: str, endpoint: Endpoint) -> NoReturn:
    """Translate an error of the SDK; others are raised as they are."""
    import requests
    import urllib3
    from docker.errors import APIError, DockerException, NotFound

    if isinstance(error, AgentnbError):  # which may be a TimeoutError or an OSError, too
        raise error
    if isinstance(error, APIError):
        message = _NOISE.sub("", str(error.explanation or error)).strip()
        kind = _missing(message) if isinstance(error, NotFound) else RejectedError
        raise kind(message, service="docker") from error
    slow = (requests.Timeout, urllib3.exceptions.ReadTimeoutError, TimeoutError)
    if isinstance(error, slow) or "Read timed out" in str(error):
        raise DeadlineExceeded(
            f"{doing}: the engine did not answer in time",
            service="docker",
            hint="give it more time, or look at what the engine is doing",
        ) from error
    lost = (requests.RequestException, urllib3.exceptions.HTTPError, DockerException, OSError)
    if isinstance(error, lost):
        raise UnavailableError(
            f"{doing}: the Docker engine at {endpoint.url} was lost",
            service="docker",
            hint=how_to_start(endpoint),
        ) from error
    raise error
