"""The doctor: examines what works here, what is missing, and what mends it.

Nothing is started, made or changed: a server is asked only if it runs or a setting names it.
"""

from __future__ import annotations

from agentnb.core.doctor.diagnosis import Diagnosis, Finding
from agentnb.core.doctor.examination import examine

__all__ = ["Diagnosis", "Finding", "examine"]
