"""Building and fetching images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentnb.core.docker.building import BuildLog, Order
from agentnb.core.docker.checks import CHECKS
from agentnb.core.docker.context import dockerfile_of, place_of
from agentnb.core.docker.copying import host_file
from agentnb.core.docker.options import image_tag
from agentnb.core.docker.policy import chosen
from agentnb.core.docker.pulling import PullProgress, pull_of
from agentnb.core.docker.pulling import pull as fetch
from agentnb.core.errors import UsageError
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import seconds
from agentnb.core.ranges import text as plain
from agentnb.core.redact import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentnb.core.docker.arguments import Pull
    from agentnb.core.docker.building import Step
    from agentnb.core.docker.connection import Connection
    from agentnb.core.docker.results import BuildResult, PullResult

__all__ = ["BUILD_SECONDS", "Builder"]

BUILD_SECONDS = 600.0


@refuse_unknown("docker")
class Builder:
    """Builds images, and pulls them.

    Parameters
    ----------
    connection
        The connection to the engine.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def build_image(  # noqa: PLR0913 - keyword-only ones, each documented
        self,
        context: str | Path | None,
        tag: str,
        *,
        dockerfile: str | None = None,
        text: str | None = None,
        args: Mapping[str, str] | None = None,
        target: str | None = None,
        policy: str | None = None,
        pull: Pull | None = None,
        secrets: Mapping[str, str | Secret | Path] | None = None,
        fresh: bool = False,
        timeout: float = BUILD_SECONDS,
        on_step: Callable[[Step], object] | None = None,
        on_sent: Callable[[int, int], object] | None = None,
    ) -> BuildResult:
        """Build an image.

        ``.dockerignore`` is read as Docker reads it; a link in the context is sent as a link and
        never followed. Steps run as root with the engine's own capabilities, as in every build,
        within the policy's memory, and without a network unless the policy has one: then nothing
        is fetched either, and a line that would (``ADD`` of an address, ``FROM``, ``COPY --from``
        or ``RUN --mount`` of an image that the engine does not have, ``# syntax=``, ``ONBUILD`` of
        the base image) is refused before the build begins.

        A Dockerfile that needs BuildKit (``RUN --mount``, texts behind ``<<``, ``COPY --chmod``,
        ``# syntax=``, ...) is built by the installed ``docker`` command, which then limits no
        memory.

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
        pull
            Which images are fetched: those that are ``"missing"``, ``"always"`` those that it
            begins from, or ``"never"`` one. Default: ``"missing"`` where the policy has a
            network, else ``"never"``.
        secrets
            The text, or the file, that ``RUN --mount=type=secret,id=NAME`` reads, by its name.
            Neither the image nor its history has it.
        fresh
            Whether every step is to run, whatever the cache has.
        timeout
            Seconds at most.
        on_step
            Called with each step as it begins.
        on_sent
            Called with how many bytes of the context are sent, and how many there are, some ten
            times a second.

        Raises
        ------
        BuildFailed
            A step failed; the message has the line, and ends with the last output.
        NotFoundError
            There is no such folder, or no Dockerfile in it.
        OptionRefused
            The folder is outside of `roots`, or the policy has no network for what a line fetches.
        ConfigError
            It needs BuildKit, and no docker command that is installed has it; or a line of
            ``.dockerignore`` is no pattern.
        DeadlineExceeded
            It took too long.
        """
        if context is None and text is None:
            raise UsageError(
                "a build needs a folder or a Dockerfile",
                service="docker",
                hint="build_image('FOLDER', TAG), or build_image(None, TAG, text='FROM ...')",
            )
        for name, value in (("text", text), ("dockerfile", dockerfile), ("target", target)):
            if value is not None:
                plain(name, value, service="docker")
        folder = (
            None
            if context is None
            else place_of(context, self._connection.roots, self._connection.workspace)
        )
        tag = image_tag(tag)
        rules = chosen(policy, self._connection.policies)
        requested = pull_of(pull, [rules], "missing" if rules.network else "never")
        read = _secrets(secrets or {}, self._connection.roots)
        order = Order(
            tag=tag,
            dockerfile=dockerfile_of(folder, text, dockerfile),
            args=_texts("args", args),
            labels=self._connection.images.labels(tag),
            policy=rules,
            fresh=bool(fresh),
            pull=requested == "always",
            target=target,
            timeout=seconds("timeout", timeout, service="docker"),
            hidden=_below(folder, self._connection.home),
        )
        log = BuildLog(on_step, on_sent)
        return self._connection.images.build(
            folder, order, log, secrets=read, images=requested != "never"
        )

    def pull(
        self,
        image: str,
        *,
        platform: str | None = None,
        timeout: float = BUILD_SECONDS,
        on_progress: Callable[[PullProgress], object] | None = None,
    ) -> PullResult:
        """Fetch an image from its registry, if it is not here as the registry has it.

        Credentials are those of ``docker login``. An image that was fetched is not one of
        `images`, which lists what was built here.

        Parameters
        ----------
        image
            Its name, such as ``"python:3.12-slim"``.
        platform
            Such as ``"linux/arm64"``; default: that of the engine.
        timeout
            Seconds at most.
        on_progress
            Called with how far it is, some ten times a second.

        Raises
        ------
        NotFoundError
            The registry does not have it.
        OptionRefused
            No policy that is allowed here has a network.
        UnavailableError
            The registry was not reached.
        RejectedError
            It said no.
        DeadlineExceeded
            It took too long.
        """
        pull_of("always", self._connection.policies, "always")
        limit = seconds("timeout", timeout, service="docker")
        if platform is not None:
            platform = CHECKS["platform"](platform, self._connection.policies[0])
        return fetch(
            self._connection.engine,
            image,
            platform=platform,
            timeout=limit,
            on_progress=on_progress,
        )

    def fetch(self, image: str, when: str | None, platform: object) -> None:
        """Pull the image of a container if its ``pull=`` says so."""
        requested = pull_of(when, self._connection.policies, "never")
        if requested == "always" or (
            requested == "missing" and not self._connection.images.has(image)
        ):
            self.pull(image, platform=None if platform is None else str(platform))


