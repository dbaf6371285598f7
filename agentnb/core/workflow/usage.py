"""The use that a task has made of language models: requests, tokens, money."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Usage"]


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """The use that a task, or a workflow, has made of language models.

    Attributes
    ----------
    requests
        The number of requests that were answered.
    input_tokens, output_tokens
        The tokens that the models have read and written.
    cost
        US dollars, of those requests whose model has a known price; None if none has.

    Examples
    --------
    >>> print(Usage(1, 1200, 30) + Usage(2, 800, 12, 0.0042))
    3 requests, 2,000 tokens in, 42 out, $0.0042
    """

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None

    @property
    def tokens(self) -> int:
        """The tokens in both directions."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        costs = [one for one in (self.cost, other.cost) if one is not None]
        return Usage(
            self.requests + other.requests,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            sum(costs) if costs else None,
        )

    def __str__(self) -> str:
        word = "request" if self.requests == 1 else "requests"
        cost = "" if self.cost is None else f", ${self.cost:,.4g}"
        return (
            f"{self.requests:,} {word}, {self.input_tokens:,} tokens in, "
            f"{self.output_tokens:,} out{cost}"
        )

    def write(self) -> str:
        """Return it as JSON."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def read(cls, text: str | None) -> Usage | None:
        """Return it from its JSON; None where there is none."""
        return None if text is None else msgspec.json.decode(text, type=cls)

    @classmethod
    def sum(cls, texts: Iterable[str | None]) -> Usage:
        """Return the sum of several from their JSON."""
        found = cls()
        for text in texts:
            found += cls.read(text) or cls()
        return found
