"""Instances of enums, dataclasses, attrs classes, Structs, models, named tuples and tables.

Their fields are read and put back as they are. Except for the constructor of a
`msgspec.Struct`, which has no other way in, no method of their class runs.
"""

from __future__ import annotations

import dataclasses
import enum
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.codec.classes import find_class, path_of
from agentnb.core.codec.errors import ClassMissingError, UnreadableError, UnstorableError
from agentnb.core.table import Table, row_type

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["INSTANCES", "dump_instance"]

_OURS = "agentnb"
# Of a row: a class is made for them, which takes time.
_MOST_FIELDS = 10_000
# The parts of a value, which the caller writes in turn.
Parts = tuple[str, list[Any]]


def dump_instance(value: Any) -> Parts | None:
    """Return the tag and the parts of an instance, None if it is of no such class.

    Raises
    ------
    UnstorableError
        Its class cannot be found again, or compares by identity.
    """
    kind = type(value)
    if _is_row(kind) and len(value) <= _MOST_FIELDS:
        return "row", [list(kind._fields), *value]
    for fits, tag, dump in _DUMPERS:
        if fits(kind):
            return tag, [path_of(kind), *dump(value)]
    return None


def _is_enum(kind: type) -> bool:
    return issubclass(kind, enum.Enum)


def _dump_enum(value: enum.Enum) -> list[Any]:
    name = value.name
    if name is not None and type(value).__members__.get(name) is value:
        return [name]
    return [None, value.value]  # a combination of flags


def _load_enum(path: str, name: str | None, *combined: Any) -> enum.Enum:
    kind = _class_at(path, _is_enum)
    if name is None:
        if not issubclass(kind, enum.Flag) or type(combined[0]) is not int:
            raise UnreadableError(f"{path} is not a Flag")
        return kind(combined[0])
    try:
        member: enum.Enum = kind.__members__[name]  # type: ignore[attr-defined]  # an enum's
    except KeyError as error:
        raise ClassMissingError(path, f"has no member {name}") from error
    return member


def _is_row(kind: type) -> bool:
    # Made for the columns of a table, so that no import path leads to it.
    return kind.__module__ == Table.__module__ and kind.__name__ == "Row"


def _load_row(fields: list[str], *values: Any) -> Any:
    if type(fields) is not list or len(fields) > _MOST_FIELDS:
        raise UnreadableError("the fields of a row are damaged")
    return row_type(tuple(map(str, fields)))(*values)


def _is_list(kind: type) -> bool:
    return issubclass(kind, list) and kind.__module__.partition(".")[0] == _OURS


def _dump_list(value: list[Any]) -> list[Any]:
    if getattr(value, "__dict__", None):
        raise UnstorableError(f"the {type(value).__name__} has attributes beside its items")
    return list(value)


def _load_list(path: str, *items: Any) -> list[Any]:
    made: list[Any] = list.__new__(_class_at(path, _is_list))
    list.extend(made, items)
    return made


def _is_named_tuple(kind: type) -> bool:
    return issubclass(kind, tuple) and isinstance(getattr(kind, "_fields", None), tuple)


def _dump_named_tuple(value: Any) -> list[Any]:
    if getattr(value, "__dict__", None):
        raise UnstorableError(f"the {type(value).__name__} has attributes beside its fields")
    return [list(value._fields), *value]


def _load_named_tuple(path: str, fields: list[str], *values: Any) -> Any:
    kind = _class_at(path, _is_named_tuple)
    if list(kind._fields) != fields or len(fields) != len(values):  # type: ignore[attr-defined]
        raise ClassMissingError(path, "has other fields now")
    return tuple.__new__(kind, values)


def _fields(kind: type) -> list[str] | None:
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    found = getattr(kind, "__attrs_attrs__", None)
    return None if found is None else [field.name for field in found]


def _has_fields(kind: type) -> bool:
    return _fields(kind) is not None


def _dump_fields(value: Any) -> list[Any]:
    kind = type(value)
    _check_compares(kind, any("__eq__" in vars(base) for base in kind.__mro__[:-1]))
    if issubclass(kind, (dict, list, set, str, int, float, bytes, tuple, BaseException)):
        raise UnstorableError(f"a {kind.__name__} holds more than its fields")
    state = dict(getattr(value, "__dict__", {}))
    for name in _slots(kind):
        if hasattr(value, name):
            state[name] = getattr(value, name)
    missing = [name for name in _fields(kind) or () if name not in state]
    if missing:
        raise UnstorableError(f"the {kind.__name__} has no attribute {missing[0]}")
    return [state]


def _load_fields(path: str, state: dict[str, Any]) -> Any:
    kind = _class_at(path, _has_fields)
    slots = set(_slots(kind))
    beside = {name: one for name, one in state.items() if name not in slots}
    made: Any = object.__new__(kind)
    if not set(_fields(kind) or ()) <= set(state) or (beside and not hasattr(made, "__dict__")):
        raise ClassMissingError(path, "has other fields now")
    for name in slots & set(state):
        object.__setattr__(made, name, state[name])
    if beside:
        made.__dict__.update(beside)
    return made


