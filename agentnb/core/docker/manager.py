"""The containers and images of one home, on a real engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from agentnb.core.docker.looking import Looking
from agentnb.core.docker.reaching import Reaching
from agentnb.core.docker.serving import Serving
from agentnb.core.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DockerManager"]


class DockerManager(Serving, Reaching, Looking):
    """Containers and images on a Docker engine, safe by default.

    Nothing is connected before the first call. Thread-safe. What it makes carries its labels,
    and it lists, touches and removes nothing else on the engine. Containers go when this is
    closed, at once when its process is killed, and at the latest when the home is used again;
    ``keep=True`` keeps one.

    Parameters
    ----------
    host, context
        The engine; without either, as ``DOCKER_HOST`` and ``DOCKER_CONTEXT`` of the environment
        say, and else docker's own choice.
    home
        The folder that tells whose the containers are; None for one that this user's processes
        without a home share.
    policies
        What containers may be allowed, by what name; the first is the default. By default those
        of `agentnb.core.docker.POLICIES`.
    roots
        The folders that a build's context and the files for a container must be in; none for
        anywhere.
    workspace
        Where a build's relative folder is also looked for.
    runtime
        Tracer, redactor and logs; default: new ones.

    Raises
    ------
    UsageError
        There is no policy.

    Notes
    -----
    Calls raise `UnavailableError` within 2 s where no engine answers, with how to start one, and
    `ConfigError` for a context that does not exist and for Podman, which is not supported.
    """

    def prune(self, *, images: bool = False, dry_run: bool = False) -> Table:
        """Remove our containers that have ended, our networks and, if asked to, our images.

        Networks and images that a container uses stay.

        Parameters
        ----------
        images
            Whether images go, too.
        dry_run
            Whether to say only what would go.

        Returns
        -------
        Table
            Kind and name of what went.
        """
        gone = [("container", name) for name in self._containers.prune(dry_run=dry_run)]
        gone += [("network", name) for name in self._networks.prune(dry_run=dry_run)]
        if images and dry_run:
            gone += [("image", row[0]) for row in self.images().rows]
        elif images:
            gone += [("image", tag) for tag in self._images.remove()]
        return Table(("kind", "name"), gone, empty="nothing to remove")

    def names(self, kind: str) -> Sequence[str]:
        """Return the names of our containers; of ``"image"`` or ``"network"``, of those."""
        tables = {"image": self.images, "network": self.networks}
        table = tables.get(kind, self.list)()
        return [row[0] for row in table.rows]

    def ping(self) -> None:
        """Ask the engine whether it is there.

        Raises
        ------
        UnavailableError
            It is not.
        """
        self.engine.call("ping", lambda api: api.ping(), idempotent=True)

    def status(self) -> Table:
        """Return which engine it is, what of ours is on it, and the policies allowed here."""
        version = self.engine.call("version", lambda api: api.version(), idempotent=True)
        states = [row[2] for row in self.list().rows]
        running = sum(state == "running" for state in states)
        row = (
            f"Docker {version['Version']}",
            self.engine.endpoint.said,
            running,
            len(states) - running,
            len(self.images()),
            ", ".join(policy.name for policy in self.policies),
        )
        return Table(("engine", "chosen by", "running", "ended", "images", "policies"), [row])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"DockerManager({', '.join(policy.name for policy in self.policies)})"
