"""Whether a SELECT of PostgreSQL calls a function that may write, by itself or through a view."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from agentnb.core.db.effects import calls, has_escaped_names, names
from agentnb.core.db.postgres_connect import literal

if TYPE_CHECKING:
    from agentnb.core.db.text import Statement

__all__ = ["may_write"]

# Volatile functions that change nothing.
_HARMLESS = (
    "random,random_normal,gen_random_uuid,uuidv4,uuidv7,clock_timestamp,timeofday,currval,"
    "lastval,pg_sleep"
)
_VOLATILE = f"provolatile = 'v' and not proname = any('{{{_HARMLESS}}}')"
_FUNCTIONS = f"select from pg_catalog.pg_proc where {_VOLATILE} and proname in (%s)"
_VIEWS = """
select oid from pg_catalog.pg_class where relkind = 'v'
and relnamespace not in
    ('pg_catalog'::pg_catalog.regnamespace, 'information_schema'::pg_catalog.regnamespace)
and relname in (%s)
"""
# Functions that PostgreSQL comes with are in no table of dependencies: a view's text has them.
_CALLED_BY_VIEWS = f"""
with recursive known(id) as (
    {_VIEWS}
    union
    select depends.refobjid from known
    join pg_catalog.pg_rewrite as rule on rule.ev_class = known.id
    join pg_catalog.pg_depend as depends
        on depends.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
        and depends.objid = rule.oid
        and depends.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    join pg_catalog.pg_class as other on other.oid = depends.refobjid and other.relkind = 'v'
)
select exists (
    -- "offset 0": the text is made once for each view, not for each function.
    select from (select pg_catalog.pg_get_viewdef(id) as text from known offset 0) as defined
    join pg_catalog.pg_proc on {_VOLATILE}
    and pg_catalog.strpos(defined.text, pg_catalog.quote_ident(proname) || '(') > 0
)
"""


def may_write(raw: Any, statement: Statement) -> bool:
    """Return whether a SELECT calls a function that may write.

    Parameters
    ----------
    raw
        psycopg's connection.
    statement
        The SELECT.
    """
    if has_escaped_names(statement.sql):
        return True
    question = _question(statement.sql, tables=bool(statement.words & {"from", "table"}))
    if question is None:
        return False
    writes, views = raw.execute(question).fetchone()
    if writes or not views:
        return bool(writes)
    listed = _listed(names(statement.sql))
    return bool(raw.execute(_CALLED_BY_VIEWS % listed).fetchone()[0])


@lru_cache(maxsize=512)
def _question(sql: str, *, tables: bool) -> str | None:
    """Return the query whether functions that may write, and views, are named in a SELECT.

    Parameters
    ----------
    sql
        The SELECT.
    tables
        True if the statement reads one.

    Returns
    -------
    str or None
        The text, whole, so that nothing is left to bind at each call; None if neither may be.
    """
    called = calls(sql)
    if not called and not tables:
        return None
    writes = f"exists ({_FUNCTIONS % _listed(called)})" if called else "false"
    views = f"exists ({_VIEWS % _listed(names(sql))})" if tables else "false"
    return f"select {writes}, {views}"


def _listed(words: frozenset[str]) -> str:
    return ", ".join(map(literal, sorted(words)))
