"""One policy for every boundary: deadline > retry > breaker > one attempt.

`Boundary` puts the four together; `Deadline`, `RetryPolicy` and `Breaker` also work alone.
"""

from __future__ import annotations

from agentnb.core.resilience.boundary import Boundary
from agentnb.core.resilience.breaker import Breaker
from agentnb.core.resilience.deadline import Deadline
from agentnb.core.resilience.retry import RetryPolicy

__all__ = ["Boundary", "Breaker", "Deadline", "RetryPolicy"]
