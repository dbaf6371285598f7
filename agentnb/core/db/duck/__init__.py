"""DuckDB: its own Python client behind the interface of the other databases."""

from agentnb.core.db.duck.backend import DuckDB
from agentnb.core.db.duck.limits import DuckLimits

__all__ = ["DuckDB", "DuckLimits"]
