"""``agentnb serve``: the workspace's events over a WebSocket."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agentnb.core.errors import ConfigError, UsageError

if TYPE_CHECKING:
    import argparse

    from agentnb.core.settings import Settings
    from agentnb.core.websocket import EventServer

__all__ = ["run"]

_FIRST_ANSWER = 3.0  # seconds
_LONG_ENOUGH = 16


def run(options: argparse.Namespace) -> int:
    """Serve until stopped; return the exit code."""
    import asyncio  # here and below: the other commands need not load it

    import agentnb
    from agentnb.core.websocket import EventServer

    with agentnb.connect() as hub:
        home = hub.settings.home
        token, about = _token(options, hub.settings, home)
        hub.settings.redactor.add(token)
        # A wrong setting is an error now; later on the server of events waits for Redis.
        hub.redis.within(_FIRST_ANSWER).ping()
        server = EventServer(
            hub.events, token=token, host=options.host, port=options.port, origins=options.origin
        )
        asyncio.run(_serve(server, home, token, about))
    return 0


def _token(options: argparse.Namespace, settings: Settings, home: Path) -> tuple[str, str]:
    """Return the required token, and a line about it; ``{}`` stands for the address."""
    from agentnb.core.paths import ensure_home
    from agentnb.core.tokens import kept_token
    from agentnb.core.websocket.access import is_loopback

    local = is_loopback(options.host)
    if options.token is not None:
        raise UsageError(
            "a token on the command line is shown to every user of this machine",
            service="websocket",
            hint="AGENTNB_SERVE_TOKEN in .env or the environment, or --token-file FILE",
        )
    if options.no_token:
        if options.token_file is not None:
            raise UsageError(
                "--token-file and --no-token exclude each other",
                service="websocket",
                hint="--token-file FILE, or --no-token",
            )
        return "", "no token is required: every user of this machine may listen"
    given = None if options.token_file is None else _read(options.token_file)
    if given is None and settings.serve_token is not None:
        given = settings.serve_token.reveal()
    if given is not None:
        if not given.isascii() or not given.isprintable() or " " in given or not given:
            raise UsageError(
                "a token must be letters, digits and signs, without spaces",
                service="websocket",
                hint="python -c 'import secrets; print(secrets.token_urlsafe())'",
            )
        if not local and len(given) < _LONG_ENOUGH:
            raise ConfigError(
                f"a token of {len(given)} characters is too short for {options.host}",
                service="websocket",
                hint=f"{_LONG_ENOUGH} or more: python -c 'import secrets; "
                "print(secrets.token_urlsafe())'",
            )
        return given, "its token is the given one"
    if not local:
        raise ConfigError(
            f"{options.host} is open to other machines, and no token was given",
            service="websocket",
            hint="set AGENTNB_SERVE_TOKEN, or --token-file FILE",
        )
    token, path, new = kept_token(
        ensure_home(home) / "serve", service="websocket", variable="AGENTNB_SERVE_TOKEN"
    )
    about = f"its token, shown this once, is kept in {path}:\n    {{}}?token={token}"
    return token, about if new else f"its token is in {path}"


def _read(file: str) -> str:
    """Return the first line of a file, or of the standard input."""
    try:
        if file == "-":
            return sys.stdin.readline().strip()
        with Path(file).open(encoding="utf-8") as opened:
            return opened.readline().strip()
    except (OSError, ValueError) as error:
        raise UsageError(
            f"the token cannot be read from {file}: {error}",
            service="websocket",
            hint="a text file of one line",
        ) from error


async def _serve(server: EventServer, home: Path, token: str, about: str) -> None:
    import asyncio

    from agentnb.core.websocket.running import noted

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await server.start()
    try:
        with noted(home, server.url, token) as hidden:
            print(f"events at {server.url}\n{about.replace('{}', server.url)}")
            if hidden:
                print(hidden)
            print("Ctrl-C stops it")
            sys.stdout.flush()
            await stopped.wait()
    finally:
        await server.stop()
