"""Types that values are declared to have: a schema of input, a type of results."""

from __future__ import annotations

from typing import Any

import msgspec

from agentnb.core.errors import UsageError

__all__ = ["check_schema"]


def check_schema(schema: Any, service: str) -> None:
    """Refuse what is no schema before the first value is checked by it.

    Raises
    ------
    UsageError
        Nothing can be checked by it.
    """
    if schema is None or hasattr(schema, "model_validate_json"):
        return
    try:
        msgspec.json.Decoder(schema)
    except TypeError as error:
        raise UsageError(
            f"{schema!r} is not a schema: {error}",
            service=service,
            hint="a msgspec Struct, a dataclass, a TypedDict or a pydantic model",
        ) from error
