"""Reaching into containers that are there, and ending them."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from agentnb.core.docker.checks import WORK, input_of, words_of
from agentnb.core.docker.envfile import with_files
from agentnb.core.docker.logs import OUTPUT
from agentnb.core.docker.making import RUN_SECONDS
from agentnb.core.docker.opening import Opening
from agentnb.core.docker.threads import awaited
from agentnb.core.ranges import seconds, text, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agentnb.core.docker.logs import LogLine
    from agentnb.core.docker.results import Container, ExecResult

__all__ = ["Reaching"]


class Reaching(Opening):
    """Programs in a container, its files in and out, and its end."""

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
            There is no such container of ours.
        RejectedError
            It cannot be started, as when its network is gone.
        """
        return self._containers.start(str(container))

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
        grace = seconds("grace", grace, service="docker", zero=True, hint="grace=5")
        self._containers.stop(str(container), grace)

    def exec(
        self,
        container: Container | str,
        command: str | Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        env_file: Any = None,
        stdin: str | bytes | None = None,
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
        env, env_file, user, workdir
            As in `run_container`.
        stdin
            The program's whole input; None for none.
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
        if timeout is not None:
            timeout = seconds("timeout", timeout, service="docker", hint="timeout=60")
        limit = whole("limit", limit, service="docker", hint="limit=1_000_000")
        if env_file is not None:
            env = with_files(env_file, env, self._roots)
        options = {"env": env, "user": user, "workdir": workdir}
        return self._runner.exec(
            str(container),
            words_of(command) or [],
            options,
            self.policies,
            stdin=input_of(stdin),
            timeout=timeout,
            limit=limit,
            on_line=on_line,
        )

    async def aexec(
        self, container: Container | str, command: str | Sequence[str], **options: Any
    ) -> ExecResult:
        """Run another program in a container, awaited: as `exec`.

        An engine cannot end one program: when the caller is cancelled, it goes on.
        """
        return await awaited(lambda: self.exec(container, command, **options))

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
        self._containers.put(str(container), files, _inside(to))

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
        return self._containers.get(str(container), _inside(path), limit)


def _inside(path: str) -> str:
    """Return a path inside of a container; a relative one is below `WORK`."""
    given = text("path", str(path), service="docker", hint="such as /mnt/work/out.csv")
    return posixpath.join(WORK, given)
