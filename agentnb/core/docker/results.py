"""Results of calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from agentnb.core.errors import RejectedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentnb.core.docker.logs import Logs

__all__ = ["BuildResult", "Container", "ExecResult", "PullResult", "RunResult", "Stats"]

_SHOWN_LINES = 40


@dataclass(frozen=True, slots=True)
class Container:
    """A container of the home; accepted wherever its name is.

    Parameters
    ----------
    id, name, image
        As the engine has them.
    policy
        Its policy.
    ports
        The port inside and that of 127.0.0.1 on which it is published.
    """

    id: str
    name: str
    image: str
    policy: str
    ports: Mapping[int, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        ports = "".join(f", {inside} on 127.0.0.1:{port}" for inside, port in self.ports.items())
        return f"<Container {self.name} of {self.image}, {self.policy}{ports}>"


@dataclass(frozen=True, slots=True)
class ExecResult:
    """The result of a program in a container.

    Parameters
    ----------
    exit_code
        0 where it went well.
    logs
        The output, both streams in their order.
    """

    exit_code: int
    logs: Logs

    @property
    def stdout(self) -> str:
        """The standard output."""
        return self.logs.stdout

    @property
    def stderr(self) -> str:
        """The standard error."""
        return self.logs.stderr

    @property
    def truncated(self) -> bool:
        """Whether only the end of the output was kept."""
        return self.logs.truncated

    @property
    def ok(self) -> bool:
        """Whether the exit code is 0."""
        return self.exit_code == 0

    @property
    def _words(self) -> str:
        more = ", only the end of the output was kept" if self.truncated else ""
        return f"exit code {self.exit_code}{more}"

    def check(self) -> ExecResult:
        """Return itself, if it went well.

        Raises
        ------
        RejectedError
            The exit code is not 0; the message ends with the last output.
        """
        if not self.ok:
            last = self.logs.end(5)
            raise RejectedError(
                f"{self._words}" + (f":\n{last}" if last else ""),
                service="docker",
                hint="the output is in .stdout and .stderr",
            )
        return self

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._words}>"

    def _repr_html_(self) -> str:
        color = "--jp-success-color1, green" if self.ok else "--jp-error-color1, red"
        return f'<span style="color:var({color})">●</span> {escape(self._words)}'


@dataclass(frozen=True, slots=True, repr=False)
class RunResult(ExecResult):
    """The result of a container that was removed.

    Parameters
    ----------
    exit_code, logs
        As in `ExecResult`; 137 is what a program killed by SIGKILL leaves.
    oom_killed
        Whether something in it was killed for want of memory. A shell around it may still have
        exited with 0.
    seconds
        From its start to its end.
    """

    oom_killed: bool = False
    seconds: float = 0.0

    @property
    def _words(self) -> str:
        oom = ", killed for want of memory" if self.oom_killed else ""
        more = ", only the end of the output was kept" if self.truncated else ""
        return f"exit code {self.exit_code}{oom}{more}"


@dataclass(frozen=True, slots=True)
class PullResult:
    """An image that was asked for at its registry.

    Parameters
    ----------
    id, name, digest
        As the engine has them; the digest is that of the registry.
    size
        Bytes.
    fetched
        Whether anything was fetched: what is here already is not.
    seconds
        The duration.
    """

    id: str
    name: str
    digest: str
    size: int
    fetched: bool
    seconds: float

    def __repr__(self) -> str:
        return f"<Image {self.name}, {'fetched' if self.fetched else 'up to date'}>"


@dataclass(frozen=True, slots=True)
class BuildResult:
    """An image that was built.

    Parameters
    ----------
    id, tag
        As the engine has them.
    steps
        The number of steps.
    log
        All that the build said, its end if that was very much.
    seconds
        The duration.
    """

    id: str
    tag: str
    steps: int
    log: str
    seconds: float

    def __repr__(self) -> str:
        return f"<Image {self.tag}, {self.steps} steps>"

    def _repr_html_(self) -> str:
        lines = self.log.splitlines()
        cut = f"… {len(lines) - _SHOWN_LINES:,} lines more\n" if len(lines) > _SHOWN_LINES else ""
        return (
            f"<details><summary>{escape(self.tag)}: {self.steps} steps, "
            f"{self.seconds:.1f} s</summary>"
            f"<pre>{cut}{escape(chr(10).join(lines[-_SHOWN_LINES:]))}</pre></details>"
        )


@dataclass(frozen=True, slots=True)
class Stats:
    """The usage of a container.

    Parameters
    ----------
    cpu
        Percent of one processor, since the previous reading; None at the first.
    memory, memory_limit
        Bytes, without what the system would give back at once.
    pids
        Processes and threads.
    received, sent
        Bytes over its network since its start; None where it has no network.
    """

    cpu: float | None
    memory: int
    memory_limit: int
    pids: int
    received: int | None
    sent: int | None