def _below(folder: Path | None, home: Path | None) -> str | None:
    """Return the home's path from a folder, if it is below."""
    if folder is None or home is None or not home.resolve().is_relative_to(folder):
        return None
    return home.resolve().relative_to(folder).as_posix()


def _secrets(given: Mapping[str, str | Secret | Path], roots: Sequence[Path]) -> dict[str, bytes]:
    """Return the secrets of a build by their names; no error shows one."""
    found = {}
    for name, value in given.items() if isinstance(given, Mapping) else [(None, None)]:
        if not isinstance(name, str) or not isinstance(value, str | Secret | Path):
            raise UsageError(
                "secrets must be texts or paths by name",
                service="docker",
                hint='secrets={"token": Path("token.txt")}',
            )
        if isinstance(value, Path):
            found[name], _ = host_file("secrets", value, roots)
        else:
            revealed = value.reveal() if isinstance(value, Secret) else value
            found[name] = revealed.encode("utf-8", "surrogateescape")
    return found


def _texts(name: str, given: Mapping[str, Any] | None) -> dict[str, str]:
    """Return an argument that maps names to texts, if it is one."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise UsageError(
            f"{name} must be texts by name, got {type(given).__name__}",
            service="docker",
            hint=f'{name}={{"NAME": "VALUE"}}',
        )
    found = {}
    for key, value in given.items():
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise UsageError(
                f"{name} must be texts by name, got {type(value).__name__} for {str(key)[:40]!r}",
                service="docker",
                hint=f'{name}={{"NAME": "VALUE"}}',
            )
        found[plain(name, key, service="docker")] = plain(name, str(value), service="docker")
    return found
