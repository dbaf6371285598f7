"""SQL databases: SQLite files, PostgreSQL, and what SQLAlchemy has a driver for."""

from __future__ import annotations

from agentnb.core.db.database import Database
from agentnb.core.db.registry import Databases
from agentnb.core.db.result import Result, Script
from agentnb.core.db.session import Session
from agentnb.core.db.transaction import Transaction

__all__ = ["Database", "Databases", "Result", "Script", "Session", "Transaction"]
