"""The containers and images of one home, on a real engine."""

from __future__ import annotations

from functools import partial
from inspect import unwrap
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, cast, overload

from agentnb.core.callthreads import CallThreads
from agentnb.core.closing import aclosed, aleave, leave
from agentnb.core.delegate import delegate
from agentnb.core.docker.build import Builder
from agentnb.core.docker.connection import Connection
from agentnb.core.docker.exec import Execution
from agentnb.core.docker.inspection import Inspection
from agentnb.core.docker.logs import OUTPUT
from agentnb.core.docker.results import ExecResult
from agentnb.core.docker.run import ContainerRuns
from agentnb.core.docker.running import new_name
from agentnb.core.docker.services import Services
from agentnb.core.keywords import refuse_unknown
from agentnb.core.redact import redact
from agentnb.core.table import Table
from agentnb.core.tape.forms import VALUE
from agentnb.core.tape.methods import on_tapes
from agentnb.core.trace.methods import call
from agentnb.core.twins import iterate, twin

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from agentnb.core.docker.engine import Engine
    from agentnb.core.docker.logs import LogLine, Logs
    from agentnb.core.docker.networks import Network
    from agentnb.core.docker.policy import Policy
    from agentnb.core.docker.results import Container
    from agentnb.core.runtime import Runtime
    from agentnb.core.trace.spans import Span

__all__ = ["DockerManager"]

T = TypeVar("T")


def _discard(
    manager: DockerManager, args: tuple[Any, ...], options: dict[str, Any]
) -> Callable[[], object]:
    """Return what removes the container of an awaited call, which gets a name for that."""
    name = options.setdefault("name", new_name(str(args[0] if args else options.get("image"))))
    return lambda: manager._connection.discard(name)  # noqa: SLF001 - of this module


def _lines(get: Callable[[], Logs | Iterator[LogLine]]) -> Iterator[LogLine]:
    """Yield the lines of a log that is followed; it is asked for when they are."""
    yield from get()


_TAPED = (
    *("build_image", "pull", "images", "run_container", "run", "start_container"),
    *("stop_container", "exec", "put_files", "get_files", "list", "inspect", "stats", "usage"),
)
_REFUSED = {"events": "events of an engine are not recorded"}


