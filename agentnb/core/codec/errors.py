"""The reasons why a value has no exact form, or bytes hold none."""

from __future__ import annotations

__all__ = ["ClassMissingError", "UnreadableError", "UnstorableError"]


class UnstorableError(TypeError):
    """A value would not come back equal and of its type.

    Parameters
    ----------
    why
        The reason, as the end of a sentence that begins with the value.
    hint
        The way around it.
    """

    def __init__(self, why: str, *, hint: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.hint = hint
        self._path: list[str] = []

    def within(self, step: str) -> None:
        """Add a step of the path from the whole value to the part, innermost first."""
        self._path.append(step)

    def __str__(self) -> str:
        path = "".join(reversed(self._path))
        return f"{self.why} (at {path})" if path else self.why


class UnreadableError(ValueError):
    """Bytes are damaged, or were never written by this codec."""


class ClassMissingError(UnreadableError):
    """A value is of a class that this process has not, or has with other fields.

    Parameters
    ----------
    path
        The class, as ``module:name``.
    why
        The missing class or module.
    """

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path} {why}")
        self.path = path
