"""A subscriber to channels that reconnects and is safe to interrupt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from redis import client as theirs

from agentnb.core.forking import free_in_children
from agentnb.core.redis.errors import translate

if TYPE_CHECKING:
    from agentnb.core.redis.manager import ConnectionManager

__all__ = ["PubSub"]


class PubSub(theirs.PubSub):
    """A subscriber on a connection of its own, which never times out while it waits.

    When the server has gone it reconnects and subscribes again, for as long as the client's
    calls may take; after that the next `get_message` tries anew. An interrupt ends the
    connection, since part of a message may have been read; the next use subscribes again.
    """

    def __init__(self, manager: ConnectionManager, **options: Any) -> None:
        self._manager = manager
        super().__init__(manager.waiting, **options)
        free_in_children(self._lock)
        free_in_children(self.subscribed_event)

    def execute_command(self, *args: Any) -> Any:
        """Send a command about subscriptions.

        Raises
        ------
        UnavailableError
            The server cannot be reached.
        """
        try:
            return super().execute_command(*args)
        except BaseException as error:  # noqa: BLE001 - raised again, as itself or translated
            self._fail(error)

    def parse_response(self, block: bool = True, timeout: float = 0) -> Any:  # noqa: FBT001, FBT002 - redis-py's own
        """Read what comes next.

        Raises
        ------
        UnavailableError
            The server cannot be reached.
        """
        connection = self.connection
        if connection is not None and connection.is_elsewhere:
            connection.disconnect()  # it connects again, to the node in use, and subscribes there
        try:
            return super().parse_response(block, timeout)
        except BaseException as error:  # noqa: BLE001 - raised again, as itself or translated
            self._fail(error)

    def _fail(self, error: BaseException) -> NoReturn:
        connection = self.connection
        if connection is not None:
            connection.disconnect()
        if isinstance(error, Exception):
            ours = translate(error, self._manager.where, self._manager.timeout)
            if ours is not None and ours is not error:
                raise ours from error
        raise error
