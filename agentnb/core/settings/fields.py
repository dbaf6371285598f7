"""The settings there are: their names, variables, defaults and what they accept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FIELDS", "OTHER_VARIABLES", "Field", "Value"]


@dataclass(frozen=True, slots=True)
class Field:
    """One setting: the attribute, the variable it is read from, how it is parsed.

    Parameters
    ----------
    name
        The attribute of `Settings` and the keyword of ``agentnb.connect``.
    variable
        The environment variable.
    default
        Text used when nothing else gives the value; None for no value.
    parse
        Turns text into the value; raises ValueError with what it wants.
    secret
        Never shown, not even in part.
    empty
        Whether empty text is a value, and not the same as none.
    about
        One line for the people who read ``%agentnb config``.
    """

    name: str
    variable: str
    default: str | None
    about: str
    parse: Callable[[str], object] = str
    secret: bool = False
    empty: bool = False


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError("a number of seconds above 0")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError("a whole number above 0")
    return value


FIELDS: tuple[Field, ...] = (
    Field("home", "AGENTNB_HOME", ".agentnb", "the SQLite file, the logs, what agentnb keeps"),
    Field("workspace", "AGENTNB_WORKSPACE", "workspace", "the folder that agents write to"),
    Field("database_url", "DATABASE_URL", None, "the default database; empty: a SQLite file"),
    Field("redis_url", "REDIS_URL", None, "the Redis or Valkey that machines share"),
    Field("github_token", "GITHUB_TOKEN", None, "for the GitHub API", secret=True),
    Field(
        "key_prefix",
        "AGENTNB_KEY_PREFIX",
        "agentnb",
        "separates those who share a server",
        empty=True,
    ),
    Field("db_timeout", "AGENTNB_DB_TIMEOUT", "30", "seconds a statement may take", _seconds),
    Field("db_rows", "AGENTNB_DB_ROWS", "1000", "rows a query returns unless told", _count),
    Field("db_pool", "AGENTNB_DB_POOL", "5", "connections kept open to a database", _count),
    Field("events_log", "AGENTNB_EVENTS_LOG", "20000", "events kept to be read again", _count),
    Field("events_outbox", "AGENTNB_EVENTS_OUTBOX", "10000", "events that wait for Redis", _count),
    Field(
        "events_payload",
        "AGENTNB_EVENTS_PAYLOAD",
        "1048576",
        "bytes that an event may have",
        _count,
    ),
    Field(
        "queue_lease",
        "AGENTNB_QUEUE_LEASE",
        "30",
        "seconds a silent worker keeps its jobs",
        _seconds,
    ),
    Field("queue_payload", "AGENTNB_QUEUE_PAYLOAD", "1000000", "bytes of a job's data", _count),
)

# Read by the test suite and the command line, so not a misspelling of a setting.
OTHER_VARIABLES = {
    "AGENTNB_REQUIRE",
    "AGENTNB_EXPECT_INSTALLED",
    "AGENTNB_SCREENSHOTS",
    "AGENTNB_INTERRUPTS",
    "AGENTNB_SLEEP",
}


@dataclass(frozen=True, slots=True)
class Value:
    """A setting's text and where it came from: an argument, the environment, a file, a default."""

    text: str | None
    source: str
