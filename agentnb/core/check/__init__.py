"""Secrets in a notebook: in its sources, its outputs and what is saved beside them."""

from __future__ import annotations

from agentnb.core.check.notebook import Finding, scan_notebook
from agentnb.core.check.text import Hit, find_secrets

__all__ = ["Finding", "Hit", "find_secrets", "scan_notebook"]
