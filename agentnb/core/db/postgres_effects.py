"""Whether a SELECT of PostgreSQL calls a function that may write, by itself or through a view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.db.effects import calls, names

if TYPE_CHECKING:
    from agentnb.core.db.text import Statement

__all__ = ["may_write"]

# Volatile functions that change nothing.
_HARMLESS = (
    "random,random_normal,gen_random_uuid,uuidv4,uuidv7,clock_timestamp,timeofday,currval,"
    "lastval,pg_sleep"
)
_VOLATILE = f"provolatile = 'v' and not proname = any('{{{_HARMLESS}}}')"
_VIEWS = """
select oid from pg_catalog.pg_class where relkind = 'v' and relname = any(%(names)s)
and relnamespace not in
    ('pg_catalog'::pg_catalog.regnamespace, 'information_schema'::pg_catalog.regnamespace)
"""
_CALLED = f"""
select exists (select from pg_catalog.pg_proc where proname = any(%(calls)s) and {_VOLATILE}),
    exists ({_VIEWS})
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
    select from known join pg_catalog.pg_proc on {_VOLATILE}
    and pg_catalog.strpos(
        pg_catalog.pg_get_viewdef(known.id), pg_catalog.quote_ident(proname) || '(') > 0
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
    called, named = calls(statement.sql), names(statement.sql)
    if not called and not statement.words & {"from", "table"}:
        return False
    words = {"calls": list(called), "names": list(named)}
    writes, views = raw.execute(_CALLED, words).fetchone()
    if writes or not views:
        return bool(writes)
    return bool(raw.execute(_CALLED_BY_VIEWS, words).fetchone()[0])
