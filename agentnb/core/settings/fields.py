"""The fields of the settings: name, variable, default and accepted values."""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentnb.core.ranges import read_seconds, read_whole

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FIELDS", "OTHER_VARIABLES", "Field", "Value", "size_of"]

_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[kmgt]?)(?P<decimal>b?)", re.IGNORECASE)

_POLICIES = ("isolated", "network", "service")
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True, slots=True)
class Field:
    """One setting: its attribute, its variable and its parser.

    Parameters
    ----------
    name
        The attribute of `Settings` and the keyword of ``agentnb.connect``.
    variable
        The environment variable.
    default
        Text used when nothing else gives the value; None for no value.
    parse
        Turns text into the value; raises ValueError with the accepted range.
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


def _address(text: str) -> str:
    from agentnb.core.metrics.address import read_address

    return str(read_address(text))


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _amount(text: str) -> float:
    with suppress(ValueError):
        return read_seconds(text)
    raise ValueError("greater than 0")


def size_of(value: float | str) -> int:
    """Return a number of bytes, from one or from text with a unit.

    ``m`` alone counts by 1,024, as Docker does; ``MB`` by 1,000.

    >>> size_of("512m"), size_of("1.5GB"), size_of(1000)
    (536870912, 1500000000, 1000)

    Raises
    ------
    ValueError
        The value is no such size.
    """
    with suppress(ValueError):
        if size := _limit(str(value)):
            return size
    raise ValueError("1 byte or more, such as 512m or 2GB")


def _limit(text: str) -> int:
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError("0 bytes or more, such as 500MB; 0 means no limit")
    power = " kmgt".index(found["unit"].lower() or " ")
    return int(float(found["number"]) * (1000 if found["decimal"] else 1024) ** power)


def _switch(text: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if text.strip().lower() not in known:
        raise ValueError("1 or 0, true or false, yes or no")
    return known[text.strip().lower()]


def _record_mode(text: str) -> str:
    if text.strip().lower() not in {"off", "failed", "all"}:
        raise ValueError("failed, all or off")
    return text.strip().lower()


def _grid_mode(text: str) -> str:
    if text.strip().lower() not in {"auto", "always", "never"}:
        raise ValueError("auto, always or never")
    return text.strip().lower()


def _level(text: str) -> int:
    if text.upper() not in _LEVELS:
        raise ValueError(f"one of {', '.join(_LEVELS)}")
    return logging.getLevelNamesMapping()[text.upper()]


def _policies(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not all(name in _POLICIES for name in names):
        raise ValueError(f"one or more of {', '.join(_POLICIES)}, with commas")
    return names


def _executor(text: str) -> str:
    from agentnb.core.work.executors.choose import read_executor

    return read_executor(text)


FIELDS: tuple[Field, ...] = (
    Field("home", "AGENTNB_HOME", ".agentnb", "the SQLite file, the logs, what agentnb keeps"),
    Field("workspace", "AGENTNB_WORKSPACE", "workspace", "the folder that agents write to"),
    Field("database_url", "DATABASE_URL", None, "the default database; empty: a SQLite file"),
    Field("redis_url", "REDIS_URL", None, "the Redis or Valkey that machines share"),
    Field("github_token", "GITHUB_TOKEN", None, "for the GitHub API", secret=True),
    Field("github_url", "GITHUB_API_URL", "https://api.github.com", "the GitHub API itself"),
    Field(
        "api_timeout", "AGENTNB_API_TIMEOUT", "30", "seconds an API's call may take", read_seconds
    ),
    Field("api_max_bytes", "AGENTNB_API_MAX_BYTES", "10MB", "the largest reply of an API", size_of),
    Field(
        "key_prefix",
        "AGENTNB_KEY_PREFIX",
        "agentnb",
        "separates the users of one server",
        empty=True,
    ),
    Field("docker_host", "DOCKER_HOST", None, "the Docker engine; empty: docker's own choice"),
    Field("docker_context", "DOCKER_CONTEXT", None, "the docker context, where no host is given"),
    Field(
        "docker_policies",
        "AGENTNB_DOCKER_POLICIES",
        "isolated,network,service",
        "what containers may be allowed; the first is the default",
        _policies,
    ),
    Field("docker_memory", "AGENTNB_DOCKER_MEMORY", "1g", "memory of a container at most", size_of),
    Field("docker_cpus", "AGENTNB_DOCKER_CPUS", "1", "processors of a container at most", _amount),
    Field(
        "docker_pids", "AGENTNB_DOCKER_PIDS", "256", "processes in a container at most", read_whole
    ),
    Field(
        "log_level",
        "AGENTNB_LOG_LEVEL",
        "INFO",
        "the lowest level that is written to the home's logs",
        _level,
    ),
    Field(
        "trace_bytes",
        "AGENTNB_TRACE_BYTES",
        "200MB",
        "bytes that the spans of all processes may take in the home",
        size_of,
    ),
    Field("trace_days", "AGENTNB_TRACE_DAYS", "7", "days that spans are kept", _amount),
    Field("db_timeout", "AGENTNB_DB_TIMEOUT", "30", "seconds a statement may take", read_seconds),
    Field("db_rows", "AGENTNB_DB_ROWS", "1000", "rows that a bare %db line shows", read_whole),
    Field(
        "db_max_bytes",
        "AGENTNB_DB_MAX_BYTES",
        "1GB",
        "memory that the rows of one result may take",
        size_of,
    ),
    Field(
        "grid",
        "AGENTNB_GRID",
        "auto",
        "where results of more than 25 rows show as a grid: auto, always or never",
        _grid_mode,
    ),
    Field("db_pool", "AGENTNB_DB_POOL", "5", "connections kept open to a database", read_whole),
    Field(
        "duck_dirs",
        "AGENTNB_DUCK_DIRS",
        None,
        "more folders that SQL of DuckDB may reach, with commas",
        _words,
    ),
    Field("duck_memory", "AGENTNB_DUCK_MEMORY", "0", "memory of DuckDB; 0: half of it", _limit),
    Field(
        "cache_wait",
        "AGENTNB_CACHE_WAIT",
        "300",
        "seconds a call waits for another call's loader",
        read_seconds,
    ),
    Field(
        "cache_bytes",
        "AGENTNB_CACHE_BYTES",
        "2GB",
        "bytes that large values of the cache may take in the home, and others a quarter of that",
        size_of,
    ),
    Field("events_log", "AGENTNB_EVENTS_LOG", "20000", "events kept to be read again", read_whole),
    Field(
        "events_outbox", "AGENTNB_EVENTS_OUTBOX", "10000", "events that wait for Redis", read_whole
    ),
    Field(
        "events_payload",
        "AGENTNB_EVENTS_PAYLOAD",
        "1048576",
        "bytes that an event may have",
        read_whole,
    ),
    Field("file_size", "AGENTNB_FILE_SIZE", "100MB", "the largest file of the workspace", _limit),
    Field("files_quota", "AGENTNB_FILES_QUOTA", "10GB", "all files of the workspace", _limit),
    Field(
        "workspace_read_only",
        "AGENTNB_WORKSPACE_READONLY",
        "0",
        "whether files of the workspace are read and never changed",
        _switch,
    ),
    Field(
        "git_timeout", "AGENTNB_GIT_TIMEOUT", "60", "seconds a git command may take", read_seconds
    ),
    Field(
        "git_protected",
        "AGENTNB_GIT_PROTECTED",
        None,
        "branches that take no commit, push or deletion: main,release/*",
        _words,
    ),
    Field(
        "git_filters",
        "AGENTNB_GIT_FILTERS",
        "lfs,nbstripout",
        "filters that a repository may ask for",
        _words,
    ),
    Field(
        "git_credentials",
        "AGENTNB_GIT_CREDENTIALS",
        None,
        "logins of https remotes: https://user:token@host",
        secret=True,
    ),
    Field("mcp_token", "AGENTNB_MCP_TOKEN", None, "the token of agentnb mcp --http", secret=True),
    Field("llm", "AGENTNB_LLM", None, "the language model of hub.llm(): openai:MODEL"),
    Field("llm_url", "AGENTNB_LLM_URL", None, "its API, of OpenAI's form; empty: the provider's"),
    Field("llm_key", "AGENTNB_LLM_KEY", None, "its key", secret=True),
    Field("serve_token", "AGENTNB_SERVE_TOKEN", None, "the token of agentnb serve", secret=True),
    Field(
        "queue_lease",
        "AGENTNB_QUEUE_LEASE",
        "30",
        "seconds a silent worker keeps its jobs",
        read_seconds,
    ),
    Field(
        "executor",
        "AGENTNB_EXECUTOR",
        "threads",
        "where jobs and tasks run: threads, processes, dask://host:8786",
        _executor,
    ),
    Field(
        "metrics",
        "AGENTNB_METRICS",
        None,
        "the address of a worker's metrics and probes: 127.0.0.1:9464",
        _address,
    ),
    Field(
        "otel",
        "AGENTNB_OTEL",
        "0",
        "whether spans go to OTEL_EXPORTER_OTLP_ENDPOINT, by OpenTelemetry",
        _switch,
    ),
    Field(
        "record",
        "AGENTNB_RECORD",
        "off",
        "the jobs and tasks that are recorded for replays: failed, all or off",
        _record_mode,
    ),
    Field("queue_payload", "AGENTNB_QUEUE_PAYLOAD", "1000000", "bytes of a job's data", read_whole),
    Field(
        "key_ttl",
        "AGENTNB_KEY_TTL",
        "604800",
        "seconds an idempotency key of a job or a workflow is kept",
        read_seconds,
    ),
    Field(
        "queue_result_ttl",
        "AGENTNB_QUEUE_RESULT_TTL",
        "3600",
        "seconds a job's unread result is kept",
        read_seconds,
    ),
    Field(
        "workflow_lease",
        "AGENTNB_WORKFLOW_LEASE",
        "30",
        "seconds a silent worker keeps its tasks",
        read_seconds,
    ),
    Field(
        "workflow_payload",
        "AGENTNB_WORKFLOW_PAYLOAD",
        "1000000",
        "bytes of a task's data",
        read_whole,
    ),
)

# Read by the test suite and the command line, so not a misspelling of a setting.
OTHER_VARIABLES = {
    "AGENTNB_REQUIRE",
    "AGENTNB_EXPECT_INSTALLED",
    "AGENTNB_SCREENSHOTS",
    "AGENTNB_INTERRUPTS",
    "AGENTNB_SLEEP",
    "AGENTNB_RACE",
    "AGENTNB_TRUST",  # not a setting: a file must not say that it is to be trusted
}


@dataclass(frozen=True, slots=True)
class Value:
    """A setting's text and its source: an argument, the environment, a file or the default."""

    text: str | None
    source: str
