"""The executors that have a word of their own."""

from __future__ import annotations

__all__ = ["PROCESSES", "THREADS"]

THREADS, PROCESSES = "threads", "processes"
