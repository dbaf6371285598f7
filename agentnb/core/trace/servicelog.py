"""The logger of one service of one hub."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING, Any

from agentnb.core.redact import redact
from agentnb.core.trace.logs import write_line

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ServiceLog"]


class ServiceLog(logging.LoggerAdapter[logging.Logger]):
    """Logs under ``agentnb.<service>``, and stamps each record with its hub.

    The ``extra`` of a call is kept beside that, and its ``data`` is added to the log's own.

    Parameters
    ----------
    service
        The service's name.
    hub_id
        The hub whose log file takes the records; None for any hub's.
    **data
        The origin that each record carries.

    Examples
    --------
    >>> log = ServiceLog("db", "hub-1", connection="main")
    >>> log.process("connected", {"extra": {"data": {"ms": 3}}})[1]["extra"]
    {'hub': 'hub-1', 'data': {'connection': 'main', 'ms': 3}}
    """

    def __init__(self, service: str, hub_id: str | None = None, **data: object) -> None:
        stamped: dict[str, object] = {} if hub_id is None else {"hub": hub_id}
        if data:
            stamped["data"] = data
        super().__init__(logging.getLogger(f"agentnb.{service}"), stamped)

    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        """Return the message and the arguments, with the hub and the data in ``extra``."""
        own: Any = self.extra
        given: dict[str, Any] | None = kwargs.get("extra")
        if not given:
            kwargs["extra"] = own
        elif "data" in own and "data" in given:
            kwargs["extra"] = {**own, **given, "data": {**own["data"], **given["data"]}}
        else:
            kwargs["extra"] = {**own, **given}
        return msg, kwargs

    def failed(
        self,
        level: int,
        message: str,
        *args: object,
        error: BaseException | None,
        redactor: Callable[[str], str] = redact,
        extra: dict[str, Any] | None = None,
    ) -> None:
        """Log that the user's code raised an error, with its traceback from that code on.

        Handlers find the exception in ``exc_info``. The text that formatters of the standard
        library print has its secrets masked.

        Parameters
        ----------
        level, message, args, extra
            As for `log`.
        error
            The exception; one that was never raised, and None, have no traceback.
        redactor
            Masks secrets.
        """
        if not self.isEnabledFor(level):
            return
        from agentnb.core.failure import users_part

        info = None
        if error is not None and error.__traceback__ is not None:
            info = (type(error), error, users_part(error.__traceback__))
        _, kwargs = self.process(message, {"extra": extra})
        logger = self.logger
        path, line, function, _ = logger.findCaller(stacklevel=2)
        record = logger.makeRecord(
            logger.name, level, path, line, message, args, info, function, kwargs["extra"]
        )
        if info is not None:
            record.exc_text = redactor("".join(traceback.format_exception(*info)).rstrip())
        logger.handle(record)

    def line(self, level: int, message: str, extra: dict[str, Any]) -> None:
        """Log a line of which there are thousands a second; as `log`, at a lower cost."""
        _, kwargs = self.process(message, {"extra": extra})
        if not write_line(self.logger, level, message, kwargs["extra"]):
            self.log(level, message, extra=extra)
