"""A cache that loads once, on a Redis or Valkey that any number of processes share."""

from __future__ import annotations

from agentnb.core.cache.cache import Cache

__all__ = ["Cache"]
