"""The error of a failed build: the line, the step, the cause and a hint."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agentnb.core.errors import BuildFailed

if TYPE_CHECKING:
    from agentnb.core.docker.building import BuildLog, Order, Step
    from agentnb.core.docker.buildkit import Need
    from agentnb.core.docker.dockerfile import Instruction, Reading
    from agentnb.core.docker.ignore import IgnoreList

__all__ = ["build_failed"]

# How programs say that a name or an address was not reached.
_NO_NETWORK = re.compile(
    r"could(?: not|n't) resolve|unable to resolve|failed to resolve|name resolution|resolving|"
    r"name or service not known|nodename nor servname|bad address|no address associated|"
    r"getaddrinfo|network (?:is )?unreachable|no route to host|dial tcp|lookup \S+ on|"
    r"EAI_AGAIN|ENOTFOUND|ENETUNREACH|failed to establish a new connection|"
    r"temporary error \(try again later\)|unable to connect|failed to connect|could not connect",
    re.IGNORECASE,
)
_KILLED = re.compile(r"(?:non-zero code|exit code): 137|\bsignal: killed")
_MISSING = re.compile(
    r"no such file or directory|not found|no source files|file does not exist", re.IGNORECASE
)
_TOO_OLD = re.compile(r"unknown (?:instruction|flag)", re.IGNORECASE)


def build_failed(
    log: BuildLog, order: Order, reading: Reading, left_out: IgnoreList | None, need: Need | None
) -> BuildFailed:
    """Return the error of a build that failed.

    Parameters
    ----------
    log
        The output of the build, whose last step failed.
    order
        The parameters of the build.
    reading
        The Dockerfile.
    left_out
        The files that were not sent.
    need
        Why BuildKit built it; None where the engine did by itself.
    """
    cause, step = log.failed or "", log.last
    by = _instruction(step, reading) if step is not None else None
    where = []
    if step is not None:
        line = f"Dockerfile line {by.line}, step" if by is not None else "step"
        where = [f"{line} {step.number}/{step.total}: {step.text[:200]}"]
    message = "\n".join([*where, cause, log.end()]).rstrip()
    return BuildFailed(message, service="docker", hint=_hint(log, order, by, left_out, need))


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _instruction(step: Step, reading: Reading) -> Instruction | None:
    found = [
        (number, one)
        for number, one in enumerate(reading.instructions, 1)
        if _plain(str(one)) == _plain(step.text)
    ]
    same = [one for number, one in found if number == step.number]
    return next(iter([*same, *(one for _, one in found)]), None)


def _hint(
    log: BuildLog,
    order: Order,
    by: Instruction | None,
    left_out: IgnoreList | None,
    need: Need | None,
) -> str | None:
    cause = log.failed or ""
    if need is not None and _TOO_OLD.search(cause):
        return (
            f"the engine's BuildKit is too old for line {need.line} ({need.what}): "
            "# syntax=docker/dockerfile:1 as the first line fetches a newer one (--policy network)"
        )
    if by is None:
        return None
    if by.name == "FROM":
        image = (by.words or [""])[0]
        return (
            f"build {image} first, or fetch it: hub.docker.pull({image!r}) (%docker pull {image})"
        )
    if by.name == "RUN" and _KILLED.search(cause):
        return (
            f"it may have used more than the {order.policy.memory:,} bytes of memory of the "
            f"policy {order.policy.name!r}: AGENTNB_DOCKER_MEMORY"
        )
    if by.name == "RUN" and not order.policy.network and _NO_NETWORK.search(log.of_step):
        return "its steps have no network: policy='network' (--policy network) has one"
    if by.name in {"ADD", "COPY"} and _MISSING.search(cause):
        return _missing(by, left_out)
    return None


def _missing(by: Instruction, left_out: IgnoreList | None) -> str:
    if by.flag("from") is not None:
        return "paths are those of the image or stage that --from names"
    if left_out is None:
        return "there are no files: name a folder (%docker build FOLDER -t TAG)"
    for word in by.words[:-1]:
        path = word.removeprefix("./").strip("/")
        pattern = left_out.reason(path) if path not in {"", "."} else None
        if pattern is not None:
            return f"{word} is left out by line {pattern.line} of .dockerignore: {pattern.text}"
    return "paths are from the folder that is sent, and links that lead out of it are not followed"
