"""Images: built from a folder or a text, listed and removed by their owner."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from agentnb.core.docker import buildkit
from agentnb.core.docker.building import build
from agentnb.core.docker.buildkit import command_of, needed
from agentnb.core.docker.context import ignored, pack
from agentnb.core.docker.dockerfile import need_base, read
from agentnb.core.docker.failure import build_failed
from agentnb.core.docker.fetching import refuse_fetching, refuse_reaching
from agentnb.core.docker.options import image_name
from agentnb.core.docker.owner import tag_is_ours
from agentnb.core.docker.results import BuildResult
from agentnb.core.errors import (
    ImageNotFound,
    NotFoundError,
    RejectedError,
    UsageError,
    did_you_mean,
)
from agentnb.core.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from agentnb.core.docker.building import BuildLog, Order
    from agentnb.core.docker.engine import Engine
    from agentnb.core.docker.owner import Owner

__all__ = ["Images"]


class Images:
    """The images of one owner.

    Parameters
    ----------
    engine, owner
        Where, and whose.
    """

    def __init__(self, engine: Engine, owner: Owner) -> None:
        self._engine, self._owner = engine, owner

    def build(
        self,
        folder: Path | None,
        order: Order,
        log: BuildLog,
        *,
        secrets: Mapping[str, bytes],
        images: bool,
    ) -> BuildResult:
        """Build an image; `DockerManager.build_image` says how.

        Parameters
        ----------
        folder
            The folder that is sent; None for none.
        order
            The parameters.
        log
            Receives the output of the build.
        secrets
            The secrets of ``RUN --mount=type=secret``, by their ids.
        images
            Whether images may be fetched.
        """
        engine, tag = self._engine, order.tag
        started = perf_counter()
        before = self._id_of(tag)
        with engine.logs_failure("Docker build failed", tag=tag):
            self._make(folder, order, log, secrets, images=images)
        data = {"tag": tag, "image": log.image, "steps": log.steps}
        engine.log.info("Docker build completed: %s", tag, extra={"data": data})
        self._forget(before, tag)
        seconds = perf_counter() - started
        return BuildResult(log.image, tag, log.steps, log.text, seconds)

    def _make(
        self,
        folder: Path | None,
        order: Order,
        log: BuildLog,
        secrets: Mapping[str, bytes],
        *,
        images: bool,
    ) -> None:
        engine, dockerfile = self._engine, order.dockerfile
        reading = read(dockerfile.text)
        need_base(reading)
        refuse_fetching(dockerfile.text, order.args, order.policy, self._inspect, images=images)
        refuse_reaching(reading)
        need = needed(reading, order.args)
        if need is None and secrets:
            raise UsageError(
                "secrets are for a step that reads them, and none does",
                service="docker",
                hint="RUN --mount=type=secret,id=NAME cat /run/secrets/NAME",
            )
        command = command_of(engine.endpoint, need) if need is not None else None
        left_out = None
        if folder is not None:
            left_out = ignored(folder, dockerfile.name, modern=engine.speaks(1, 42))
        if order.hidden is not None:
            log.note(f"{order.hidden} is not sent: it is the home of agentnb")
        given = dockerfile if command is None else None
        with pack(folder, given, left_out, order.hidden) as context:
            if command is None:
                build(engine, context, order, log)
            else:
                buildkit.build(engine, command, context, order, log, secrets)
        if log.failed is not None:
            raise build_failed(log, order, reading, left_out, need)

    def labels(self, tag: str) -> Mapping[str, str]:
        """Return the labels of an image of this owner's."""
        return self._owner.image_labels(tag)

    def has(self, image: str) -> bool:
        """Return whether the engine has an image."""
        return self._inspect(image_name(image)) is not None

    def _inspect(self, name: str) -> Mapping[str, Any] | None:
        """Return an image as the engine describes it; None where it has none of that name."""
        try:
            found: Mapping[str, Any] = self._engine.call(
                "image", lambda api: api.inspect_image(name), idempotent=True
            )
        except (NotFoundError, RejectedError, ValueError):
            return None
        return found

    def _id_of(self, tag: str) -> str | None:
        return next((one["Id"] for one in self.listed() if tag in one["RepoTags"]), None)

    def _forget(self, before: str | None, tag: str) -> None:
        """Remove the image that had the tag until now, if nothing uses it."""
        now = self._id_of(tag)
        if before is None or now is None or before == now:
            return

        def work(api: Any) -> None:
            from docker.errors import APIError

            try:
                if not api.inspect_image(before)["RepoTags"]:
                    api.remove_image(before)
            except APIError:
                pass  # a container uses it, or another image stands on it

        self._engine.call("forget", work)

    def listed(self) -> list[dict[str, Any]]:
        """Return the owner's images as the engine lists them."""
        found = self._engine.call(
            "images",
            lambda api: api.images(filters={"label": list(self._owner.image_labels(""))}),
            idempotent=True,
        )
        return [one for one in found if tag_is_ours(one, self._owner.id)]

    def table(self) -> Table:
        """Return tag, bytes, time of making and id of each."""
        from datetime import UTC, datetime

        rows = [
            (tag, one["Size"], datetime.fromtimestamp(one["Created"], UTC), one["Id"][7:19])
            for one in self.listed()
            for tag in one["RepoTags"]
        ]
        return Table(
            ("image", Column("size", "size"), Column("created", "time"), "id"),
            sorted(rows),
            empty="no image has been built here yet: hub.docker.build_image(FOLDER, TAG) "
            "(%%docker build -t TAG)",
        )

    def find(self, image: str) -> dict[str, Any]:
        """Return an image of any owner as the engine describes it.

        Raises
        ------
        NotFoundError
            The engine does not have it.
        """
        name = image_name(image)
        try:
            found: dict[str, Any] = self._engine.call(
                "image", lambda api: api.inspect_image(name), idempotent=True
            )
        except NotFoundError as error:
            ours = [tag for one in self.listed() for tag in one["RepoTags"]]
            raise ImageNotFound(
                f"the engine has no image {name!r}",
                service="docker",
                hint=did_you_mean(name, ours)
                or f"fetch it: hub.docker.pull({name!r}) (%docker pull {name}); or build it: "
                f"hub.docker.build_image(FOLDER, {name!r}) (%%docker build -t {name})",
            ) from error
        return {**found, "Asked": name}

    def remove(self) -> list[str]:
        """Remove the owner's images that no container uses; return their tags."""
        from docker.errors import APIError

        removed: list[str] = []
        for one in self.listed():
            for tag in one["RepoTags"]:
                if not tag_is_ours({**one, "RepoTags": [tag]}, self._owner.id):
                    continue  # somebody has given it a second name

                def work(api: Any, tag: str = tag) -> None:
                    try:
                        api.remove_image(tag)
                    except APIError as error:
                        if error.status_code not in {404, 409}:
                            raise
                    else:
                        removed.append(tag)

                self._engine.call("remove image", work)
        return sorted(removed)
