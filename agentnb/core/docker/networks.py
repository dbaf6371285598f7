"""Private networks of one home, on which its containers reach each other by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentnb.core.docker.owner import NAME, OWNER, SESSION, is_ours
from agentnb.core.errors import NotFoundError, RejectedError, UsageError, did_you_mean
from agentnb.core.table import Table

if TYPE_CHECKING:
    from agentnb.core.docker.engine import Engine
    from agentnb.core.docker.owner import Owner
    from agentnb.core.docker.session import Session

__all__ = ["Network", "Networks", "allowed_networks", "remove_network"]

_NAMED = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,39}")
_RESERVED = ("bridge", "host", "none", "default", "ingress")
# Without an address on the bridge the containers cannot reach what listens on the host, which
# an internal network alone lets them. Source: moby's libnetwork, drivers/bridge (netlabel).
_CLOSED = {"com.docker.network.bridge.inhibit_ipv4": "true"}
_IN_USE = 403


@dataclass(frozen=True, slots=True)
class Network:
    """A private network; wherever a network's name is expected, this does as well.

    Parameters
    ----------
    name
        As it was asked for.
    id
        The engine's.
    """

    name: str
    id: str

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<Network {self.name}>"


class Networks:
    """The networks of an owner; see `DockerManager.network`.

    Parameters
    ----------
    engine, session
        Where they are, and whose.
    """

    def __init__(self, engine: Engine, session: Session) -> None:
        self._engine, self._session = engine, session
        self._owner = session.owner

    def open(self, name: str) -> Network:
        """Return the network of a name, which is made if there is none."""
        if not isinstance(name, str) or _NAMED.fullmatch(name) is None or name in _RESERVED:
            raise UsageError(
                f"network must be letters, digits and _ . -, at most 40, got {str(name)[:80]!r}",
                service="docker",
                hint=f"network='app'; {', '.join(_RESERVED)} are the engine's own",
            )
        with self._owner.alone("networks"):  # an engine makes two of one name
            found = self._all().get(name)
            return found or self._make(name)

    def _make(self, name: str) -> Network:
        self._session.watch()  # before there is one to remove
        full = self._full(name)
        labels = {OWNER: self._owner.id, NAME: full, SESSION: self._owner.session}
        try:
            made = self._engine.call(
                "create network",
                lambda api: api.create_network(
                    full, driver="bridge", internal=True, options=_CLOSED, labels=labels
                ),
                network=name,
            )
        except RejectedError as error:
            if "address pool" not in error.message:
                raise
            raise RejectedError(
                f"the engine has no address left for another network: {error.message}",
                service="docker",
                hint="hub.docker.remove_network(NAME) (%docker network NAME --remove) removes one, "
                "hub.docker.prune() (%docker prune --yes) those unused",
            ) from error
        return Network(name, made["Id"])

    def find(self, name: str) -> Network:
        """Return the network of a name.

        Raises
        ------
        NotFoundError
            There is none.
        """
        known = self._all()
        if name not in known:
            raise NotFoundError(
                f"this home has no network {name!r}",
                service="docker",
                hint=did_you_mean(name, known)
                or f"make it: hub.docker.network({name!r}) (%docker network {name})",
            )
        return known[name]

    def described(self, network: Network) -> dict[str, Any]:
        """Return a network as the engine describes it."""
        found: dict[str, Any] = self._engine.call(
            "inspect network", lambda api: api.inspect_network(network.id), idempotent=True
        )
        return found

    def table(self) -> Table:
        """Return name, containers and id of each."""
        rows = []
        for name, network in sorted(self._all().items()):
            inside = self.described(network).get("Containers") or {}
            names = sorted(one["Name"] for one in inside.values())
            rows.append((name, ", ".join(names), network.id[:12]))
        return Table(
            ("network", "containers", "id"),
            rows,
            empty="no networks: hub.docker.network(NAME) (%docker network NAME) makes one",
        )

    def remove(self, name: str) -> None:
        """Remove a network.

        Raises
        ------
        NotFoundError
            There is none of that name.
        RejectedError
            Containers use it.
        """
        network = self.find(name)
        if not remove_network(self._engine, network.id):
            inside = self.described(network).get("Containers") or {}
            names = ", ".join(sorted(one["Name"] for one in inside.values()))
            raise RejectedError(
                f"the network {name!r} is used by {names}",
                service="docker",
                hint="stop them first: hub.docker.stop_container(NAME) (%docker stop NAME)",
            )

    def prune(self, *, dry_run: bool) -> list[str]:
        """Remove those that no container uses; return their names."""
        if not allowed_networks(self._engine, self._owner):
            return []
        found = sorted(self._all().items())
        if dry_run:
            return [name for name, one in found if not self.described(one).get("Containers")]
        return [name for name, one in found if remove_network(self._engine, one.id)]

    def _full(self, name: str) -> str:
        return f"agentnb-{self._owner.id}-{name}"

    def _all(self) -> dict[str, Network]:
        start = self._full("")
        found = listed_networks(self._engine, self._owner)
        return {
            one["Name"].removeprefix(start): Network(one["Name"].removeprefix(start), one["Id"])
            for one in found
        }


def listed_networks(engine: Engine, owner: Owner) -> list[dict[str, Any]]:
    """Return an owner's networks as the engine lists them."""
    found = engine.call(
        "networks", lambda api: api.networks(filters=owner.filters), idempotent=True
    )
    return [one for one in found if is_ours(one["Labels"], one["Name"], owner.id)]


def allowed_networks(engine: Engine, owner: Owner) -> list[dict[str, Any]]:
    """Return an owner's networks; none where a proxy in front of the engine refuses the call."""
    try:
        return listed_networks(engine, owner)
    except (NotFoundError, RejectedError):
        return []


def remove_network(engine: Engine, network: str) -> bool:
    """Remove a network; return whether it is gone: one that a container uses stays."""
    from docker.errors import APIError, NotFound

    def work(api: Any) -> bool:
        try:
            api.remove_network(network)
        except NotFound:
            return True
        except APIError as error:
            if error.status_code == _IN_USE:
                return False
            raise
        return True

    return engine.call("remove network", work, idempotent=True)