@on_tapes("docker", "_redactor", dict.fromkeys(_TAPED, lambda _: VALUE), refused=_REFUSED)
@refuse_unknown("docker")
class DockerManager:
    """Containers and images on a Docker engine, safe by default.

    Connects on the first call. Thread-safe. Labels the objects that it makes, and never lists,
    changes or removes any others on the engine. Its containers are removed when it is closed,
    at once when its process is killed, and at the latest when the home is used again;
    ``keep=True`` keeps one.

    `aexec` awaits `exec`, and so on; 32 awaited calls run at once. Cancelling `arun`,
    `arun_container` or `aservice` removes the container; any other call is left to the engine.

    Parameters
    ----------
    host, context
        The engine; by default that of ``DOCKER_HOST`` and ``DOCKER_CONTEXT`` in the environment,
        else docker's own choice.
    home
        The folder that identifies the owner of the containers; None for an owner that this user's
        processes without a home share.
    policies
        The policies that containers may use; the first is the default. By default those of
        `agentnb.core.docker.POLICIES`.
    roots
        The folders that a build's context and the files for a container must be in; none for
        anywhere.
    workspace
        The folder in which a build's relative folder is also searched.
    runtime
        Tracer, redactor and logs; by default new ones.

    Raises
    ------
    UsageError
        ``policies`` is empty.

    Notes
    -----
    Calls raise `UnavailableError` within 2 s where no engine answers, with how to start one, and
    `ConfigError` for a context that does not exist and for Podman, which is not supported.
    """

    def __init__(
        self,
        host: str | None = None,
        *,
        context: str | None = None,
        home: Path | None = None,
        policies: Sequence[Policy] | None = None,
        roots: Sequence[Path] = (),
        workspace: Path | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        self._redactor = redact if runtime is None else runtime.redactor
        self._connection = Connection(
            host,
            context=context,
            home=home,
            policies=policies,
            roots=roots,
            workspace=workspace,
            runtime=runtime,
        )
        self._builder = Builder(self._connection)
        self._runs = ContainerRuns(self._connection, self._builder)
        self._execution = Execution(self._connection)
        self._inspection = Inspection(self._connection)
        self._services = Services(self._connection, self._runs, self._execution, self._inspection)

    @property
    def policies(self) -> tuple[Policy, ...]:
        """The policies that containers may use; the first is the default."""
        return self._connection.policies

    @property
    def engine(self) -> Engine:
        """The engine, which is connected on first use."""
        return self._connection.engine

    def _call_span(
        self, method: Callable[..., object], args: Sequence[object], options: Mapping[str, object]
    ) -> AbstractContextManager[Span]:
        # The first parameter of each method is what it is about, if it is about something.
        code = unwrap(method).__code__
        first = code.co_varnames[1 : code.co_argcount][:1]
        about = {name: str(args[0] if args else options.get(name)) for name in first}
        known = {name: about[name] for name in ("image", "container") if name in about}
        return self.engine.span(method.__name__, **known)

    def _call_ended(self, span: Span, result: object) -> None:
        if isinstance(result, ExecResult):
            span.note(exit_code=result.exit_code)

    # Images

    build_image = call("_builder", Builder.build_image)
    pull = call("_builder", Builder.pull)
    images = call("_inspection", Inspection.images)
    abuild_image = twin(build_image, callbacks=("on_step", "on_sent"))
    apull = twin(pull, callbacks=("on_progress",))
    aimages = twin(images)

    # Containers

    run_container = call("_runs", ContainerRuns.run_container)
    run = call("_runs", ContainerRuns.run)
    start_container = call("_runs", ContainerRuns.start_container)
    stop_container = call("_runs", ContainerRuns.stop_container)
    exec = call("_execution", Execution.exec)
    put_files = call("_execution", Execution.put_files)
    get_files = call("_execution", Execution.get_files)
    list = call("_inspection", Inspection.list)
    inspect = call("_inspection", Inspection.inspect)
    stats = call("_inspection", Inspection.stats)
    usage = call("_inspection", Inspection.usage)
    events = delegate("_inspection", Inspection.events)
    wait_until = call("_inspection", Inspection.wait_until)
    arun_container = twin(run_container, undo=_discard)
    arun = twin(run, callbacks=("on_line",), undo=_discard)
    astart_container = twin(start_container)
    astop_container = twin(stop_container)
    aexec = twin(exec, callbacks=("on_line",))  # noqa: A003 - the method
    aput_files = twin(put_files)
    aget_files = twin(get_files)
    alist = twin(list)  # noqa: A003 - the method
    ainspect = twin(inspect)
    astats = twin(stats)
    ausage = twin(usage)
    await_until = twin(wait_until)

    def aevents(
        self, *, since: float = 3600.0, follow: bool = False, timeout: float | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield what `events` yields: ``async for``."""
        return self._iterated(self.events(since=since, follow=follow, timeout=timeout))

    @property
    def _call_threads(self) -> CallThreads:
        return self._connection.threads

    def _iterated(self, found: Iterator[T]) -> AsyncIterator[T]:
        # In a thread of its own, since it waits for as long as nothing is printed.
        return iterate(CallThreads("docker", limit=1), found)

    @overload
    def get_container_logs(
        self,
        container: Container | str,
        *,
        follow: Literal[False] = ...,
        since: float | None = ...,
        tail: int | None = ...,
        stdout: bool = ...,
        stderr: bool = ...,
        limit: int = ...,
    ) -> Logs: ...
    @overload
    def get_container_logs(
        self,
        container: Container | str,
        *,
        follow: Literal[True],
        since: float | None = ...,
        tail: int | None = ...,
        stdout: bool = ...,
        stderr: bool = ...,
        timeout: float | None = ...,
    ) -> Iterator[LogLine]: ...
    def get_container_logs(
        self,
        container: Container | str,
        *,
        follow: bool = False,
        since: float | None = None,
        tail: int | None = None,
        stdout: bool = True,
        stderr: bool = True,
        limit: int = OUTPUT,
        timeout: float | None = None,
    ) -> Logs | Iterator[LogLine]:
        """Return the output of a container, or yield it as it is printed.

        Parameters
        ----------
        container
            It or its name.
        follow
            Whether to yield lines until the container ends.
        since
            Seconds: only the output of the last ones.
        tail
            Only the last lines, at most this number.
        stdout, stderr
            Whether to include each stream.
        limit
            Bytes at most, of the newest output. `Logs.truncated` says whether there was more.
        timeout
            While following: seconds without a line after which the call ends.

        Raises
        ------
        NotFoundError
            The home has no such container.
        DeadlineExceeded
            While following: nothing was printed within ``timeout``.
        """
        return self._inspection.get_container_logs(
            container,
            follow=follow,
            since=since,
            tail=tail,
            stdout=stdout,
            stderr=stderr,
            limit=limit,
            timeout=timeout,
        )

    @overload
    def aget_container_logs(
        self,
        container: Container | str,
        *,
        follow: Literal[False] = ...,
        since: float | None = ...,
        tail: int | None = ...,
        stdout: bool = ...,
        stderr: bool = ...,
        limit: int = ...,
    ) -> Coroutine[Any, Any, Logs]: ...
    @overload
    def aget_container_logs(
        self,
        container: Container | str,
        *,
        follow: Literal[True],
        since: float | None = ...,
        tail: int | None = ...,
        stdout: bool = ...,
        stderr: bool = ...,
        timeout: float | None = ...,
    ) -> AsyncIterator[LogLine]: ...
    def aget_container_logs(
        self,
        container: Container | str,
        *,
        follow: bool = False,
        since: float | None = None,
        tail: int | None = None,
        stdout: bool = True,
        stderr: bool = True,
        limit: int = OUTPUT,
        timeout: float | None = None,
    ) -> Coroutine[Any, Any, Logs] | AsyncIterator[LogLine]:
        """Await `get_container_logs`; with ``follow=True``: ``async for`` over its lines."""
        get = partial(
            self._inspection.get_container_logs,
            container,
            follow=follow,
            since=since,
            tail=tail,
            stdout=stdout,
            stderr=stderr,
            limit=limit,
            timeout=timeout,
        )
        if follow:
            return self._iterated(_lines(get))
        return self._call_threads.call(cast("Callable[[], Logs]", get))

    # Services and networks

    service = call("_services", Services.service)
    aservice = twin(service, callbacks=("ready",), undo=_discard)

    def network(self, name: str) -> Network:
        """Return a private network of this home, which is made if there is none of that name.

        The containers on it reach each other by name, and nothing else: neither the host nor
        the outside. It is removed at the end of its process, once no container uses it.

        Parameters
        ----------
        name
            Letters, digits and ``_ . -``, at most 40. Homes do not share their networks.

        Raises
        ------
        RejectedError
            The engine has no addresses left for another one.
        """
        return self._connection.networks.open(name)

    def networks(self) -> Table:
        """Return the networks of this home: name, containers, id."""
        return self._connection.networks.table()

    def remove_network(self, network: Network | str) -> None:
        """Remove a network.

        Parameters
        ----------
        network
            It or its name.

        Raises
        ------
        NotFoundError
            There is none of that name.
        RejectedError
            Containers use it.
        """
        self._connection.networks.remove(str(network))

    anetwork = twin(network)
    anetworks = twin(networks)
    aremove_network = twin(remove_network)

    # All of them

    def prune(self, *, images: bool = False, dry_run: bool = False) -> Table:
        """Remove the home's ended containers, its networks and, if asked, its images.

        Networks and images that a container uses stay.

        Parameters
        ----------
        images
            Whether images go, too.
        dry_run
            Whether to say only what would go.

        Returns
        -------
        Table
            Kind and name of what went.
        """
        gone = [("container", name) for name in self._connection.containers.prune(dry_run=dry_run)]
        gone += [("network", name) for name in self._connection.networks.prune(dry_run=dry_run)]
        if images and dry_run:
            gone += [("image", row[0]) for row in self.images().rows]
        elif images:
            gone += [("image", tag) for tag in self._connection.images.remove()]
        return Table(("kind", "name"), gone, empty="nothing to remove")

    def names(self, kind: str) -> Sequence[str]:
        """Return the names of the home's containers, or of its images or networks."""
        tables = {"image": self.images, "network": self.networks}
        table = tables.get(kind, self.list)()
        return [row[0] for row in table.rows]

    def ping(self) -> None:
        """Ask the engine whether it is there.

        Raises
        ------
        UnavailableError
            It is not.
        """
        self.engine.call("ping", lambda api: api.ping(), idempotent=True)

    def status(self) -> Table:
        """Return the engine, the counts of containers and images, and the policies."""
        version = self.engine.call("version", lambda api: api.version(), idempotent=True)
        states = [row[2] for row in self.list().rows]
        running = sum(state == "running" for state in states)
        row = (
            f"Docker {version['Version']}",
            self.engine.endpoint.source,
            running,
            len(states) - running,
            len(self.images()),
            ", ".join(policy.name for policy in self._connection.policies),
        )
        return Table(("engine", "chosen by", "running", "ended", "images", "policies"), [row])

    aprune = twin(prune)
    anames = twin(names)
    aping = twin(ping)
    astatus = twin(status)

    def close(self) -> None:
        """Remove this process's containers and networks; close, to be opened again on use."""
        self._connection.close()

    async def aclose(self) -> None:
        """Await `close`. A caller that is cancelled waits for its end."""
        await aclosed(self.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await aleave(error, self.aclose)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        leave(error, self.close)

    def __repr__(self) -> str:
        return f"DockerManager({', '.join(policy.name for policy in self._connection.policies)})"
