"""Containers: run in the background or to their end, started and stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from agentnb.core.docker.checks import input_of, words_of
from agentnb.core.docker.envfile import with_files
from agentnb.core.docker.logs import OUTPUT
from agentnb.core.docker.networks import Network
from agentnb.core.docker.options import checked
from agentnb.core.errors import UsageError
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import seconds, text, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agentnb.core.docker.arguments import ContainerArguments, Pull
    from agentnb.core.docker.build import Builder
    from agentnb.core.docker.connection import Connection
    from agentnb.core.docker.logs import LogLine
    from agentnb.core.docker.results import Container, RunResult

__all__ = ["RUN_SECONDS", "ContainerRuns"]

RUN_SECONDS = 300.0


@refuse_unknown("docker")
class ContainerRuns:
    """Runs containers, in the background or to their end.

    Parameters
    ----------
    connection
        The connection to the engine.
    builder
        Pulls the images of containers.
    """

    def __init__(self, connection: Connection, builder: Builder) -> None:
        self._connection, self._builder = connection, builder

    def run_container(
        self,
        /,
        image: str,
        command: str | Sequence[str] | None = None,
        *,
        files: Mapping[str, Any] | None = None,
        pull: Pull | None = None,
        **options: Unpack[ContainerArguments],
    ) -> Container:
        """Start a container and return while it runs.

        Parameters
        ----------
        image
            Its name. It is not fetched unless `pull` says so.
        command
            Words, or text that is split as a shell would; None for the image's own.
        files
            Files put into `work` before it starts: text, bytes or a `pathlib.Path` by the path
            inside.
        pull
            When the image is fetched: ``"never"`` (default), ``"missing"`` or ``"always"``, where a
            policy that is allowed here has a network.
        **options
            - ``policy``: the name of its policy; by default the first that is allowed here.
            - ``name``: default: the image's with four digits behind it.
            - ``env``: variables. ``TRACEPARENT`` and ``CORRELATION_ID`` are set so that its work
              is part of the trace.
            - ``env_file``: files of more variables, as ``docker run --env-file`` reads them; those
              of ``env`` win.
            - ``user``: numbers, as in ``"1000:1000"``; default: the image's own where it is in
              plain digits and not 0, else nobody's number (65534). A name is not trusted.
            - ``workdir``: where it starts.
            - ``work``: a folder of its own that it may write to, that `put_files` and `get_files`
              reach, and that goes with it; True for ``/mnt/work``, which `files` implies.
            - ``memory`` (bytes, or ``"256m"``), ``cpus``, ``pids``: less than the policy allows.
            - ``ports``: those inside, and on which of 127.0.0.1 they are published; None for a
              free one.
            - ``network``: one of `network`, on which the home's containers reach each other by
              name, and ``alias``, another name of this one there. With ``ports`` it is on the
              policy's network as well, which publishes them; without, on no other.
            - ``platform``: the image's, such as ``"linux/arm64"``.
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
        requested = checked(self._completed(options, files), self._connection.policies)
        self._builder.fetch(image, pull, requested.platform)
        return self._connection.runner.run(image, words_of(command), requested, files or {})

    def run(
        self,
        /,
        image: str,
        command: str | Sequence[str] | None = None,
        *,
        script: str | None = None,
        files: Mapping[str, Any] | None = None,
        stdin: str | bytes | None = None,
        timeout: float | None = RUN_SECONDS,
        limit: int = OUTPUT,
        on_line: Callable[[LogLine], object] | None = None,
        pull: Pull | None = None,
        **options: Unpack[ContainerArguments],
    ) -> RunResult:
        """Run a container to its end and remove it.

        An exit code that is not 0 is no error; `RunResult.check` makes one of it.

        Parameters
        ----------
        image, command, files, pull, **options
            As in `run_container`.
        script
            A program to run in place of the command: by what its first line (``#!``) names, else
            by ``sh``.
        stdin
            The program's whole input; None for none.
        timeout
            Seconds after which it is killed; None for never.
        limit
            Bytes of output that are kept: the newest.
        on_line
            Called with each line as it is printed.

        Raises
        ------
        DeadlineExceeded
            It was killed because its time was over; the message ends with its last output.
        """
        if script is not None and command is not None:
            raise UsageError(
                "run takes a command or a script, not both",
                service="docker",
                hint="run(IMAGE, script='...')",
            )
        if timeout is not None:
            timeout = seconds("timeout", timeout, service="docker", hint="timeout=60")
        limit = whole("limit", limit, service="docker", hint="limit=1_000_000")
        if script is not None:
            text("script", script, service="docker", hint="script='echo hi'")
        sent = input_of(stdin)
        requested = checked(self._completed(options, files or script), self._connection.policies)
        self._builder.fetch(image, pull, requested.platform)
        return self._connection.runner.run_to_end(
            image,
            words_of(command),
            requested,
            files or {},
            script=script,
            stdin=sent,
            timeout=timeout,
            limit=limit,
            on_line=on_line,
        )

    def start_container(self, container: Container | str) -> Container:
        """Start a container that has ended, as it was made.

        Parameters
        ----------
        container
            It or its name.

        Returns
        -------
        Container
            It, with the ports at which it is published now.

        Raises
        ------
        NotFoundError
            The home has no such container.
        RejectedError
            It cannot be started, as when its network is gone.
        """
        return self._connection.containers.start(str(container))

    def stop_container(self, container: Container | str, *, grace: float = 5.0) -> None:
        """Stop a container and remove it with its files.

        Parameters
        ----------
        container
            It or its name.
        grace
            Seconds between asking it to end (SIGTERM) and killing it.

        Raises
        ------
        NotFoundError
            The home has no such container.
        """
        grace = seconds("grace", grace, service="docker", zero=True, hint="grace=5")
        self._connection.containers.stop(str(container), grace)

    def _completed(self, options: ContainerArguments, files: object) -> dict[str, Any]:
        """Return options completed by those that others imply: a folder, variables, a network."""
        given: dict[str, Any] = {"work": True, **options} if files else dict(options)
        if (paths := given.pop("env_file", None)) is not None:
            given["env"] = with_files(paths, given.get("env"), self._connection.roots)
        if isinstance(network := given.get("network"), Network):
            # Made by this process, and perhaps removed as one that nothing used.
            self._connection.networks.open(network.name)
        return given
