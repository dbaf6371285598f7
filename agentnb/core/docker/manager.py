"""The containers and images of one home, on a real engine."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, overload

from agentnb.core.docker.containers import Containers
from agentnb.core.docker.context import place_of
from agentnb.core.docker.engine import Engine
from agentnb.core.docker.images import Images
from agentnb.core.docker.logs import OUTPUT, LogLine, Logs
from agentnb.core.docker.options import WORK, checked, words_of
from agentnb.core.docker.owner import Owner
from agentnb.core.docker.policy import POLICIES, chosen
from agentnb.core.docker.runner import Runner
from agentnb.core.docker.session import Session
from agentnb.core.errors import UsageError
from agentnb.core.table import Table
from agentnb.core.trace import Tracer

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from agentnb.core.docker.building import Step
    from agentnb.core.docker.policy import Policy
    from agentnb.core.docker.results import BuildResult, Container, ExecResult, RunResult, Stats

__all__ = ["DockerManager"]

BUILD_SECONDS = 600.0
RUN_SECONDS = 300.0


class _Opened(NamedTuple):
    """What there is once an engine has answered."""

    session: Session
    containers: Containers
    images: Images
    runner: Runner


class DockerManager:
    """Containers and images on a Docker engine, safe by default.

    Nothing is connected before the first call. Thread-safe. What it makes carries its labels,
    and it lists, touches and removes nothing else on the engine. Containers go when this is
    closed, at once when its process is killed, and at the latest when the home is used again;
    ``keep=True`` keeps one.

    Parameters
    ----------
    host, context
        The engine; without either, as ``DOCKER_HOST`` and ``DOCKER_CONTEXT`` of the environment
        say, and else docker's own choice.
    home
        The folder that tells whose the containers are; None for one that this user's processes
        without a home share.
    policies
        What containers may be allowed, by what name; the first is the default. By default those
        of `agentnb.core.docker.POLICIES`.
    roots
        The folders that a build's context and the files for a container must be in; none for
        anywhere.
    workspace
        Where a build's relative folder is also looked for.
    tracer
        Where spans go; default: one of its own, in memory.
    hub_id
        The hub whose log file takes what is logged; default: any.

    Raises
    ------
    UsageError
        There is no policy.

    Notes
    -----
    Calls raise `UnavailableError` within 2 s where no engine answers, with how to start one, and
    `ConfigError` for a context that does not exist.
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
        tracer: Tracer | None = None,
        hub_id: str | None = None,
    ) -> None:
        self.policies = tuple(POLICIES.values() if policies is None else policies)
        if not self.policies:
            raise UsageError("there is no policy", service="docker", hint="policies=[...]")
        if host is None and context is None:
            host, context = os.environ.get("DOCKER_HOST"), os.environ.get("DOCKER_CONTEXT")
        self._home, self._roots, self._workspace = home, tuple(roots), workspace
        self.engine = Engine(host, context, tracer=tracer or Tracer(), hub_id=hub_id)
        self._lock = threading.Lock()
        self._opened: _Opened | None = None

    def _open(self) -> _Opened:
        with self._lock:
            if self._opened is None:
                _ = self.engine.api  # nothing is written for an engine that is not there
                owner = Owner(self._home)
                session = Session(self.engine, owner)
                images = Images(self.engine, owner)
                containers = Containers(self.engine, owner, self._roots)
                runner = Runner(self.engine, session, images, containers, self._roots)
                session.sweep()
                self._opened = _Opened(session, containers, images, runner)
            return self._opened

    @property
    def _containers(self) -> Containers:
        return self._open().containers

    @property
    def _images(self) -> Images:
        return self._open().images

    @property
    def _runner(self) -> Runner:
        return self._open().runner

    def build_image(
        self,
        context: str | Path | None,
        tag: str,
        *,
        dockerfile: str | None = None,
        text: str | None = None,
        args: Mapping[str, str] | None = None,
        target: str | None = None,
        policy: str | None = None,
        fresh: bool = False,
        timeout: float = BUILD_SECONDS,
        on_step: Callable[[Step], object] | None = None,
    ) -> BuildResult:
        """Build an image.

        ``.dockerignore`` is honoured; a link in the context is sent as a link and never
        followed. Steps run as root with the engine's own capabilities, as in every build, within
        the policy's memory, and without a network unless the policy has one.

        Parameters
        ----------
        context
            The folder that is sent, from the working directory or from the workspace; None to
            send nothing but `text`.
        tag
            Its name, such as ``"app:latest"``. The image that had it is removed if nothing uses it.
        dockerfile
            The Dockerfile's path in the context; default ``Dockerfile``.
        text
            The Dockerfile itself, in place of the context's.
        args
            The build's ``ARG`` values. They can be read in the image: no secrets.
        target
            The stage to build, of several.
        policy
            As in `run_container`.
        fresh
            Whether every step is to run, whatever the cache has.
        timeout
            Seconds at most.
        on_step
            Called with each step as it begins.

        Raises
        ------
        BuildFailed
            A step failed; the message ends with what it printed last.
        NotFoundError
            There is no such folder, or no Dockerfile in it.
        OptionRefused
            The folder is outside of `roots`.
        DeadlineExceeded
            It took too long.
        """
        if context is None and text is None:
            raise UsageError("neither a folder nor a Dockerfile is given", service="docker")
        folder = None if context is None else place_of(context, self._roots, self._workspace)
        return self._images.build(
            folder,
            tag,
            text=text,
            name=dockerfile,
            args=dict(args or {}),
            target=target,
            policy=chosen(policy, self.policies),
            fresh=fresh,
            timeout=timeout,
            on_step=on_step,
        )

    def run_container(
        self,
        image: str,
        command: str | Sequence[str] | None = None,
        *,
        files: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Container:
        """Start a container and return while it runs.

        Parameters
        ----------
        image
            Its name. It is not fetched by itself.
        command
            Words, or text that is split as a shell would; None for the image's own.
        files
            What to put into `work` before it starts: text, bytes or a `pathlib.Path` by the path
            inside.
        **options
            - ``policy``: what it may do, by name; by default the first that is allowed here.
            - ``name``: default: the image's with four digits behind it.
            - ``env``: variables. ``TRACEPARENT`` is set so that its work is part of the trace.
            - ``user``: numbers, as in ``"1000:1000"``; default: the image's own, or nobody.
            - ``workdir``: where it starts.
            - ``work``: a folder of its own that it may write to, that `put_files` and `get_files`
              reach, and that goes with it; True for ``/mnt/work``, which `files` implies.
            - ``memory`` (bytes, or ``"256m"``), ``cpus``, ``pids``: less than the policy allows.
            - ``ports``: those inside, and on which of 127.0.0.1 they are published; None for a
              free one.
            - ``labels``, ``entrypoint``, ``tty``.
            - ``keep``: whether it outlives this process.

        Raises
        ------
        OptionRefused
            An option that would reach the host or goes beyond the policy; it is named.
        NotFoundError
            There is no such image, or no such program in it.
        RejectedError
            The engine said no: the name is taken, ...
        """
        wanted = checked(self._with_work(options, files), self.policies)
        return self._runner.run(image, words_of(command), wanted, files or {})

    def run(
        self,
        image: str,
        command: str | Sequence[str] | None = None,
        *,
        script: str | None = None,
        files: Mapping[str, Any] | None = None,
        timeout: float | None = RUN_SECONDS,
        limit: int = OUTPUT,
        on_line: Callable[[LogLine], object] | None = None,
        **options: Any,
    ) -> RunResult:
        """Run a container to its end and remove it.

        An exit code that is not 0 is no error; `RunResult.check` makes one of it.

        Parameters
        ----------
        image, command, files, **options
            As in `run_container`.
        script
            A program to run in place of the command: by what its first line (``#!``) names, else
            by ``sh``.
        timeout
            Seconds after which it is killed; None for never.
        limit
            Bytes of output that are kept: the newest.
        on_line
            Called with each line as it is printed.

        Raises
        ------
        DeadlineExceeded
            It was killed because its time was over; the message ends with what it printed last.
        """
        if script is not None and command is not None:
            raise UsageError("a command or a script, not both", service="docker")
        wanted = checked(self._with_work(options, files or script), self.policies)
        return self._runner.run_to_end(
            image,
            words_of(command),
            wanted,
            files or {},
            script=script,
            timeout=timeout,
            limit=limit,
            on_line=on_line,
        )

    @staticmethod
    def _with_work(options: dict[str, Any], files: object) -> dict[str, Any]:
        return {"work": True, **options} if files else options

    def stop_container(self, container: Container | str, *, grace: float = 5.0) -> None:
        """Stop a container and remove it, with what it wrote.

        Parameters
        ----------
        container
            It or its name.
        grace
            Seconds between asking it to end (SIGTERM) and killing it.

        Raises
        ------
        NotFoundError
            There is no such container of ours.
        """
        self._containers.stop(str(container), grace)

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
        """Return what a container has printed, or yield it as it is printed.

        Parameters
        ----------
        container
            It or its name.
        follow
            Whether to yield lines until it ends, in place of what there is.
        since
            Only what was printed in the last so many seconds.
        tail
            Only the last so many lines.
        stdout, stderr
            Which of the two.
        limit
            Bytes that are kept: the newest. `Logs.truncated` says whether there were more.
        timeout
            While following: seconds without a line after which it is given up.

        Raises
        ------
        NotFoundError
            There is no such container of ours.
        DeadlineExceeded
            While following: nothing was printed for so long.
        """
        return self._containers.logs(
            str(container),
            follow_=follow,
            since=since,
            tail=tail,
            streams=(stdout, stderr),
            limit=limit,
            timeout=timeout,
        )

    def exec(
        self,
        container: Container | str,
        command: str | Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        workdir: str | None = None,
        timeout: float | None = RUN_SECONDS,
        limit: int = OUTPUT,
        on_line: Callable[[LogLine], object] | None = None,
    ) -> ExecResult:
        """Run another program in a container that runs.

        Parameters
        ----------
        container
            It or its name.
        command
            Words, or text that is split as a shell would.
        env, user, workdir
            As in `run_container`.
        timeout
            Seconds to wait for its end. An engine cannot end one program: it goes on.
        limit, on_line
            As in `run`.

        Raises
        ------
        DeadlineExceeded
            It has not ended in time.
        RejectedError
            The container does not run.
        """
        options = {"env": env, "user": user, "workdir": workdir}
        return self._runner.exec(
            str(container),
            words_of(command) or [],
            options,
            self.policies,
            timeout=timeout,
            limit=limit,
            on_line=on_line,
        )

    def put_files(
        self, container: Container | str, files: Mapping[str, Any], to: str = WORK
    ) -> None:
        """Copy files into a container.

        Parameters
        ----------
        container
            It or its name.
        files
            Text, bytes or a `pathlib.Path` by the path below `to`.
        to
            A folder there that may be written to: its `work`, or any if the policy is writable.

        Raises
        ------
        RejectedError
            It may not be written to.
        NotFoundError
            There is no such folder.
        """
        self._containers.put(str(container), files, to)

    def get_files(
        self, container: Container | str, path: str, *, limit: int = 64 * 1024**2
    ) -> dict[str, bytes]:
        """Return the files in a container, by their paths; those of a folder begin with its name.

        Parameters
        ----------
        container
            It or its name; it may have ended.
        path
            A file or a folder. ``/tmp`` is memory, and cannot be reached from outside.
        limit
            Bytes at most.

        Raises
        ------
        NotFoundError
            There is no such path.
        RejectedError
            There is more than the limit.
        """
        return self._containers.get(str(container), path, limit)

    def stats(self, container: Container | str) -> Stats:
        """Return what a container uses; processor time since the last time it was asked."""
        return self._containers.stats(str(container))

    def usage(self) -> Table:
        """Return what all of our containers that run use."""
        return self._containers.usage()

    def events(
        self, *, since: float = 3600.0, follow: bool = False, timeout: float | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield what happened to our containers: time, action, container, exit_code.

        Parameters
        ----------
        since
            From so many seconds ago.
        follow
            Whether to go on with what happens from now on, until the iterator is closed.
        timeout
            While following: seconds without an event after which it ends.
        """
        return self._containers.events(since=since, follow_=follow, timeout=timeout)

    def images(self) -> Table:
        """Return the images that were built here: tag, bytes, time of making, id."""
        return self._images.table()

    def list(self) -> Table:
        """Return our containers, those that have ended too."""
        return self._containers.table()

    def prune(self, *, images: bool = False, dry_run: bool = False) -> Table:
        """Remove our containers that have ended and, if asked to, our images that nothing uses.

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
        gone = [("container", name) for name in self._containers.prune(dry_run=dry_run)]
        if images and dry_run:
            gone += [("image", row[0]) for row in self.images().rows]
        elif images:
            gone += [("image", tag) for tag in self._images.remove()]
        return Table(("kind", "name"), gone, empty="nothing to remove")

    def wait_until(
        self,
        container: Container | str,
        *,
        healthy: bool = False,
        line: str | re.Pattern[str] | None = None,
        port: int | None = None,
        exited: bool = False,
        timeout: float = 60.0,
    ) -> Any:
        """Wait until a container is ready, in one of four ways.

        Parameters
        ----------
        container
            It or its name.
        healthy
            Until its own check says so.
        line
            Until it has printed a line that holds this, or that this pattern finds; returns it.
        port
            Until something listens there.
        exited
            Until its end; returns the exit code.
        timeout
            Seconds at most.

        Raises
        ------
        DeadlineExceeded
            It is not in time.
        RejectedError
            It has ended before.
        UsageError
            None or several of the four, or it has no check.
        """
        asked = [healthy, line is not None, port is not None, exited]
        if sum(asked) != 1:
            raise UsageError(
                "wait_until wants one of healthy=True, line=, port= and exited=True",
                service="docker",
            )
        waiting = self._containers.waiting(str(container), timeout)
        if healthy:
            return waiting.healthy()
        if line is not None:
            return waiting.line(line)
        if port is not None:
            return waiting.port(port, self._containers.find(str(container)).ports.get(port))
        return waiting.exited()

    def names(self, kind: str) -> Sequence[str]:
        """Return the names of our containers, or, with ``"image"``, of our images."""
        table = self.images() if kind == "image" else self.list()
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
        """Return which engine it is, what of ours is on it, and the policies allowed here."""
        version = self.engine.call("version", lambda api: api.version(), idempotent=True)
        states = [row[2] for row in self.list().rows]
        running = sum(state == "running" for state in states)
        row = (
            f"Docker {version['Version']}",
            self.engine.endpoint.said,
            running,
            len(states) - running,
            len(self.images()),
            ", ".join(policy.name for policy in self.policies),
        )
        return Table(("engine", "chosen by", "running", "ended", "images", "policies"), [row])

    def close(self) -> None:
        """Remove the containers of this process and close the connections; reopened on use."""
        with self._lock:
            opened, self._opened = self._opened, None
        try:
            if opened is not None:
                opened.session.close()
        finally:
            self.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"DockerManager({', '.join(policy.name for policy in self.policies)})"
