"""``%ws``: connect, send and receive over WebSockets."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from IPython.core.magic import line_cell_magic, magics_class, needs_local_scope, no_var_expand

from agentnb.core.errors import (
    DeadlineExceeded,
    NotFoundError,
    UnavailableError,
    UsageError,
    did_you_mean,
)
from agentnb.core.format import cut
from agentnb.core.table import Table, text_of
from agentnb.core.trace.files import clean
from agentnb.magics.base import Magic, Message
from agentnb.magics.grammar import is_word
from agentnb.magics.ws.grammar import GRAMMAR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agentnb.core.websocket import WebSocketClient, WebSockets
    from agentnb.magics.grammar import Call

__all__ = ["Messages", "WsMagic"]

_COUNT, _SECONDS = 10, 10.0
_SHOWN = 500


class Messages(list[Any]):
    """The messages that ``%ws tail`` received; each was printed already."""

    stopped = False
    """True if the default count was reached, so that more may follow."""
    not_json = 0
    """The number of messages since the last call that were not JSON, and are missing here."""

    def __repr__(self) -> str:
        number = f"{len(self):,} message{'' if len(self) == 1 else 's'}"
        if self.not_json:
            be = "is" if self.not_json == 1 else "are"
            number += f" and {self.not_json:,} that {be} not JSON (%ws connect URL --text)"
        return f"{number}, then stopped: -n N for more" if self.stopped else number

    def df(self) -> Any:
        """Return them as a pandas DataFrame, their keys as columns."""
        rows = [one if isinstance(one, dict) else {"message": one} for one in self]
        columns = tuple(dict.fromkeys(str(key) for row in rows for key in row))
        return Table(columns, [tuple(row.get(key) for key in columns) for row in rows]).df()


@magics_class
class WsMagic(Magic):
    """The magic ``%ws`` and ``%%ws``."""

    grammar = GRAMMAR

    def __init__(self, extension: Any) -> None:
        super().__init__(extension)
        self._used: str | None = None
        self._seen: dict[str, int] = {}

    @line_cell_magic
    @needs_local_scope
    @no_var_expand
    def ws(self, line: str, cell: str | None = None, local_ns: dict[str, Any] | None = None) -> Any:
        """Connect, send and receive over WebSockets. See `%ws help`."""
        __tracebackhide__ = True
        return self.call(line, cell, local_ns)

    def reset(self) -> None:
        """Forget the client used last; the hub keeps the clients."""
        self._used = None
        self._seen.clear()

    @property
    def _all(self) -> WebSockets:
        return self.hub.websockets

    def status(self, call: Call) -> Table:  # noqa: ARG002 - magics share a signature
        """Return the WebSockets."""
        return self._all.table()

    def free(self, call: Call, cell: str | None, namespace: Any) -> Any:  # noqa: ARG002 - as above
        """Refuse a cell without a verb."""
        raise UsageError("%%ws needs a verb", service="websocket", hint="%%ws send")

    def live(self, kind: str, start: str = "") -> Iterable[str]:  # noqa: ARG002 - few enough
        """Return URLs, variables of the environment, or the notebook's names, for Tab."""
        if kind == "client":
            return [one.url for one in self._all.clients() if is_word(one.url)]
        if kind == "variable":
            return sorted(os.environ)
        shell = self.extension.shell
        names = [n for n in shell.user_ns if n[:1] != "_" and n not in shell.user_ns_hidden]
        return [f":{name}" for name in names]

    def do_connect(self, call: Call) -> str:
        """Connect, and keep the connection."""
        client = self._client(call)
        self._used = client.url
        if client.connect():
            return Message(f"connected to {client.url}")
        trouble = client.stats()["last_error"] or f"no connection to {client.url} yet"
        return Message(f"{trouble}\nit is tried again and again: %ws list")

    def _client(self, call: Call) -> WebSocketClient:
        from agentnb.core.redact import has_password

        options: dict[str, Any] = {}
        if "text" in call.options:
            options["json"] = False
        if "reconnect" in call.options:
            options["reconnect"] = call.options["reconnect"]
        # The words as typed: the value of a `:name` is not saved with the notebook.
        if any(has_password(word.text) for word in call.words):
            raise UsageError(
                "a password or token on a magic's line would be saved with the notebook",
                service="websocket",
                hint="put it into the environment or .env, then: %ws connect URL --env VARIABLE",
            )
        url = str(call.arguments[0]) if call.arguments else None
        if "env" in call.options:
            value = self.hub.variable(call.options["env"]).reveal()
            if url is None:
                url = value
            else:
                options["headers"] = {"Authorization": f"Bearer {value}"}
        return self._all.client(url, **options)

    def _chosen(self, call: Call, named: Any = None) -> WebSocketClient:
        """Return the named client, else the one used last, else the only one."""
        clients = {one.url: one for one in self._all.clients()}
        url = str(named) if named is not None else call.options.get("client")
        if url is not None:
            if url not in clients:
                raise NotFoundError(
                    f"there is no WebSocket {url}",
                    service="websocket",
                    hint=did_you_mean(url, clients) or "%ws list",
                )
            self._used = url
        elif self._used not in clients:
            if len(clients) != 1:
                reason = "there is none" if not clients else "there are several"
                hint = "%ws connect URL" if not clients else "--client URL"
                raise UsageError(
                    f"no WebSocket is chosen: {reason}", service="websocket", hint=hint
                )
            self._used = next(iter(clients))
        return clients[str(self._used)]

    def do_send(self, call: Call) -> str:
        """Send a message."""
        client = self._chosen(call)
        if not client.send(self._message(call, client)):
            raise UnavailableError(
                f"{client.url} is {client.state}: nothing was sent",
                service="websocket",
                hint="it is connected again by itself: %ws list"
                if client.state in {"connecting", "waiting"}
                else "%ws connect",
            )
        return Message("sent")

    def _message(self, call: Call, client: WebSocketClient) -> Any:
        body = (call.body or "").strip()
        if bool(body) == bool(call.arguments):
            raise UsageError(
                "send takes one message, on the line or in the cell",
                service="websocket",
                hint='%ws send {"type": "subscribe", "channels": ["workflows"]}',
            )
        if not client.json:
            return call.body.rstrip("\n") if call.body and body else self._text(call)
        if body:
            try:
                return json.loads(body)
            except ValueError as error:
                raise UsageError(
                    f"the cell is not JSON: {error}",
                    service="websocket",
                    hint='text is in quotes: "text"',
                ) from error
        value = call.arguments[0]
        if call.words[0].kind == "plain":  # in quotes it is text
            with suppress(ValueError):  # not JSON: the text itself
                value = json.loads(value)
        return value

    def _text(self, call: Call) -> Any:
        """Return the text of a line for a WebSocket without JSON; a bound value as it is."""
        word = call.words[0]
        return call.arguments[0] if word.kind == "bind" else word.text

    def do_tail(self, call: Call) -> Messages:
        """Show messages as they come, and return them."""
        client = self._chosen(call)
        count = call.options.get("count", _COUNT)
        until = time.monotonic() + call.options.get("timeout", _SECONDS)
        found = Messages()
        # Ctrl-C ends the wait; the messages so far are returned.
        with suppress(KeyboardInterrupt, DeadlineExceeded):
            while len(found) < count:
                try:
                    message = client.receive(max(until - time.monotonic(), 0.0))
                except UnavailableError as error:
                    if found and not isinstance(error, DeadlineExceeded):
                        break  # it was closed meanwhile
                    raise
                found.append(message)
                if "quiet" not in call.options:
                    print(_brief(message, self.hub.settings.redactor, as_json=client.json))  # noqa: T201 - in the cell that looks
        found.not_json = self._unseen(client)
        found.stopped = "count" not in call.options and len(found) == count
        return found

    def _unseen(self, client: WebSocketClient) -> int:
        """Return the number of messages since the last call that were not JSON."""
        before, now = self._seen.get(client.url, 0), client.stats()["not_json"]
        self._seen[client.url] = now
        return int(now - before if now >= before else now)

    def do_list(self, call: Call) -> Table:
        """Return the WebSockets."""
        return self.status(call)

    def do_close(self, call: Call) -> str:
        """Disconnect."""
        if "all" in call.options:
            if call.arguments:
                raise UsageError(
                    "close takes a URL or --all, one of them",
                    service="websocket",
                    hint="%ws close --all",
                )
            clients = self._all.clients()
        else:
            clients = [self._chosen(call, call.arguments[0] if call.arguments else None)]
        for one in clients:
            self._all.close_client(one.url)
        self._used = None
        return Message(
            "\n".join(f"{one.url}: closed" for one in clients) or "no WebSocket was open"
        )


def _brief(message: Any, redactor: Callable[[str], str], *, as_json: bool) -> str:
    if not as_json:
        return cut(text_of(redactor(str(message)[: 8 * _SHOWN])), _SHOWN)
    return cut(json.dumps(clean(message, redactor), ensure_ascii=False), _SHOWN)
