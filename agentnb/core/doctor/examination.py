"""Runs the checks of the doctor, all at once and within the time."""

from __future__ import annotations

import sys
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from agentnb.core.background import run_in_thread
from agentnb.core.doctor import databases, folders, installation, programs, redis_server
from agentnb.core.doctor.diagnosis import FAILED, Diagnosis, Finding
from agentnb.core.doctor.surroundings import Surroundings
from agentnb.core.errors import AgentnbError
from agentnb.core.redact import redact
from agentnb.core.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from agentnb.core.hub import Hub
    from agentnb.core.settings import Settings

    Check = Callable[[Surroundings], Iterator[Finding]]

__all__ = ["examine"]

CHECKS: tuple[tuple[str, Check], ...] = (
    ("python", installation.python),
    ("packages", installation.packages),
    ("jupyterlab", installation.jupyter),
    ("open files", installation.open_files),
    ("settings", folders.settings),
    ("home", folders.home),
    ("workspace", folders.workspace),
    ("database", databases.database),
    ("redis", redis_server.redis_server),
    ("git", programs.git),
    ("docker", programs.docker),
    ("dask", programs.dask),
    ("ports", programs.ports),
)
"""The checks, in the order of their findings."""


def examine(
    hub: Hub,
    seconds: float,
    *,
    start: bool = False,
    checks: Sequence[tuple[str, Check]] = CHECKS,
) -> Diagnosis:
    """Return the findings of all checks.

    Parameters
    ----------
    hub
        The hub whose settings are examined. Nothing of it is opened unless ``start`` says so.
    seconds
        The time for all checks together; one that is late has failed.
    start
        Whether to open the database and Redis first, which makes the home.
    checks
        The checks, each with the part of its findings that name none.
    """
    first: list[Finding] = []
    settings = _settings(hub, first)
    if start and settings is not None:
        _start(hub, first)
    here = _surroundings(hub, settings)
    until = monotonic() + seconds
    begun = [(part, run_in_thread(_all, check, here, name="doctor")) for part, check in checks]
    found = [one for part, future in begun for one in _result(part, future, until, seconds)]
    clean = redact if settings is None else settings.redactor
    return Diagnosis(
        one._replace(detail=clean(one.detail), mend=clean(one.mend)) for one in [*first, *found]
    )


def _settings(hub: Hub, first: list[Finding]) -> Settings | None:
    try:
        return hub.settings
    except AgentnbError as error:
        first.append(_failure("settings", error))
        return None


def _start(hub: Hub, first: list[Finding]) -> None:
    for part, service in (("database", "db"), ("redis", "redis")):
        try:
            hub.open(service)
        except AgentnbError as error:
            first.append(_failure(part, error))


def _surroundings(hub: Hub, settings: Settings | None) -> Surroundings:
    in_notebook = hub._notebook is not None  # noqa: SLF001 - as the hub's own method
    pip = "%pip" if in_notebook else f"{sys.executable} -m pip"
    if settings is None:
        return Surroundings(None, Path.cwd(), pip)
    return Surroundings(settings, settings.root, pip, Runtime(redactor=settings.redactor))


def _all(check: Check, here: Surroundings) -> list[Finding]:
    """Return the findings of a check; its error is one of them, behind those before it."""
    found: list[Finding] = []
    try:
        for one in check(here):
            found.append(one)  # noqa: PERF402 - what came before an error is kept
    except AgentnbError as error:
        part = found[-1].part if found else ""
        found.append(_failure(part, error))
    return found


def _result(
    part: str, future: Future[list[Finding]], until: float, seconds: float
) -> list[Finding]:
    try:
        found = future.result(max(until - monotonic(), 0.0))
    except TimeoutError:
        late = f"no answer within {seconds:g} s"
        return [Finding(part, FAILED, late, "agentnb doctor --timeout 10 waits longer")]
    except Exception as error:  # noqa: BLE001 - a finding, whatever it is
        return [Finding(part, FAILED, f"{type(error).__name__}: {error}")]
    return [one if one.part else one._replace(part=part) for one in found]


def _failure(part: str, error: AgentnbError) -> Finding:
    return Finding(part, FAILED, error.message, error.hint or "")
