"""Programs in running containers, and files in and out of containers."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from agentnb.core.docker.checks import WORK, input_of, words_of
from agentnb.core.docker.envfile import with_files
from agentnb.core.docker.logs import OUTPUT
from agentnb.core.docker.run import RUN_SECONDS
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import seconds, text, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agentnb.core.docker.arguments import Path
    from agentnb.core.docker.connection import Connection
    from agentnb.core.docker.logs import LogLine
    from agentnb.core.docker.results import Container, ExecResult

__all__ = ["Execution"]


@refuse_unknown("docker")
class Execution:
    """Runs programs in containers, and copies files in and out.

    Parameters
    ----------
    connection
        The connection to the engine.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def exec(
        self,
        container: Container | str,
        command: str | Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        env_file: Path | Sequence[Path] | None = None,
        stdin: str | bytes | None = None,
        user: str | None = None,
        workdir: str | None = None,
        timeout: float | None = RUN_SECONDS,
        limit: int = OUTPUT,
        on_line: Callable[[LogLine], object] | None = None,
    ) -> ExecResult:
        """Run a program in a running container.

        Parameters
        ----------
        container
            It or its name.
        command
            Words, or text that is split as a shell would.
        env, env_file, user, workdir
            As in `run_container`.
        stdin
            The program's whole input; None for none.
        timeout
            Seconds to wait for its end. An engine cannot end one program: it continues.
        limit, on_line
            As in `run`.

        Raises
        ------
        DeadlineExceeded
            It has not ended in time.
        RejectedError
            The container does not run.
        """
        if timeout is not None:
            timeout = seconds("timeout", timeout, service="docker", hint="timeout=60")
        limit = whole("limit", limit, service="docker", hint="limit=1_000_000")
        if env_file is not None:
            env = with_files(env_file, env, self._connection.roots)
        options = {"env": env, "user": user, "workdir": workdir}
        return self._connection.runner.exec(
            str(container),
            words_of(command) or [],
            options,
            self._connection.policies,
            stdin=input_of(stdin),
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
            A folder there that may be written to: its `work`, or any if the policy is writable;
            below ``/mnt/work`` unless it begins with ``/``.

        Raises
        ------
        RejectedError
            It may not be written to.
        NotFoundError
            There is no such folder.
        """
        self._connection.containers.put(str(container), files, _inside(to))

    def get_files(
        self, container: Container | str, path: str, *, limit: int = 64 * 1024**2
    ) -> dict[str, bytes]:
        """Return the files in a container, by their paths; those of a folder begin with its name.

        Parameters
        ----------
        container
            It or its name; it may have ended.
        path
            A file or a folder, below ``/mnt/work`` unless it begins with ``/``, as in `put_files`.
            ``/tmp`` is memory, and cannot be reached from outside.
        limit
            Bytes at most.

        Raises
        ------
        NotFoundError
            There is no such path.
        RejectedError
            There is more than the limit.
        """
        limit = whole("limit", limit, service="docker", hint="limit=64 * 1024**2")
        return self._connection.containers.get(str(container), _inside(path), limit)


def _inside(path: str) -> str:
    """Return a path inside of a container; a relative one is below `WORK`."""
    given = text("path", str(path), service="docker", hint="such as /mnt/work/out.csv")
    return posixpath.join(WORK, given)
