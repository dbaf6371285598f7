"""Schedules: when work is added again and again, whoever keeps it."""

from __future__ import annotations
