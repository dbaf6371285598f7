"""pydantic, for the types in which it has a say; imported when the first of them is declared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.codec.types import name_of
from agentnb.core.codec.walk import Misfit

if TYPE_CHECKING:
    import enum

__all__ = ["Adapter"]


class Adapter:
    """A pydantic `TypeAdapter` whose bytes are Base64 and whose floats may be NaN.

    Parameters
    ----------
    kind
        The type.

    Raises
    ------
    TypeError
        pydantic cannot read it from JSON.
    ImportError
        pydantic is not installed.
    """

    def __init__(self, kind: Any) -> None:
        from pydantic import ConfigDict, TypeAdapter

        config = ConfigDict(
            ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="strings"
        )
        try:
            # As an item, since a model at the top takes no configuration.
            self._adapter: Any = TypeAdapter(tuple[kind], config=config)
            _check_core(self._adapter.core_schema)
        except TypeError:
            raise
        except Exception as error:  # any, of a value that is no type at all
            raise TypeError(str(error).partition("\n")[0]) from error

    def validate_json(self, data: bytes) -> Any:
        """Return the value of JSON.

        Raises
        ------
        Misfit
            It is not of the type.
        """
        from pydantic import ValidationError

        try:
            return self._adapter.validate_json(b"[" + data + b"]")[0]
        except ValidationError as error:
            raise Misfit(_reason(error)) from error

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the type."""
        found = self._adapter.json_schema()
        return {**found["prefixItems"][0], "$defs": found.get("$defs", {})}

    def validate(self, value: Any) -> Any:
        """Return a Python value as one of the type.

        Raises
        ------
        Misfit
            It is not of the type.
        """
        from pydantic import ValidationError

        try:
            return self._adapter.validate_python((value,))[0]
        except ValidationError as error:
            raise Misfit(_reason(error)) from error

    def dump_json(self, value: Any) -> bytes | None:
        """Return the JSON of a value of the type; None for another."""
        from pydantic_core import PydanticSerializationError

        try:
            found = self._adapter.dump_json(
                (value,), by_alias=True, round_trip=True, warnings="error"
            )
        except PydanticSerializationError:
            return None
        return bytes(found[1:-1])


def _check_core(schema: Any) -> None:
    """Refuse classes that no JSON becomes, which pydantic only compares."""
    left = [schema]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            kind = one.get("type")
            if kind in {"is-instance", "callable", "is-subclass", "generator", "call"}:
                raise TypeError(f"JSON has no {name_of(one.get('cls', 'function'))}")
            if kind == "enum" and not _reads_itself(one["cls"]):
                _check_members(one["cls"])
            # A custom class, or a validator, says itself how it is read from JSON.
            if kind == "json-or-python":
                left.append(one["json_schema"])
            elif kind not in {"function-before", "function-wrap", "function-plain"}:
                left += one.values()
        elif isinstance(one, list | tuple):
            left += one


def _reads_itself(kind: type[enum.Enum]) -> bool:
    """Return whether an enum finds members by more than their values."""
    return any("_missing_" in vars(one) for one in kind.__mro__ if one.__module__ != "enum")


def _check_members(kind: type[enum.Enum]) -> None:
    """Refuse an enum that is not found by the JSON of its values."""
    for member in kind:
        if not isinstance(member.value, str | int | float | None):
            raise TypeError(
                f"JSON has no {type(member.value).__name__}, as {member} is: "
                f"give {kind.__name__} a _missing_ that reads its text"
            )


def _reason(error: Any) -> str:
    """Return why a value is not of a type, without the value: it may be a secret."""
    return "; ".join(
        f"{'.'.join(map(str, one['loc'][1:])) or 'the whole'}: {one['msg']}"
        for one in error.errors(include_input=False, include_url=False, include_context=False)
    )
