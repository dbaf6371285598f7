"""One codec for every value that leaves the process: plain JSON, and types read from it."""

from agentnb.core.codec.boundary import Json
from agentnb.core.codec.plain import (
    MISFITS,
    NOT_JSON,
    change,
    convert,
    exact,
    from_json,
    has_nan,
    same,
    to_json,
)
from agentnb.core.codec.typed import check_schema

__all__ = [
    "MISFITS",
    "NOT_JSON",
    "Json",
    "change",
    "check_schema",
    "convert",
    "exact",
    "from_json",
    "has_nan",
    "same",
    "to_json",
]
