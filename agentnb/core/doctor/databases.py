"""The database: version, tables of workflows, difference of the clocks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from agentnb.core.doctor.diagnosis import FAILED, MISSING, OK, WARNING, Finding
from agentnb.core.doctor.surroundings import ASK_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentnb.core.db import Database
    from agentnb.core.doctor.surroundings import Surroundings
    from agentnb.core.settings import Settings

__all__ = ["database", "skew"]

_SKEW = 2.0
"""Seconds that two clocks may differ by before delays and schedules are visibly off."""


def database(here: Surroundings) -> Iterator[Finding]:
    """Yield whether the default database answers, and what it holds."""
    from agentnb.core.db import Database
    from agentnb.core.db.url import parse

    known = here.settings
    if known is None:
        return
    url = known.database_url or _file_url(known)
    target = parse(url, known.resolve)
    if target.kind == "sqlite" and not (target.path and target.path.exists()):
        place = f"{target.path}, made on the first use" if target.path else "SQLite in memory"
        yield Finding("database", OK, place)
        return
    # Read only: the doctor changes nothing, and a SQLite file is not even touched.
    with Database(
        url,
        read_only=True,
        timeout=ASK_SECONDS,
        pool_size=1,
        resolve=known.resolve,
        runtime=here.runtime,
    ) as found:
        yield from _database(found)


def _file_url(known: Settings) -> str:
    from urllib.parse import quote

    return f"sqlite:///{quote(str(known.home / 'agentnb.db'))}"


def _database(found: Database) -> Iterator[Finding]:
    ask = {"postgresql": "show server_version", "sqlite": "select sqlite_version()"}
    sql = ask.get(found.kind)
    if sql is None:
        found.ping(ASK_SECONDS)
        yield Finding("database", OK, f"{found.access.backend.target}, statements only")
        return
    name = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}[found.kind]
    version = str(found.query(sql, timeout=ASK_SECONDS).scalar()).split()[0]
    yield Finding("database", OK, f"{name} {version} at {found.access.backend.target}")
    yield _tables(found)
    if found.kind == "postgresql":
        before = time.time()
        theirs = found.query("select extract(epoch from clock_timestamp())").scalar()
        yield skew("database", float(theirs), before, time.time())


def _tables(found: Database) -> Finding:
    from agentnb.core.workflow.migrating import HEAD, version_of

    part = "workflows"
    version = version_of(found, found.kind)
    if version == HEAD:
        return Finding(part, OK, f"tables of version {version}")
    if version is not None and version > HEAD:
        newer = f"tables of version {version}; this agentnb knows up to {HEAD}"
        return Finding(part, FAILED, newer, "upgrade agentnb here, or use another database")
    if found.kind == "sqlite":
        made = "made on the first use" if version is None else f"brought to {HEAD} on the first use"
        return Finding(part, OK, f"tables are {made}")
    if version is None:
        return Finding(part, MISSING, "no tables of workflows yet", "agentnb migrate")
    return Finding(part, FAILED, f"tables of version {version}, not {HEAD}", "agentnb migrate")


def skew(part: str, theirs: float, before: float, after: float) -> Finding:
    """Return the difference of a server's clock and this machine's.

    Parameters
    ----------
    part
        The server's part.
    theirs
        The time of its answer, in seconds since 1970.
    before, after
        The times here before the question and after the answer.

    Examples
    --------
    >>> skew("redis", 100.4, 100.0, 101.0).state, skew("redis", 160, 100.0, 101.0).detail
    ('ok', 'its clock is 59 s ahead of the one here')
    """
    ahead = max(theirs - after, 0.0) or min(theirs - before, 0.0)
    name = f"{part} clock"
    if abs(ahead) <= _SKEW:
        return Finding(name, OK, "as the one here")
    way = "ahead of" if ahead > 0 else "behind"
    found = f"its clock is {abs(ahead):.0f} s {way} the one here"
    return Finding(name, WARNING, found, "synchronise both: timedatectl set-ntp true")
