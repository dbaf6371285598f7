"""Markers of tests: set by where a test is and by what it asks for, never by hand.

A clue is a folder or a file of ``tests/`` (without ``.py``; ``*`` stands for any text), the name
of a fixture, or ``=value`` for a parameter's text.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import NamedTuple


class Marker(NamedTuple):
    """What a marker means, and the clues by which a test gets it."""

    about: str
    clues: tuple[str, ...]


MARKERS = {
    "browser": Marker("drives JupyterLab in a browser", ("browser", "chromium")),
    "docker": Marker(
        "needs a Docker engine, or docker's own command",
        ("docker_engine", "command", "old_command", "=07_docker", "07_docker", "test_log_lines"),
    ),
    "postgres": Marker(
        "needs a PostgreSQL server",
        ("postgres_url", "=postgresql", "=postgres", "=server", "test_best_practices"),
    ),
    "faults": Marker(
        "kills processes and servers, or cuts connections",
        ("faults", "test_*_faults", "test_*_outages", "test_*_interrupts", "test_*_silence"),
    ),
    "slow": Marker(
        "starts a process, shell, kernel, server or git of its own, waits, or tries many values",
        (
            *("notebooks", "benchmarks", "cli", "panels"),
            *("bare_shell", "kernel", "running_kernel", "elsewhere"),
            *("redis_home", "mariadb_socket", "=mariadb", "ioredis", "node_ws"),
            *("repository", "plain_git", "test_git*"),
            *("test_*_model", "test_*_neighbours", "test_*_processes", "test_*_properties"),
            *("test_*_leases", "test_*_watch", "test_*_stream", "test_websocket*"),
            *("test_cache_classes", "test_cache_loading", "test_cache_local", "test_cache_names"),
            *("test_api_errors", "test_check", "test_cold_start", "test_db_plain"),
            *("test_db_postgres", "test_doctests", "test_forks", "test_hostile_arguments"),
            *("test_*_hostile", "test_hub", "test_import_budget", "test_launch", "test_redis"),
            *("test_private_names", "test_types", "test_executors", "test_executors_dask"),
            *("test_sample_service", "test_service_*"),
            *("test_sql_syntax", "test_values_cross", "test_workflow*"),
        ),
    ),
}


def mark(item, root):
    """Give an item of pytest the markers that its clues mean."""
    given = set().union(*map(_meaning, _clues(item, root)))
    for name in MARKERS:
        if name in given:
            item.add_marker(name)


@cache
def _meaning(clue):
    """Return the markers that a clue gives; most clues are those of many tests."""
    return {
        name
        for name, marker in MARKERS.items()
        if any(fnmatchcase(clue, pattern) for pattern in marker.clues)
    }


def _clues(item, root):
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    values = [value.stem if isinstance(value, Path) else value for value in parameters]
    return {
        *_place(item.path, root),
        *getattr(item, "fixturenames", ()),
        *(f"={value}" for value in values if isinstance(value, str)),
    }


@cache
def _place(file, root):
    """Return the clues of where a file is, the same for all of its tests."""
    place = file.relative_to(root)
    return (*place.parent.parts, place.stem)


def left_out(expression, name):
    """Return whether ``-m EXPRESSION`` leaves out the tests with a marker."""
    return name in MARKERS and re.search(rf"\bnot {name}\b", expression) is not None
