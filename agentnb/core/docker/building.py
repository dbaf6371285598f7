"""Building images: the steps as they come, the log kept, failures as errors."""

from __future__ import annotations

import io
import json
import re
from collections import deque
from dataclasses import dataclass
from time import monotonic
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from agentnb.core.errors import BuildFailed, DeadlineExceeded, NotFoundError, RejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentnb.core.docker.context import Dockerfile
    from agentnb.core.docker.engine import Engine
    from agentnb.core.docker.policy import Policy

__all__ = ["BuildLog", "Order", "Step", "build"]

_STEP = re.compile(r"Step (\d+)/(\d+) : (.*)", re.DOTALL)
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_KEPT = 10_000
_QUOTED = 8
_EVERY = 0.1


class Step(NamedTuple):
    """A step that begins.

    Parameters
    ----------
    number, total
        The number of the step, and of all steps.
    text
        The line of the Dockerfile.
    """

    number: int
    total: int
    text: str


@dataclass(frozen=True, slots=True)
class Order:
    """The parameters of a build."""

    tag: str
    dockerfile: Dockerfile
    args: Mapping[str, str]
    labels: Mapping[str, str]
    policy: Policy
    fresh: bool
    pull: bool
    target: str | None
    timeout: float
    hidden: str | None = None


class Sending(io.RawIOBase):
    """A file that tells how much of it has been read.

    Parameters
    ----------
    file
        The file.
    on_sent
        Called with the bytes that are read and those that there are.
    """

    def __init__(self, file: IO[bytes], on_sent: Callable[[int, int], object]) -> None:
        self._file, self._on_sent = file, on_sent
        self._size = file.seek(0, io.SEEK_END)
        self._done, self._reported = file.seek(0), 0.0

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes."""
        data = self._file.read(size)
        self._done += len(data)
        if monotonic() - self._reported > _EVERY or self._done == self._size:
            self._reported = monotonic()
            self._on_sent(self._done, self._size)
        return data


class BuildLog:
    """The output of a build, read message by message.

    Parameters
    ----------
    on_step
        Called with each step as it begins.
    on_sent
        Called with how many bytes of the context are sent, and how many there are.
    """

    def __init__(
        self,
        on_step: Callable[[Step], object] | None = None,
        on_sent: Callable[[int, int], object] | None = None,
    ) -> None:
        self._on_step, self.on_sent = on_step, on_sent
        self._lines: deque[str] = deque(maxlen=_KEPT)
        self._since: deque[str] = deque(maxlen=_KEPT)
        self._open = ""
        self._begun: set[Step] = set()
        self.steps = 0
        self.image = ""
        self.failed: str | None = None
        self.last: Step | None = None
        """The step that began last, or, once it is known, the one that failed."""

    @property
    def text(self) -> str:
        """The newest 10,000 lines of the output."""
        return "\n".join([*self._lines, *([self._open] if self._open else [])])

    @property
    def of_step(self) -> str:
        """The output since the last step began."""
        return "\n".join([*self._since, self._open])

    def read(self, message: Mapping[str, Any]) -> None:
        """Take one message of the engine's."""
        if "errorDetail" in message or "error" in message:
            detail = message.get("errorDetail") or {}
            self.failed = str(detail.get("message") or message.get("error"))
        elif "aux" in message:
            self.image = str(message["aux"].get("ID", self.image))
        elif "stream" in message:
            self._say(str(message["stream"]))
        elif "status" in message:  # of a base image that is being fetched
            self._say(f"{message['status']} {message.get('progress', '')}".rstrip() + "\n")

    def note(self, text: str) -> None:
        """Add a line that the engine did not send."""
        self._say(f"{text}\n")

    def line(self, text: str) -> None:
        """Take a line of a command's."""
        self._say(text)

    def begin(self, step: Step) -> None:
        """Note that a step begins."""
        self.last = step
        self._since.clear()
        self.steps = max(self.steps, step.total)
        if step in self._begun:
            return
        self._begun.add(step)
        if self._on_step is not None and step.number <= step.total:
            self._on_step(step)

    def _say(self, text: str) -> None:
        *whole, self._open = (self._open + _ANSI.sub("", text)).split("\n")
        for line in whole:
            if line.strip():
                self._lines.append(line)
                self._since.append(line)
            if found := _STEP.fullmatch(line):
                # The engine makes a step of its own of our label, the last one.
                self.begin(Step(int(found[1]), int(found[2]) - 1, found[3]))

    def end(self) -> str:
        """Return the last lines of the output."""
        return "\n".join(self.text.splitlines()[-_QUOTED:])


def build(engine: Engine, context: IO[bytes], order: Order, log: BuildLog) -> None:
    """Build an image by the engine's own builder, its log in `log`.

    Raises
    ------
    BuildFailed
        The engine refuses the Dockerfile as a whole.
    DeadlineExceeded
        It took too long, and was ended.
    """
    policy = order.policy
    params: dict[str, object] = {
        "t": order.tag,
        "dockerfile": order.dockerfile.name,
        "buildargs": json.dumps(dict(order.args)),
        "labels": json.dumps(dict(order.labels)),
        "networkmode": "default" if policy.network else "none",
        # Processors can only be limited by their numbers, which are not ours to choose.
        "memory": policy.memory,
        "memswap": policy.memory,
        "nocache": int(order.fresh),
        "rm": 1,
        "forcerm": 1,
    }
    if order.pull:
        params["pull"] = 1
    if order.target is not None:
        params["target"] = order.target

    def late() -> DeadlineExceeded:
        return DeadlineExceeded(
            f"the build took longer than {order.timeout:g} s and was ended:\n{log.end()}",
            service="docker",
            hint="timeout= gives it more",
        )

    try:
        with engine.span("build", image=order.tag):
            sent = context if log.on_sent is None else Sending(context, log.on_sent)
            engine.follow(
                "/build", params, log.read, timeout=order.timeout, late=late, archive=sent
            )
    except (RejectedError, NotFoundError) as error:  # before the first step: the Dockerfile
        raise BuildFailed(
            error.message,
            service="docker",
            hint=error.hint or "correct the Dockerfile, and build again",
        ) from error
