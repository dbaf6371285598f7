"""The errors of models as those of a task: final where another attempt would fail as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic_ai.exceptions import ModelHTTPError, UsageLimitExceeded, UserError

from agentnb.core.errors import Final
from agentnb.core.failure import words_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["final_of", "pause_of"]

_LONGEST_PAUSE = 86_400.0
_BUSY = frozenset({429, 529})
_HINTS = {
    400: "the model refused the request itself: mend the prompt, the tools or the settings",
    401: "set AGENTNB_LLM_KEY to a valid key, or hub.llm(key=)",
    403: "the key may not use this model: choose another one, AGENTNB_LLM or hub.llm(MODEL)",
    404: "check the model's name and the address: AGENTNB_LLM, or hub.llm(MODEL, base_url=)",
}
_RETRY = "; then workflow.retry() (%workflow retry WORKFLOW)"


def pause_of(error: BaseException) -> float | None:
    """Return the seconds after which a busy model wants to be asked again; None if it is not busy.

    >>> pause_of(ModelHTTPError(429, "m", headers={"Retry-After": "7"}))
    7.0
    """
    if not isinstance(error, ModelHTTPError) or error.status_code not in _BUSY:
        return None
    if error.retry_after is None:
        return None
    return min(max(float(error.retry_after), 0.0), _LONGEST_PAUSE)


def final_of(error: Exception, redactor: Callable[[str], str]) -> Final | None:
    """Return the error that ends a task in the place of a model's; None where it is tried again."""
    if isinstance(error, ModelHTTPError):
        if error.status_code not in _HINTS:
            return None
        hint = _HINTS[error.status_code] + _RETRY
    elif isinstance(error, UsageLimitExceeded):
        hint = f"raise usage_limits= of the run{_RETRY}"
    elif isinstance(error, UserError):
        hint = f"mend the agent{_RETRY}"
    else:
        return None
    return Final(redactor(words_of(error)), service="workflow", hint=hint)
