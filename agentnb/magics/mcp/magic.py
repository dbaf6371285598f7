"""``%mcp``: the tools of other programs' servers."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from IPython.core.magic import line_magic, magics_class, needs_local_scope, no_var_expand

from agentnb.core.errors import NotFoundError, UsageError, did_you_mean
from agentnb.magics.base import Magic, Message
from agentnb.magics.grammar import is_word
from agentnb.magics.mcp.grammar import GRAMMAR

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentnb.core.mcp.client import MCPClient
    from agentnb.core.table import Table
    from agentnb.magics.grammar import Call

__all__ = ["McpMagic"]


@magics_class
class McpMagic(Magic):
    """The magic ``%mcp``."""

    grammar = GRAMMAR

    def __init__(self, extension: Any) -> None:
        super().__init__(extension)
        self._used: MCPClient | None = None

    @line_magic
    @needs_local_scope
    @no_var_expand
    def mcp(self, line: str, local_ns: dict[str, Any] | None = None) -> Any:
        """Tools of other programs' servers: `%mcp tools SERVER`, `%mcp call`. See `%mcp help`."""
        __tracebackhide__ = True
        return self.call(line, None, local_ns)

    def reset(self) -> None:
        """Forget the server used last; the hub keeps the clients."""
        self._used = None

    def status(self, call: Call) -> Table:  # noqa: ARG002 - magics share a signature
        """Return the servers."""
        return self.hub.mcp_servers.table()

    def live(self, kind: str, start: str = "") -> Iterable[str]:  # noqa: ARG002 - few enough
        """Return servers, tools, variables of the environment, or the notebook's names, for Tab."""
        if kind == "server":
            names = [one.name for one in self.hub.mcp_servers.clients()]
            return [name if is_word(name) else json.dumps(name) for name in names]
        if kind == "tool":
            return () if self._used is None else self._used.known
        if kind == "variable":
            return sorted(os.environ)
        shell = self.extension.shell
        return [f":{n}" for n in shell.user_ns if n[:1] != "_" and n not in shell.user_ns_hidden]

    def do_tools(self, call: Call) -> Table:
        """Return the tools of a server."""
        if call.arguments:
            self._used = self._made(call)
        elif call.options.keys() & {"env", "timeout"}:
            raise UsageError(
                "--env and --timeout are for a server that is named",
                service="mcp",
                hint="%mcp tools SERVER --timeout 60",
            )
        return self._chosen(call).tools()

    def _made(self, call: Call) -> MCPClient:
        from agentnb.core.redact import has_password

        # The words as typed: the value of a `:name` is not saved with the notebook.
        if any(has_password(word.text) for word in call.words):
            raise UsageError(
                "a password or token on a magic's line would be saved with the notebook",
                service="mcp",
                hint="put it into the environment or .env, then: %mcp tools URL --env VARIABLE",
            )
        target = str(call.arguments[0])
        known = [one for one in self.hub.mcp_servers.clients() if one.name == target]
        if known and not call.options.keys() & {"env", "timeout"}:
            return known[-1]
        options: dict[str, Any] = {}
        if "timeout" in call.options:
            options["timeout"] = call.options["timeout"]
        if "env" in call.options:
            name = call.options["env"]
            value = self.hub.variable(name)
            if target.startswith("stdio:"):
                options["env"] = {name: value}
            else:
                options["headers"] = {"Authorization": f"Bearer {value.reveal()}"}
        return self.hub.mcp(target, **options)

    def _chosen(self, call: Call, named: Any = None) -> MCPClient:
        """Return the named client, else the one used last, else the only one."""
        clients = {one.name: one for one in self.hub.mcp_servers.clients()}
        name = named if named is not None else call.options.get("server")
        if name is not None:
            name = str(name).removeprefix("stdio:").strip()
            if name not in clients:
                raise NotFoundError(
                    f"there is no server {name!r:.200}",
                    service="mcp",
                    hint=did_you_mean(name, clients) or "%mcp list",
                )
            self._used = clients[name]
        elif self._used not in clients.values():
            if len(clients) != 1:
                why = "several were" if clients else "none was"
                raise UsageError(
                    f"no server is chosen: {why} used",
                    service="mcp",
                    hint='%mcp tools "stdio: python server.py"',
                )
            self._used = next(iter(clients.values()))
        assert self._used is not None  # noqa: S101 - chosen above
        return self._used

    def do_call(self, call: Call) -> Any:
        """Call a tool."""
        arguments = call.arguments[1] if len(call.arguments) > 1 else {}
        if isinstance(arguments, str):
            try:
                arguments = json.loads(arguments)
            except ValueError as error:
                raise UsageError(
                    f"the arguments are not JSON: {error}",
                    service="mcp",
                    hint='%mcp call pay {"n": 4}',
                ) from error
        if not isinstance(arguments, dict):
            raise UsageError(
                f"the arguments must be a JSON object, got {arguments!r:.80}",
                service="mcp",
                hint='%mcp call pay {"n": 4}',
            )
        return self._chosen(call).call(str(call.arguments[0]), **arguments)

    def do_accept(self, call: Call) -> str:
        """Accept a tool that has changed."""
        name = str(call.arguments[0])
        self._chosen(call).accept(name)
        return Message(f"{name}: accepted as it is now")

    def do_list(self, call: Call) -> Table:
        """Return the servers."""
        return self.status(call)

    def do_close(self, call: Call) -> str:
        """Close the connection to a server."""
        client = self._chosen(call, call.arguments[0] if call.arguments else None)
        client.close()
        return Message(f"{client.name}: closed")
