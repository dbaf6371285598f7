from __future__ import annotations

import inspect

import pytest

import agentnb

NAMES = [
    "AgentnbError",
    "CircuitOpen",
    "ConfigError",
    "DeadlineExceeded",
    "Hub",
    "NotFoundError",
    "RejectedError",
    "UnavailableError",
    "UsageError",
    "connect",
    "correlation",
    "errors",
    "load_ipython_extension",
    "unload_ipython_extension",
]


def test_the_public_names_are_these():
    assert agentnb.__all__ == NAMES
    assert dir(agentnb) == NAMES
    assert all(getattr(agentnb, name) is not None for name in NAMES)


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'conect'"):
        _ = agentnb.conect


def test_the_names_that_other_code_relies_on_are_there():
    from agentnb.core.db import Database

    for name in (
        "settings",
        "db",
        "databases",
        "files",
        "docker",
        "events",
        "health",
        "close",
        "stop",
        "reset",
        "panel",
    ):
        assert hasattr(agentnb.Hub, name), name
    for name in ("query", "execute", "transaction", "run", "load", "tables", "describe", "stream"):
        assert callable(getattr(Database, name)), name
    from agentnb.core.files import FileSystemManager

    for name in (
        *("resolve_path", "ensure_directory", "write_file", "read_file", "exists"),
        *("copy_directory", "list", "glob", "delete", "move", "usage", "watch"),
    ):
        assert callable(getattr(FileSystemManager, name)), name
    from agentnb.core.git import GitManager

    for name in ("git", "repo"):
        assert hasattr(agentnb.Hub, name), name
    for name in (
        *("initialize", "clone", "add_files", "commit", "push", "pull", "fetch", "create_branch"),
        *("switch", "current_branch", "status", "diff", "log", "show", "stash", "worktree"),
        *("remotes", "get_status", "get_diff", "get_current_branch"),
    ):
        assert callable(getattr(GitManager, name)), name
    for name in ("aquery", "aexecute"):
        assert inspect.iscoroutinefunction(getattr(Database, name)), name


def test_the_names_of_events_are_there():
    from agentnb.core.events import Event, EventBus

    for name in ("publish", "subscribe", "unsubscribe", "wait_for", "history", "dead_letters"):
        assert callable(getattr(EventBus, name)), name
    assert inspect.iscoroutinefunction(EventBus.apublish)
    for name in ("id", "channel", "data", "time", "source", "trace_id", "correlation_id"):
        assert name in Event.__slots__ or isinstance(getattr(Event, name), property), name


def test_the_names_of_apis_are_there():
    from agentnb.core.api import APIClient, GitHub

    for name in ("api", "apis", "github"):
        assert hasattr(agentnb.Hub, name), name
    for name in ("get", "post", "put", "patch", "delete", "request"):
        assert callable(getattr(APIClient, name)), name
        assert inspect.iscoroutinefunction(getattr(APIClient, f"a{name}")), name
    for name in (
        *("create_pull_request", "get_pull_request", "list_pull_requests", "comment"),
        "paginate",
    ):
        assert callable(getattr(GitHub, name)), name


def test_the_names_of_websockets_are_there():
    from agentnb.core.websocket import WebSocketClient

    for name in ("on", "off", "connect", "send", "receive", "disconnect", "stats", "__aiter__"):
        assert callable(getattr(WebSocketClient, name)), name
    for name in ("aconnect", "asend", "adisconnect"):
        assert inspect.iscoroutinefunction(getattr(WebSocketClient, name)), name
    for name in ("websocket", "websockets"):
        assert hasattr(agentnb.Hub, name), name


def test_the_names_of_workflows_are_there():
    from agentnb.core.workflow import Context, Orchestrator, Workflow

    assert hasattr(agentnb.Hub, "workflows")
    for name in (
        *("agent", "agents", "agent_info", "create", "create_workflow_with_tasks", "pipeline"),
        *("get", "list", "wait", "cancel", "retry", "approve", "reject", "events", "work", "stop"),
        *("relay_once", "migrate", "close"),
    ):
        assert callable(getattr(Orchestrator, name)), name
    for name in ("task", "refresh", "wait", "cancel", "retry", "approve", "reject", "logs"):
        assert callable(getattr(Workflow, name)), name
    for name in ("step", "progress", "log", "check_cancelled"):
        assert callable(getattr(Context, name)), name


def test_the_classes_work_without_a_hub(tmp_path):
    from agentnb.core.db import Database

    with Database(f"sqlite:///{tmp_path / 'x.db'}") as db:
        assert db.query("select 1").scalar() == 1


def test_every_public_name_says_what_it_is():
    assert all(inspect.getdoc(getattr(agentnb, name)) for name in NAMES)
