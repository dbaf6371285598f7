"""The primary that Sentinels watch: which one it is, and which one after a failover."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import TimeoutError as TheirTimeoutError
from redis.retry import Retry
from redis.sentinel import Sentinel

from agentnb.core.errors import ConfigError, did_you_mean
from agentnb.core.redis.nodes import Address, UnsettledError

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from redis.exceptions import AskError

    from agentnb.core.redis.connection import Timed
    from agentnb.core.redis.target import Watched

__all__ = ["SentinelNodes"]

_SECONDS = 1.0  # for one Sentinel, and for one server


class SentinelNodes:
    """Asks the Sentinels for the primary on each new connection, as redis-py's own pools do.

    Parameters
    ----------
    watched
        The name of the primary, and the Sentinels.
    changed
        Called when another server is used from now on.
    log
        Logger of the servers that are named.
    """

    def __init__(
        self,
        watched: Watched,
        *,
        changed: Callable[[], None],
        log: logging.LoggerAdapter[logging.Logger],
    ) -> None:
        self.current: Address | None = None
        self.patience: float | None = _SECONDS
        self._name = watched.name
        self._addresses = [Address(*one) for one in watched.sentinels]
        self._options = watched.options
        self._answered: Address | None = None
        self._changed = changed
        self._log = log

    def find(self, seconds: float) -> Address:
        """Return the primary, by the first Sentinel that knows one.

        Raises
        ------
        UnsettledError
            None of them can be reached, or the primary is down and has no successor yet.
        ConfigError
            They ask for a password, or watch no primary of the name.
        """
        until = monotonic() + seconds
        failures: list[str] = []
        others: set[str] = set()
        for one in sorted(self._addresses, key=lambda each: each != self._answered):
            try:
                watched = self._ask(one, until - monotonic())
            except AuthenticationError as error:
                raise self._refused(error) from error
            except RedisError as error:
                failures.append(f"{one}: {error}")
                continue
            state = watched.get(self._name)
            if state is None:
                others |= {self._name, *watched}
            elif state["is_master"] and not state["is_sdown"] and not state["is_odown"]:
                self._answered = one
                return self._use(Address(str(state["ip"]), int(state["port"])))
            else:
                failures.append(f"{one}: it is down and has no successor yet")
        if others and not failures:
            raise self._unknown(others - {self._name})
        raise UnsettledError(f"no Sentinel names a primary of {self._name}: {'; '.join(failures)}")

    def _ask(self, sentinel: Address, left: float) -> dict[str, Any]:
        """Return what a Sentinel watches, asked on a connection for this once."""
        if left <= 0:
            raise TheirTimeoutError("there was no time left to ask it")
        seconds = min(left, _SECONDS)
        options = {"socket_timeout": seconds, "socket_connect_timeout": seconds}
        own = {"retry": Retry(NoBackoff(), 0), "driver_info": None}
        with Sentinel([sentinel], sentinel_kwargs={**self._options, **options, **own}) as group:
            found: dict[str, Any] = group.sentinels[0].sentinel_masters()
        return found

    def _refused(self, error: AuthenticationError) -> ConfigError:
        wants = error.status_code == "NOAUTH"
        return ConfigError(
            f"the Sentinels of {self._name} "
            + ("ask for a password" if wants else "refuse the user name or the password"),
            service="redis",
            hint="the Sentinels have a login of their own: REDIS_URL=redis+sentinel://:password@"
            f"{self._hosts()}/{self._name}/0?sentinel_password=secret",
        )

    def _hosts(self) -> str:
        return ",".join(map(str, self._addresses))

    def _unknown(self, others: set[str]) -> ConfigError:
        known = ", ".join(sorted(others)) or "none"
        near = did_you_mean(self._name, others)
        example = min(others, default="mymaster")
        return ConfigError(
            f"the Sentinels watch no primary {self._name}: they watch {known}",
            service="redis",
            hint=near or f"REDIS_URL=redis+sentinel://{self._hosts()}/{example}/0",
        )

    def failed(self, address: Address) -> None:
        """Do nothing: the Sentinels are asked again."""

    def accepts(self, connection: Timed) -> bool:
        """Return True if the server is the primary.

        Raises
        ------
        UnsettledError
            It is a replica: it was the primary, or is going to be.
        """
        role = (connection.handshake_metadata or {}).get(b"role", b"master")  # type: ignore[call-overload]  # bytes
        if role != b"master":
            raise UnsettledError(f"{connection.node} is no primary now")
        return True

    def moved(self, error: AskError) -> bool:  # noqa: ARG002 - as its siblings
        """Return False: there is no cluster."""
        return False

    def owns(self, error: AskError) -> bool:  # noqa: ARG002 - as its siblings
        """Return False: as `moved`."""
        return False

    def doubt(self) -> None:
        """Ask for the primary again: a server that refuses to write is not it now."""
        if self.current is not None:
            self.current = None
            self._changed()

    def describe(self) -> str | None:
        """Return the primary in use."""
        return f"primary {self.current} of {self._name}" if self.current else None

    def close(self) -> None:
        """Do nothing: no connection to a Sentinel is kept."""

    def _use(self, primary: Address) -> Address:
        if primary != self.current:
            self.current = primary
            self._log.info("redis: the primary of %s is %s", self._name, primary)
            self._changed()
        return primary
