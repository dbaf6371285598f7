"""Fetching images from a registry, when a call or a policy allows it."""

from __future__ import annotations

import re
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from agentnb.core.docker.options import image_name
from agentnb.core.docker.results import PullResult
from agentnb.core.errors import (
    DeadlineExceeded,
    ImageNotFound,
    NotFoundError,
    OptionRefused,
    RejectedError,
    UnavailableError,
    UsageError,
    did_you_mean,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agentnb.core.docker.engine import Engine
    from agentnb.core.docker.policy import Policy

__all__ = ["PULLS", "PullProgress", "pull", "pull_of"]

PULLS = ("missing", "always", "never")
"""When an image is fetched."""

_EVERY = 0.1
_ID = re.compile(r"(?:sha256:)?[0-9a-f]{12,64}")
_UNKNOWN = re.compile(
    r"not found|manifest unknown|name unknown|repository does not exist|no such image",
    re.IGNORECASE,
)
_UNREACHED = re.compile(
    r"dial tcp|no such host|connection refused|i/o timeout|deadline exceeded|"
    r"canceled while waiting|TLS handshake|EOF|unreachable",
    re.IGNORECASE,
)


class PullProgress(NamedTuple):
    """The progress of a pull.

    Parameters
    ----------
    text
        The engine's action, such as ``"Downloading"``.
    done, total
        Bytes of the layers whose size is known.
    """

    text: str
    done: int
    total: int


def pull_of(value: str | None, policies: Iterable[Policy], default: str) -> str:
    """Return when images are fetched, if that is allowed.

    Parameters
    ----------
    value
        One of `PULLS`; None for the default.
    policies
        One of them must have a network for anything that fetches.
    default
        In place of None.

    Raises
    ------
    UsageError
        There is no such choice.
    OptionRefused
        No policy has a network.
    """
    if value is None:
        return default
    if value not in PULLS:
        raise UsageError(
            f"pull must be {', '.join(PULLS[:-1])} or {PULLS[-1]}, got {str(value)[:40]!r}",
            service="docker",
            hint=did_you_mean(str(value), PULLS),
        )
    asked = list(policies)
    if value != "never" and not any(policy.network for policy in asked):
        names = ", ".join(policy.name for policy in asked)
        raise OptionRefused(
            f"the option 'pull' is refused as {value!r}: there is no network ({names})",
            service="docker",
            hint="pull='never', or policy='network', if it is allowed here",
        )
    return value


def pull(
    engine: Engine,
    image: str,
    *,
    platform: str | None,
    timeout: float,
    on_progress: Callable[[PullProgress], object] | None,
) -> PullResult:
    """Fetch an image; `DockerManager.pull` says how."""
    name = image_name(image)
    if _ID.fullmatch(name):
        raise UsageError(
            f"{name} is the id of an image, which no registry is asked for",
            service="docker",
            hint="a name, such as app:1.2 or app@sha256:...",
        )
    repository, tag = _split(name)
    started = perf_counter()
    params: dict[str, object] = {"fromImage": repository, "tag": tag}
    if platform is not None:
        params["platform"] = platform
    reader = _Reader(on_progress)

    def late() -> DeadlineExceeded:
        return DeadlineExceeded(
            f"{repository} took longer than {timeout:g} s and was given up",
            service="docker",
            hint="timeout= gives it more; layers that are here are not fetched again",
        )

    with engine.logs_failure("Docker pull failed", image=name):
        try:
            with engine.span("pull", image=name):
                engine.follow(
                    "/images/create",
                    params,
                    reader.read,
                    timeout=timeout,
                    late=late,
                    registry=True,
                )
        except (NotFoundError, RejectedError) as error:
            raise _explained(name, error.message) from error
        if reader.failed is not None:
            raise _explained(name, reader.failed)
    found = engine.call("image", lambda api: api.inspect_image(name), idempotent=True)
    engine.log.info("Docker pull completed: %s", name, extra={"data": {"image": name}})
    return PullResult(
        id=str(found["Id"]),
        name=name,
        digest=next(iter(found.get("RepoDigests") or []), ""),
        size=int(found["Size"]),
        fetched=reader.fetched,
        seconds=perf_counter() - started,
    )


def _split(name: str) -> tuple[str, str]:
    """Return the repository and the tag, or digest, as the engine takes them."""
    repository, at, digest = name.partition("@")
    if at:
        return repository, digest
    before, colon, tag = name.rpartition(":")
    return (before, tag) if colon and "/" not in tag else (name, "latest")


class _Reader:
    """Reads the engine's messages of a pull."""

    def __init__(self, on_progress: Callable[[PullProgress], object] | None) -> None:
        self._on_progress = on_progress
        self._layers: dict[str, tuple[int, int]] = {}
        self._reported = 0.0
        self.failed: str | None = None
        self.fetched = False

    def read(self, message: dict[str, Any]) -> None:
        """Take one message."""
        if "error" in message or "errorDetail" in message:
            detail = message.get("errorDetail") or {}
            self.failed = str(detail.get("message") or message.get("error"))
            return
        status = str(message.get("status", ""))
        detail = message.get("progressDetail") or {}
        layer = str(message.get("id", ""))
        if status == "Downloading" and detail.get("total"):
            self._layers[layer] = (int(detail.get("current", 0)), int(detail["total"]))
        elif status in {"Download complete", "Pull complete"}:
            self.fetched = True
            _, total = self._layers.get(layer, (0, 0))
            self._layers[layer] = (total, total)
        ends = status.startswith("Status:")
        self.fetched = self.fetched or status.startswith("Status: Downloaded")
        if self._on_progress is not None and (ends or monotonic() - self._reported > _EVERY):
            self._reported = monotonic()
            done = sum(one for one, _ in self._layers.values())
            total = sum(one for _, one in self._layers.values())
            self._on_progress(PullProgress(status, done, total))


def _explained(name: str, message: str) -> NotFoundError | RejectedError | UnavailableError:
    registry = name.partition("/")[0] if "/" in name else "Docker Hub"
    if _UNREACHED.search(message):
        return UnavailableError(
            f"{name} was not fetched: {message}",
            service="docker",
            hint=f"is {registry} right, and does the engine have a network (or a proxy)?",
        )
    if _UNKNOWN.search(message):
        return ImageNotFound(
            f"the registry has no image {name}: {message}",
            service="docker",
            hint="is the name right? A private one needs: docker login, in a terminal",
        )
    return RejectedError(
        f"{name} was not fetched: {message}", service="docker", hint="docker login, in a terminal"
    )
