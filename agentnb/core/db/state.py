"""Detect session state that a statement leaves: settings, temporary tables, locks."""

from __future__ import annotations

import enum
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from agentnb.core.db.effects import calls

if TYPE_CHECKING:
    from agentnb.core.db.text import Statement

__all__ = ["KNOWN", "Leaves", "leaves"]


class Leaves(enum.IntEnum):
    """The kind of state that a statement leaves in its session."""

    NOTHING = 0
    PERHAPS = 1
    """It calls a function, or is of a kind, of which that is not known."""
    STATE = 2


# Statements that leave nothing in a session by themselves.
_CLEAN = frozenset({
    "select", "values", "table", "with", "insert", "update", "delete", "merge", "replace",
    "explain", "show", "describe", "desc", "create", "drop", "alter", "truncate", "comment",
    "grant", "revoke", "vacuum", "analyze", "analyse", "reindex", "refresh", "cluster", "copy",
    "begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release", "notify",
    "close", "fetch", "checkpoint", "",
})  # fmt: skip
_STATE = frozenset({
    "set", "reset", "discard", "use", "attach", "detach", "pragma", "prepare", "deallocate",
    "listen", "unlisten", "load", "declare", "handler",
})  # fmt: skip
_TEMPORARY = frozenset({"temp", "temporary", "pg_temp"})
# Settings of PostgreSQL that last to the end of the transaction.
_GAP = r"(?:\s|--[^\n]*\n|/\*.*?\*/)"
_OF_TRANSACTION = re.compile(
    rf"{_GAP}*set{_GAP}+(?:local|transaction|constraints)\b", re.IGNORECASE | re.DOTALL
)
_MAKES = frozenset({"create", "drop", "alter", "select", "with"})
# Pragmas of SQLite that only tell, although they take an argument.
_TELLS = frozenset({
    "table_info", "table_xinfo", "table_list", "index_info", "index_xinfo", "index_list",
    "foreign_key_list", "foreign_key_check", "integrity_check", "quick_check", "database_list",
    "function_list", "collation_list", "pragma_list", "module_list", "compile_options",
})  # fmt: skip
_PRAGMA = re.compile(r"pragma\s+(?:\w+\s*\.\s*)?(?P<name>\w+)\s*(?P<given>[=(])?", re.IGNORECASE)
_LOCKS = frozenset({
    "pg_advisory_lock", "pg_advisory_lock_shared", "pg_try_advisory_lock",
    "pg_try_advisory_lock_shared",
})  # fmt: skip
KNOWN = frozenset({
    "abs", "age", "any_value", "array_agg", "array_append", "array_cat", "array_length",
    "array_position", "array_remove", "array_to_string", "arraycontains", "ascii", "avg",
    "bit_and", "bit_length", "bit_or", "bool_and", "bool_or", "btrim", "cardinality", "cast",
    "cbrt", "ceil", "ceiling", "char", "char_length", "character", "character_length", "chr",
    "clock_timestamp", "coalesce", "concat", "concat_ws", "convert_from", "convert_to", "corr",
    "count", "covar_pop", "cume_dist", "current_database", "current_date", "current_schema",
    "current_schemas", "current_setting", "current_timestamp", "currval", "date", "date_bin",
    "date_part", "date_trunc", "decimal", "decode", "degrees", "dense_rank", "div", "encode",
    "every", "exp", "factorial", "first_value", "float", "floor", "format", "format_type",
    "gen_random_uuid", "generate_series", "greatest", "group_concat", "has_table_privilege",
    "hashtext", "ifnull", "iif", "initcap", "instr", "interval", "isfinite", "json", "json_agg",
    "json_array", "json_array_elements", "json_array_elements_text", "json_array_length",
    "json_build_array", "json_build_object", "json_each", "json_each_text", "json_extract",
    "json_extract_path", "json_extract_path_text", "json_group_array", "json_group_object",
    "json_object", "json_object_agg", "json_object_keys", "json_populate_record",
    "json_to_record", "json_tree", "json_typeof", "json_valid", "jsonb", "jsonb_agg",
    "jsonb_array_elements", "jsonb_array_elements_text", "jsonb_array_length",
    "jsonb_build_array", "jsonb_build_object", "jsonb_each", "jsonb_each_text",
    "jsonb_extract_path", "jsonb_extract_path_text", "jsonb_object_agg", "jsonb_object_keys",
    "jsonb_path_exists", "jsonb_path_query", "jsonb_set", "jsonb_strip_nulls", "jsonb_typeof",
    "julianday", "justify_interval", "lag", "last_insert_rowid", "last_value", "lead", "least",
    "left", "length", "ln", "localtimestamp", "log", "lower", "lpad", "ltrim", "make_date",
    "make_interval", "make_timestamp", "make_timestamptz", "max", "md5", "min", "mod", "mode",
    "nextval", "now", "nth_value", "ntile", "nullif", "num_nonnulls", "numeric", "obj_description",
    "octet_length", "overlay", "percent_rank", "percentile_cont", "percentile_disc",
    "pg_advisory_xact_lock", "pg_advisory_xact_lock_shared", "pg_backend_pid",
    "pg_cancel_backend", "pg_column_size", "pg_database_size", "pg_get_constraintdef",
    "pg_get_indexdef", "pg_get_userbyid", "pg_get_viewdef", "pg_indexes_size",
    "pg_is_in_recovery", "pg_notify", "pg_relation_size", "pg_size_pretty", "pg_sleep",
    "pg_table_is_visible", "pg_table_size", "pg_terminate_backend", "pg_total_relation_size",
    "pg_try_advisory_xact_lock", "pg_typeof", "pi", "position", "power", "printf",
    "quote_ident", "quote_literal", "quote_nullable", "radians", "random", "randomblob", "rank",
    "regexp_count", "regexp_like", "regexp_match", "regexp_matches", "regexp_replace",
    "regexp_split_to_array", "regexp_split_to_table", "repeat", "replace", "reverse", "right",
    "round", "row_number", "row_to_json", "rpad", "rtrim", "sha256", "sign", "split_part",
    "sqlite_version", "sqrt", "statement_timestamp", "stddev", "stddev_pop", "stddev_samp",
    "strftime", "string_agg", "string_to_array", "strpos", "substr", "substring", "sum", "time",
    "timeofday", "timestamp", "timestamptz", "to_char", "to_date", "to_json", "to_jsonb",
    "to_number", "to_regclass", "to_timestamp", "to_tsquery", "to_tsvector", "total",
    "transaction_timestamp", "translate", "trim", "trunc", "ts_rank", "typeof", "unicode",
    "unistr", "unixepoch", "unnest", "upper", "uuidv4", "uuidv7", "var_pop", "var_samp",
    "varchar", "variance", "version", "width_bucket", "xmlagg", "zeroblob",
})  # fmt: skip
"""Functions that leave nothing in a session and write no table."""


