"""The server to connect to, where that changes: the primary of a Redis Cluster's slot."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from redis.crc import key_slot
from redis.exceptions import AskError, ResponseError
from redis.exceptions import ConnectionError as TheirConnectionError

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from agentnb.core.redis.connection import Timed

__all__ = ["Address", "ClusterNodes", "Nodes", "UnsettledError"]

# Seconds for which a node that could not be reached is not tried again while others are known,
# and for which a node is waited for then.
_RESTING = 1.0
_CONNECT = 1.0


class UnsettledError(TheirConnectionError):
    """A server answers, and there is no primary to connect to yet."""


class Address(NamedTuple):
    """Host and port of a server."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Nodes(Protocol):
    """Knows which server to connect to.

    Attributes
    ----------
    current
        The server in use; a connection to another one is not used again. None if none is known.
    patience
        Seconds for connecting to one server, since there may be others; None for all there are.
    """

    @property
    def current(self) -> Address | None:
        """Return the server in use."""

    @property
    def patience(self) -> float | None:
        """Return the seconds for one server."""

    def find(self, seconds: float) -> Address:
        """Return the server to connect to now, found within some seconds."""

    def failed(self, address: Address) -> None:
        """Record that a server could not be connected to."""

    def accepts(self, connection: Timed) -> bool:
        """Return whether a new connection leads to the right server; else `find` has another."""

    def moved(self, error: AskError) -> bool:
        """Return whether the keys of agentnb have moved, as a server says, and follow them."""

    def owns(self, error: AskError) -> bool:
        """Return whether a redirection is about the keys of agentnb."""

    def doubt(self) -> None:
        """Record that the current server refused to write."""

    def describe(self) -> str | None:
        """Return the server in use, for messages; None if the URL names it."""

    def close(self) -> None:
        """Close what finds the servers."""


class ClusterNodes:
    """Follows the primary of one slot, if the server of the URL belongs to a Redis Cluster.

    All keys of agentnb share a hash tag, so that one primary has them all. Any node tells which
    one it is: each new connection asks, and a node that answers MOVED says it, too. When the
    primary cannot be reached, the other nodes are asked until one of them names its successor.

    Parameters
    ----------
    seed
        The server of the URL.
    tag
        The hash tag of the keys.
    changed
        Called when another server is used from now on, and when there are found to be several.
    log
        Logger of the servers that are followed.
    """

    def __init__(
        self,
        seed: Address,
        tag: str,
        *,
        changed: Callable[[], None],
        log: logging.LoggerAdapter[logging.Logger],
    ) -> None:
        self.tag = tag
        self.slot = key_slot(f"{{{tag}}}".encode())
        self.current = seed
        self._seed = seed
        self._known: tuple[Address, ...] = (seed,)
        self._failed: dict[Address, float] = {}
        self._is_cluster = False
        self._changed = changed
        self._log = log

    @property
    def patience(self) -> float | None:
        """Return a second if there are other nodes to ask."""
        return _CONNECT if len(self._known) > 1 else None

    def find(self, seconds: float) -> Address:  # noqa: ARG002 - as its siblings
        """Return the node in use."""
        return self.current

    def failed(self, address: Address) -> None:
        """Ask another node the next time: one that has not failed, or the one that did so first."""
        self._failed[address] = monotonic()
        self._turn_from(address)

    def _turn_from(self, address: Address) -> None:
        others = [node for node in self._known if node != address]
        if others and address == self.current:
            self._use(min(others, key=lambda node: self._failed.get(node, 0.0)))

    def accepts(self, connection: Timed) -> bool:
        """Return whether the node at the other end has the slot; learn the nodes of its cluster.

        Raises
        ------
        UnsettledError
            The node names a primary that could not be reached a moment ago.
        """
        hello: Any = connection.handshake_metadata or {}
        if hello.get(b"mode") == b"cluster" and not self._is_cluster:
            self._is_cluster = True
            self._changed()  # there are several servers now, even if the first one stays
        here = connection.node
        if not self._is_cluster or here is None:
            return True
        try:
            own, primary, nodes = _ask(connection, here, self.slot)
        except ResponseError as error:  # the ACL forbids it, or the server has left its cluster
            self._log.debug("redis: %s does not tell the nodes of its cluster: %s", here, error)
            return True
        self._failed.pop(here, None)
        self._known = tuple(dict.fromkeys([self._seed, here, *nodes]))
        # A node may be reached by another address than the one that it is known by in the cluster.
        if own or primary is None:
            self._use(here)
            return True
        if monotonic() - self._failed.get(primary, -_RESTING) < _RESTING:
            self._turn_from(here)
            raise UnsettledError(
                f"{here} names {primary} as the primary of {{{self.tag}}}, which cannot be reached"
            )
        self._use(primary)
        return False

    def moved(self, error: AskError) -> bool:
        """Return whether the slot has moved, and follow it."""
        if not self.owns(error):
            return False
        self._is_cluster = True
        # No host, or a question mark, stands for that of the server itself.
        host = error.host if error.host not in {"", "?"} else self.current.host
        self._use(Address(host, error.port))
        return True

    def owns(self, error: AskError) -> bool:
        """Return whether a redirection is about the slot."""
        return error.slot_id == self.slot

    def doubt(self) -> None:
        """Do nothing: a replica in a cluster answers MOVED."""

    def describe(self) -> str | None:
        """Return the node in use, if the URL does not name it."""
        return f"node {self.current}" if self.current != self._seed else None

    def close(self) -> None:
        """Do nothing: the connections belong to others."""

    def _use(self, node: Address) -> None:
        if node == self.current:
            return
        self.current = node
        self._log.info("redis: follows the keys of {%s} to %s", self.tag, node)
        self._changed()


def _ask(connection: Timed, here: Address, slot: int) -> tuple[bool, Address | None, list[Address]]:
    """Return whether a node has a slot, the slot's primary, and all nodes of the cluster.

    Source: CLUSTER SLOTS and CLUSTER MYID in the reference of the commands. A host that is null,
    empty or a question mark stands for the one that was asked.
    """
    connection.send_command("CLUSTER", "MYID", check_health=False)
    own = connection.read_response()
    connection.send_command("CLUSTER", "SLOTS", check_health=False)
    ranges: list[Any] = connection.read_response()
    primary, is_here, nodes = None, False, []
    for first, last, *members in ranges:
        addresses = [_address(member, here) for member in members]
        nodes += addresses
        if first <= slot <= last and addresses:
            primary, is_here = addresses[0], members[0][2] == own
    return is_here, primary, nodes


def _address(member: Any, here: Address) -> Address:
    host = (member[0] or b"").decode()
    return Address(host if host not in {"", "?"} else here.host, int(member[1]))
