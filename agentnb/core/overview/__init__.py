"""A view over the opened services together: their states, calls and errors."""

from __future__ import annotations
