"""Tables as files: CSV, JSON and Parquet, of any number of rows, written whole or not at all."""

from __future__ import annotations

from agentnb.core.export.exported import Exported, export, form_of, save
from agentnb.core.export.target import Target

__all__ = ["Exported", "Target", "export", "form_of", "save"]
