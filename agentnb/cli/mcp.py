"""``agentnb mcp``: the tools of a project for programs that speak the Model Context Protocol."""

from __future__ import annotations

import json
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from agentnb.core.errors import ConfigError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Coroutine

    from agentnb.core.hub import Hub
    from agentnb.core.mcp.server import ToolServer

__all__ = ["HOSTS", "run"]

HOSTS = ("claude", "vscode", "cursor")
"""The programs whose configuration is printed."""
_FILES = {"claude": ".mcp.json", "vscode": ".vscode/mcp.json", "cursor": ".cursor/mcp.json"}
_LOOPBACK = "127.0.0.1"


def run(options: argparse.Namespace) -> int:
    """Serve until the caller goes, or print the configuration of one; return the exit code."""
    from agentnb.core.tools import policy_of

    root = None if options.root is None else Path(options.root).resolve()
    policy = policy_of(options.tools, options.write, root, options.timeout)
    if options.config is not None:
        print(json.dumps(_configuration(options), indent=2))
        print(f"put this into {_FILES[options.config]} of the project", file=sys.stderr)
        return 0
    from agentnb.core.extras import require

    require(("mcp",), "agentnb mcp", service="mcp", pip=f"{sys.executable} -m pip")
    import asyncio  # here and below: the other commands need not load it

    import agentnb
    from agentnb.core import services
    from agentnb.core.mcp.server import ToolServer

    with agentnb.connect(start=root) as hub:
        offer = hub._open(services.TOOLS).offer(policy, service="mcp")  # noqa: SLF001 - of this package
        server = ToolServer(hub, offer, timeout=policy.timeout)
        try:
            if options.http:
                _serve_http(hub, server, options.port)
            else:
                asyncio.run(_until_stopped(server.serve_stdio()))
        finally:
            server.close()
    return 0


def _serve_http(hub: Hub, server: ToolServer, port: int) -> None:
    import asyncio

    token, about = _token(hub)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((_LOOPBACK, port))
            listening.listen()  # before the address is printed
        except OSError as error:
            raise ConfigError(
                f"port {port} of {_LOOPBACK} cannot be used: {error.strerror}",
                service="mcp",
                hint="another one: agentnb mcp --http --port 8766 (0: one that is free)",
            ) from error
        url = f"http://{_LOOPBACK}:{listening.getsockname()[1]}/mcp"
        print(f"agentnb mcp: {url}; {about}", flush=True)
        asyncio.run(server.serve_http(listening, token))


def _token(hub: Hub) -> tuple[str, str]:
    """Return the token of the clients, and a line about it."""
    from agentnb.core.paths import ensure_home
    from agentnb.core.tokens import kept_token

    settings = hub.settings
    if settings.mcp_token is not None:
        given = settings.mcp_token.reveal()
        if not given or not given.isascii() or not given.isprintable() or " " in given:
            raise UsageError(
                "a token must be letters, digits and signs, without spaces",
                service="mcp",
                hint="python -c 'import secrets; print(secrets.token_urlsafe())'",
            )
        return given, "its token is that of AGENTNB_MCP_TOKEN"
    folder = ensure_home(settings.home) / "mcp"
    token, path, new = kept_token(folder, service="mcp", variable="AGENTNB_MCP_TOKEN")
    settings.redactor.add(token)
    if new:
        return token, f"its token, shown this once, is kept in {path}:\n    {token}"
    return token, f"its token is in {path}"


async def _until_stopped(serving: Coroutine[object, object, None]) -> None:
    """Await a server, which SIGTERM ends like the end of its input."""
    import asyncio

    task = asyncio.ensure_future(serving)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with suppress(asyncio.CancelledError):
        await task


def _configuration(options: argparse.Namespace) -> dict[str, object]:
    """Return the configuration of a host, which starts the server outside of this environment."""
    if options.http:
        url = f"http://{_LOOPBACK}:{options.port}/mcp"
        return _http_configuration(options.config, url)
    root = str(Path(options.root or ".").resolve())
    words = ["-m", "agentnb", "mcp", "--root", root]
    if options.tools is not None:
        words += ["--tools", options.tools]
    if options.write:
        words += ["--write", options.write]
    if options.timeout != 20:  # noqa: PLR2004 - the default
        words += ["--timeout", f"{options.timeout:g}"]
    server: dict[str, object] = {"command": sys.executable, "args": words}
    if options.config == "vscode":
        return {"servers": {"agentnb": {"type": "stdio", **server}}}
    return {"mcpServers": {"agentnb": server}}


def _http_configuration(host: str, url: str) -> dict[str, object]:
    """Return the configuration of a host for a server that runs; the token stays out of it."""
    if host == "vscode":
        asked = {
            "type": "promptString",
            "id": "agentnb-token",
            "description": "AGENTNB_MCP_TOKEN",
            "password": True,
        }
        headers = {"Authorization": "Bearer ${input:agentnb-token}"}
        server = {"type": "http", "url": url, "headers": headers}
        return {"inputs": [asked], "servers": {"agentnb": server}}
    variable = "${AGENTNB_MCP_TOKEN}" if host == "claude" else "${env:AGENTNB_MCP_TOKEN}"
    kind = {"type": "http"} if host == "claude" else {}
    headers = {"Authorization": f"Bearer {variable}"}
    return {"mcpServers": {"agentnb": {**kind, "url": url, "headers": headers}}}
