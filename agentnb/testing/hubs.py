"""A hub of its own for each test, and the server that the tests of a process share."""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Unpack
from urllib.parse import quote

from agentnb.core.errors import AgentnbError
from agentnb.core.hub import Hub
from agentnb.core.keywords import refuse_unknown
from agentnb.core.paths import ensure_home
from agentnb.core.redis.keys import Keys, escape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentnb.core.redis import RedisClient
    from agentnb.core.settings import SettingsArguments

__all__ = ["SharedServer", "isolated_hub", "keys_of", "remove_keys"]

_NUMBERS = count(1)
_SCANNED = 1000  # keys in a step of a scan


class SharedServer:
    """An embedded server that the hubs of many tests share, each by a key prefix of its own.

    It is started on first use, and keeps nothing.
    """

    def __init__(self) -> None:
        self._client: RedisClient | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def url(self) -> str:
        """Return the URL of the server, which is started on first use."""
        from agentnb.core.redis import RedisClient

        if self._client is None:
            # Not below pytest's folders, whose paths are too long for a socket.
            self._folder = tempfile.TemporaryDirectory(
                prefix="agentnb-test-", ignore_cleanup_errors=True
            )
            self._client = RedisClient(home=Path(self._folder.name) / "home")
            self._client.untraced.ping()  # on no tape
        return f"unix://{quote(self._client.target.options['path'])}"

    def flush(self) -> None:
        """Remove all keys."""
        if self._client is not None:
            self._client.untraced.flushall()

    def close(self) -> None:
        """Stop the server, and remove its files."""
        client, folder = self._client, self._folder
        self._client = self._folder = None
        if client is not None:
            with suppress(AgentnbError):  # it goes a second after its last user in any case
                client.untraced.shutdown(nosave=True)
            client.close()
        if folder is not None:
            folder.cleanup()


@refuse_unknown("testing")
@contextmanager
def isolated_hub(
    folder: str | os.PathLike[str] | None = None,
    *,
    server: SharedServer | None = None,
    **settings: Unpack[SettingsArguments],
) -> Iterator[Hub]:
    """Open a hub that shares nothing with others, and close it at the end of the block.

    It has a home and a workspace of its own, a SQLite file, an embedded server and a key prefix
    that nobody else uses. The environment and ``.env`` of the developer do not reach it, and in
    the block they do not reach `agentnb.connect` either: that gives the code under test a hub
    on the same database, server and folders.

    Parameters
    ----------
    folder
        An empty folder for its home and workspace; default: a temporary one.
    server
        The server to share; default: one for this hub, stopped at the end.
    **settings
        As `agentnb.connect` takes them, such as ``database_url``. A database and a server
        that are named here are used as they are: of the server only keys of the hub's prefix
        are removed at the end, of the database nothing.

    Examples
    --------
    >>> with isolated_hub(database_url="sqlite://") as hub:
    ...     hub.db.query("select 40 + 2 as answer").scalar()
    42
    """
    with ExitStack() as stack:
        if folder is None:
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="agentnb-hub-", ignore_cleanup_errors=True)
            )
        if "redis_url" not in settings and server is None:
            server = SharedServer()
            stack.callback(server.close)
        given = _settings(Path(folder), server, settings)
        # Before the settings are read. The home marks the folder as the root, whose .env counts.
        stack.enter_context(_environment(given))
        ensure_home(Path(folder) / ".agentnb")
        hub = Hub(start=folder, **given)
        _ = hub.settings
        hub._ephemeral = True  # noqa: SLF001 - for this package
        stack.callback(_clean, given["redis_url"], hub.settings.key_prefix, server)
        stack.enter_context(hub)
        yield hub


def _settings(
    folder: Path, server: SharedServer | None, settings: SettingsArguments
) -> SettingsArguments:
    prefix = f"test-{os.getpid()}-{next(_NUMBERS)}-{secrets.token_hex(3)}"
    given: SettingsArguments = {
        "home": folder / ".agentnb",
        "workspace": folder / "workspace",
        "key_prefix": prefix,
        **settings,
    }
    if "redis_url" not in given and server is not None:
        given["redis_url"] = server.url
    return given


@contextmanager
def _environment(settings: SettingsArguments) -> Iterator[None]:
    """Set the variables of all settings: empty ones count as not set, and win over ``.env``."""
    from agentnb.core.settings import FIELDS

    wanted = {
        field.variable: "" if (value := settings.get(field.name)) is None else str(value)
        for field in FIELDS
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _clean(url: str | None, prefix: str, server: SharedServer | None) -> None:
    """Remove what a test has left on its server."""
    from agentnb.core.redis import RedisClient

    if url is None:  # the server of its own home ends with it
        return
    if server is not None and url == server.url:
        server.flush()
        return
    with suppress(AgentnbError), RedisClient(url, prefix=prefix) as redis:
        remove_keys(redis, prefix)


def keys_of(redis: RedisClient, prefix: str) -> list[bytes]:
    """Return all keys of a prefix."""
    pattern = escape(Keys(prefix).internal("")) + "*"
    return list(redis.scan_iter(match=pattern, count=_SCANNED))


def remove_keys(redis: RedisClient, prefix: str) -> None:
    """Remove all keys of a prefix."""
    keys = keys_of(redis, prefix)
    if keys:
        redis.unlink(*keys)
