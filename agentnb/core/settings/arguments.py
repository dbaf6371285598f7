"""The settings as keyword arguments, for type checkers and for editors."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    import os

__all__ = ["SettingsArguments"]


class SettingsArguments(TypedDict, total=False):
    """The settings by their names in `FIELDS`; None counts as not given.

    Sizes are bytes, or text such as ``"500MB"``. Lists are text with commas between their words.
    """

    home: str | os.PathLike[str] | None
    workspace: str | os.PathLike[str] | None
    database_url: str | None
    redis_url: str | None
    github_token: str | None
    github_url: str | None
    api_timeout: float | str | None
    api_max_bytes: int | str | None
    key_prefix: str | None
    docker_host: str | None
    docker_context: str | None
    docker_policies: str | None
    docker_memory: int | str | None
    docker_cpus: float | str | None
    docker_pids: int | str | None
    log_level: str | None
    trace_bytes: int | str | None
    trace_days: float | str | None
    db_timeout: float | str | None
    db_rows: int | str | None
    db_max_bytes: int | str | None
    grid: str | None
    db_pool: int | str | None
    duck_dirs: str | None
    duck_memory: int | str | None
    cache_wait: float | str | None
    cache_bytes: int | str | None
    events_log: int | str | None
    events_outbox: int | str | None
    events_payload: int | str | None
    file_size: int | str | None
    files_quota: int | str | None
    workspace_read_only: bool | str | None
    git_timeout: float | str | None
    git_protected: str | None
    git_filters: str | None
    git_credentials: str | None
    mcp_token: str | None
    llm: str | None
    llm_url: str | None
    llm_key: str | None
    serve_token: str | None
    queue_lease: float | str | None
    executor: str | None
    metrics: str | None
    otel: bool | str | None
    record: str | None
    queue_payload: int | str | None
    key_ttl: float | str | None
    queue_result_ttl: float | str | None
    workflow_lease: float | str | None
    workflow_payload: int | str | None