def _slots(kind: type) -> list[str]:
    """Return the names of the slots of a class and its bases that hold a value."""
    return [
        name
        for base in reversed(kind.__mro__)
        for name, member in vars(base).items()
        if isinstance(member, MemberDescriptorType)
        and member.__objclass__ is base
        # A property of a subclass stands before the slot of its base.
        and getattr(kind, name, None) is member
    ]


def _is_struct(kind: type) -> bool:
    return issubclass(kind, msgspec.Struct)


def _dump_struct(value: msgspec.Struct) -> list[Any]:
    _check_compares(type(value), value.__struct_config__.eq)
    return [{name: getattr(value, name) for name in value.__struct_fields__}]


def _load_struct(path: str, state: dict[str, Any]) -> Any:
    kind = _class_at(path, _is_struct)
    fields: tuple[str, ...] = kind.__struct_fields__  # type: ignore[attr-defined]  # a Struct's
    if set(fields) != set(state):
        raise ClassMissingError(path, "has other fields now")
    made = kind(**state)
    for name in fields:  # also those that __post_init__ has changed
        msgspec.structs.force_setattr(made, name, state[name])
    return made


_MODEL_STATE = (
    "__dict__",
    "__pydantic_fields_set__",
    "__pydantic_extra__",
    "__pydantic_private__",
)


def _is_model(kind: type) -> bool:
    return hasattr(kind, "__pydantic_fields__") and hasattr(kind, "model_construct")


def _dump_model(value: Any) -> list[Any]:
    return [{name: getattr(value, name) for name in _MODEL_STATE}]


def _load_model(path: str, state: dict[str, Any]) -> Any:
    kind = _class_at(path, _is_model)
    fields = state["__dict__"]
    if set(state) != set(_MODEL_STATE) or not set(_model_fields(kind)) <= set(fields):
        raise ClassMissingError(path, "has other fields now")
    made: Any = object.__new__(kind)
    for name in _MODEL_STATE:
        object.__setattr__(made, name, state[name])
    return made


def _model_fields(kind: Any) -> dict[str, Any]:
    return dict(kind.__pydantic_fields__)


def _is_table(kind: type) -> bool:
    return issubclass(kind, Table)


def _dump_table(value: Table) -> list[Any]:
    if getattr(value, "__dict__", None):
        raise UnstorableError(f"the {type(value).__name__} has attributes beside its rows")
    state = {name: getattr(value, name) for name in _kept(type(value))}
    rows = state.pop("rows", None)
    if rows is None:
        return [state]
    try:
        columns = [list(column) for column in zip(*rows, strict=True)]
    except ValueError as error:
        raise UnstorableError("the rows of the table are not of one length") from error
    return [state, len(rows), columns]


def _load_table(
    path: str, state: dict[str, Any], count: int | None = None, columns: Any = None
) -> Any:
    kind = _class_at(path, _is_table)
    if count is not None:
        rows: list[tuple[Any, ...]] = list(zip(*columns, strict=True)) or [()] * count
        if len(rows) != count:
            raise UnreadableError("the rows of a table are damaged")
        state["rows"] = rows
    if set(state) != set(_kept(kind)):
        raise ClassMissingError(path, "has other fields now")
    made: Any = object.__new__(kind)
    for name in _slots(kind):
        object.__setattr__(made, name, state.get(name))
    return made


def _kept(kind: type) -> list[str]:
    derived: tuple[str, ...] = getattr(kind, "_derived", ())
    return [name for name in _slots(kind) if name not in derived]


def _class_at(path: str, fits: Callable[[type], bool]) -> type:
    kind = find_class(path)
    if not fits(kind):
        raise ClassMissingError(path, "is a class of another kind now")
    return kind


def _check_compares(kind: type, compares: bool) -> None:  # noqa: FBT001 - the one thing it is told
    if not compares:
        raise UnstorableError(
            f"a {kind.__name__} equals only itself (eq=False), and no copy of it",
            hint=f"let {kind.__name__} compare its fields",
        )


# The first that fits: an enum may be a str, a model may look like a dataclass.
_DUMPERS: tuple[tuple[Callable[[type], bool], str, Callable[[Any], list[Any]]], ...] = (
    (_is_enum, "enum", _dump_enum),
    (_is_table, "table", _dump_table),
    (_is_list, "list", _dump_list),
    (_is_named_tuple, "namedtuple", _dump_named_tuple),
    (_is_struct, "struct", _dump_struct),
    (_is_model, "model", _dump_model),
    (_has_fields, "fields", _dump_fields),
)
INSTANCES: dict[str, Callable[..., Any]] = {
    "enum": _load_enum,
    "table": _load_table,
    "list": _load_list,
    "row": _load_row,
    "namedtuple": _load_named_tuple,
    "struct": _load_struct,
    "model": _load_model,
    "fields": _load_fields,
}