def leaves(kind: str, statement: Statement) -> Leaves:
    """Return what a statement leaves in its session.

    Parameters
    ----------
    kind
        ``"sqlite"``, ``"postgresql"``, ...

    Examples
    --------
    >>> from agentnb.core.db.text import scan
    >>> [leaves("postgresql", scan(sql)).name for sql in (
    ...     "set role ada", "set local role ada", "select mine(1)", "select max(a) from t")]
    ['STATE', 'NOTHING', 'PERHAPS', 'NOTHING']
    """
    return _leaves(kind, statement.keyword, statement.words, statement.sql)


@lru_cache(maxsize=512)
def _leaves(kind: str, keyword: str, words: frozenset[str], sql: str) -> Leaves:
    if keyword == "pragma":
        found = _PRAGMA.match(sql)
        tells = found and (not found["given"] or found["name"].lower() in _TELLS)
        return Leaves.NOTHING if tells else Leaves.STATE
    if keyword == "set" and kind == "postgresql" and _OF_TRANSACTION.match(sql):
        return Leaves.NOTHING
    if keyword in _STATE:
        return Leaves.STATE
    if keyword in _MAKES and words & _TEMPORARY and not {"commit", "drop"} <= words:
        return Leaves.STATE
    if keyword not in _CLEAN:
        return Leaves.PERHAPS
    # SQLite's own functions leave nothing, and its extensions come with the connection.
    if kind == "sqlite":
        return Leaves.PERHAPS if "load_extension" in words else Leaves.NOTHING
    if keyword in {"create", "drop", "alter", "grant", "revoke", "comment"}:
        return Leaves.NOTHING  # a name in front of a parenthesis is a table's or a type's
    names = calls(sql)
    if names & _LOCKS:
        return Leaves.STATE
    return Leaves.NOTHING if names <= KNOWN else Leaves.PERHAPS
