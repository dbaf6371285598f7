"""Building images: the steps as they come, the log kept, failures as errors."""

from __future__ import annotations

import json
import re
from collections import deque
from contextlib import closing
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from agentnb.core.errors import BuildFailed, DeadlineExceeded, NotFoundError, RejectedError
from agentnb.core.trace.spans import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from typing import IO

    from agentnb.core.docker.engine import Engine
    from agentnb.core.docker.policy import Policy

__all__ = ["BuildLog", "Step", "build"]

_STEP = re.compile(r"Step (\d+)/(\d+) : (.*)", re.DOTALL)
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_KEPT = 10_000
_QUOTED = 8


class Step(NamedTuple):
    """A step that begins.

    Parameters
    ----------
    number, total
        Which it is, of how many.
    text
        The line of the Dockerfile.
    """

    number: int
    total: int
    text: str


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be built."""

    tag: str
    dockerfile: str
    args: Mapping[str, str]
    labels: Mapping[str, str]
    policy: Policy
    fresh: bool
    target: str | None


class BuildLog:
    """What a build says, read message by message.

    Parameters
    ----------
    on_step
        Called with each step as it begins.
    """

    def __init__(self, on_step: Callable[[Step], object] | None = None) -> None:
        self._on_step = on_step
        self._lines: deque[str] = deque(maxlen=_KEPT)
        self._open = ""
        self.steps = 0
        self.image = ""
        self.failed: str | None = None
        self._last: Step | None = None

    @property
    def text(self) -> str:
        """What it said, the newest 10,000 lines of it."""
        return "\n".join([*self._lines, *([self._open] if self._open else [])])

    def read(self, message: Mapping[str, Any]) -> None:
        """Take one message of the engine's."""
        if "errorDetail" in message or "error" in message:
            detail = message.get("errorDetail") or {}
            self.failed = str(detail.get("message") or message.get("error"))
        elif "aux" in message:
            self.image = str(message["aux"].get("ID", self.image))
        elif "stream" in message:
            self._said(str(message["stream"]))
        elif "status" in message:  # of a base image that is being fetched
            self._said(f"{message['status']} {message.get('progress', '')}".rstrip() + "\n")

    def _said(self, text: str) -> None:
        *whole, self._open = (self._open + _ANSI.sub("", text)).split("\n")
        for line in whole:
            if line.strip():
                self._lines.append(line)
            if found := _STEP.fullmatch(line):
                # The engine makes a step of its own of our label, the last one.
                self._last = step = Step(int(found[1]), int(found[2]) - 1, found[3])
                self.steps = step.total
                if self._on_step is not None and step.number <= step.total:
                    self._on_step(step)

    @property
    def wanted(self) -> str | None:
        """The image that the step which began last stands on; None where that is another step."""
        words = self._last.text.split() if self._last is not None else []
        return words[1] if len(words) > 1 and words[0].upper() == "FROM" else None

    def end(self) -> str:
        """Return what it said last."""
        return "\n".join(self.text.splitlines()[-_QUOTED:])


def build(
    engine: Engine, context: IO[bytes], order: Order, log: BuildLog, timeout: float
) -> BuildLog:
    """Build an image and return the log, whose `image` is its id.

    Raises
    ------
    BuildFailed
        A step failed, or the Dockerfile is malformed.
    DeadlineExceeded
        It took too long, and was ended.
    """
    policy = order.policy
    until = monotonic() + timeout

    params: dict[str, object] = {
        "t": order.tag,
        "dockerfile": order.dockerfile,
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
    if order.target is not None:
        params["target"] = order.target
    try:
        with Span(engine.tracer, "build", "docker", 1, {"tag": order.tag}):
            messages = engine.stream("/build", params, timeout=timeout, archive=context)
            _follow(messages, log, until, timeout)
    except (RejectedError, NotFoundError) as error:  # before the first step: the Dockerfile
        raise BuildFailed(error.message, service="docker") from error
    if log.failed is not None:
        said = log.end()
        hint = None
        if log.wanted is not None:
            hint = f"build {log.wanted} first, or fetch it: docker pull {log.wanted}"
        elif not policy.network:
            hint = "its steps have no network: policy='network' (--policy network) has one"
        raise BuildFailed(f"{log.failed}\n{said}".rstrip(), service="docker", hint=hint)
    return log


def _follow(
    messages: Generator[bytes, None, None], log: BuildLog, until: float, timeout: float
) -> None:
    pending = b""
    with closing(messages):  # the engine gives up a build that nobody listens to
        for data in messages:
            *lines, pending = (pending + data).split(b"\n")
            for line in filter(bytes.strip, lines):
                log.read(json.loads(line))
            if monotonic() > until:
                raise DeadlineExceeded(
                    f"the build took longer than {timeout:g} s and was ended:\n{log.end()}",
                    service="docker",
                    hint="timeout= gives it more",
                )
