"""OpenTelemetry: spans handed to its exporters, and parents across the two.

agentnb keeps its own spans and ids. Here finished spans become those of OpenTelemetry's SDK, in a
thread, under the same ids. Nothing of OpenTelemetry is imported unless it is asked for or a user's
code has imported it.
"""

from __future__ import annotations
