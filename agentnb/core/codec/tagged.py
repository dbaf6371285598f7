"""Any value to bytes and back, equal and of its type: MessagePack with tags, never a pickle.

None, booleans, numbers, text, bytes, lists, and dicts with text for keys stand for themselves.
Anything else is a list that begins with a tag: ``[Ext(1, b"tuple"), 1, 2]``. No value written here
begins with an extension otherwise, so nothing can be taken for a tag that is none.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.codec.errors import UnreadableError, UnstorableError
from agentnb.core.codec.instances import INSTANCES, dump_instance
from agentnb.core.codec.scalars import DUMPED_SCALARS, SCALARS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["dump", "load"]

_TAG = 1
_PLAIN = frozenset({type(None), bool, int, float, str, bytes})
# From here on the values of one class are written by their parts.
_MANY = 32
_MANY_KEYS = 1000
_LEAST, _MOST = -(2**63), 2**64 - 1
_LIBRARIES = frozenset({"numpy", "pandas", "polars", "pyarrow"})


def dump(value: Any) -> bytes:
    """Return the bytes of a value.

    Raises
    ------
    UnstorableError
        It would not come back equal and of its type.

    Examples
    --------
    >>> load(dump({1: (2, {3.5})}))
    {1: (2, {3.5})}
    """
    try:
        return msgspec.msgpack.encode(_node(value))
    except RecursionError:
        raise UnstorableError(
            "the value contains itself, or is nested too deeply", hint="cache its parts"
        ) from None
    except UnicodeEncodeError as error:
        raise UnstorableError(f"the value holds a text that is not Unicode: {error}") from error


def load(data: bytes) -> Any:
    """Return the value of bytes.

    Raises
    ------
    ClassMissingError
        It is of a class that this process has not.
    UnreadableError
        The bytes are damaged, or `dump` has never written them.
    """
    try:
        return _value(msgspec.msgpack.decode(data))
    except UnreadableError:
        raise
    except Exception as error:
        # Types, ranges, and what the readers of arrays and frames raise: no common base.
        raise UnreadableError(f"{type(error).__name__}: {error}") from error


def _tagged(tag: str, *parts: Any) -> list[Any]:
    return [msgspec.msgpack.Ext(_TAG, tag.encode()), *parts]


def _node(value: Any) -> Any:
    """Return what MessagePack writes for a value."""
    kind = type(value)
    if kind in _PLAIN:
        return _number(value) if kind is int else value
    if kind is list:
        return _list(value)
    if kind is dict:
        return _dict(value)
    return _writer(kind)(value)  # type: ignore[arg-type]  # a class is hashable


def _name_of(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


@lru_cache(maxsize=512)
def _writer(kind: type) -> Callable[[Any], Any]:
    """Return the function that writes the values of a class."""
    name = _name_of(kind)
    if name in _CONTAINERS:
        return partial(_container, _CONTAINERS[name])
    if name in DUMPED_SCALARS:
        tag, parts = DUMPED_SCALARS[name]
        return partial(_scalar, msgspec.msgpack.Ext(_TAG, tag.encode()), parts)
    return _of_library if name.partition(".")[0] in _LIBRARIES else _instance


def _container(write: Callable[[Any], Any], value: Any) -> Any:
    if getattr(value, "__dict__", None):
        raise UnstorableError(f"the {type(value).__name__} has attributes beside its items")
    return write(value)


def _scalar(tag: msgspec.msgpack.Ext, parts: Callable[[Any], list[Any]], value: Any) -> Any:
    return [tag, *map(_node, parts(value))]


def _number(value: int) -> Any:
    if _LEAST <= value <= _MOST:
        return value
    return _tagged("int", value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True))


def _list(value: list[Any]) -> list[Any]:
    kinds = set(map(type, value)) - {type(None)} if len(value) >= _MANY else set()
    scalar = DUMPED_SCALARS.get(_name_of(kinds.pop())) if len(kinds) == 1 else None
    return _nodes(value) if scalar is None else _column(value, *scalar)


def _column(value: list[Any], tag: str, parts: Callable[[Any], list[Any]]) -> list[Any]:
    """Return many values of one class by their parts, each of which is a list itself."""
    holes = [index for index, item in enumerate(value) if item is None]
    rows = [parts(item) for item in value if item is not None]
    if len(set(map(len, rows))) != 1:
        return _nodes(value)
    return _tagged(
        "column", tag, holes, *(_list(list(column)) for column in zip(*rows, strict=True))
    )


def _nodes(values: Iterable[Any]) -> list[Any]:
    """Return the nodes of a list, which is itself where all of it is plain."""
    items = values if type(values) is list else list(values)
    kinds = set(map(type, items))
    if kinds <= _PLAIN:
        if int not in kinds:
            return items
        numbers = items if len(kinds) == 1 else [one for one in items if type(one) is int]
        if min(numbers) >= _LEAST and max(numbers) <= _MOST:
            return items
    nodes = []
    for index, item in enumerate(items):
        try:
            nodes.append(_node(item))
        except UnstorableError as error:
            error.within(f"[{index}]")
            raise
    return nodes


def _dict(value: dict[Any, Any]) -> Any:
    keys = set(map(type, value))
    if keys <= {str}:
        return dict(zip(value, _values(value), strict=True))
    return _tagged("dict", *_pairs(value))


def _values(value: dict[Any, Any]) -> list[Any]:
    if set(map(type, value.values())) <= _PLAIN - {int}:
        return list(value.values())
    nodes = []
    for key, item in value.items():
        try:
            nodes.append(_node(item))
        except UnstorableError as error:
            error.within(f"[{_shown(key)}]")
            raise
    return nodes


def _shown(key: Any) -> str:
    try:
        return f"{key!r:.60}"
    except Exception:  # noqa: BLE001 - a number of too many digits, or a class of the user's
        return type(key).__name__


def _pairs(value: dict[Any, Any]) -> list[Any]:
    nodes = _values(value)
    return [part for key, node in zip(value, nodes, strict=True) for part in (_node(key), node)]


def _sorted(value: Iterable[Any]) -> list[Any]:
    # The order of a set differs from process to process; its bytes must not.
    return sorted(map(_node, value), key=msgspec.msgpack.encode)


def _defaultdict(value: Any) -> Any:
    name = getattr(value.default_factory, "__name__", None)
    if value.default_factory is not None and _FACTORIES.get(name) is not value.default_factory:
        raise UnstorableError(
            "the defaultdict makes its values by a function", hint="store dict(...) of it"
        )
    return _tagged("defaultdict", name, *_pairs(value))


_FACTORIES: dict[Any, type] = {
    kind.__name__: kind for kind in (list, dict, set, tuple, int, float, str, bool, bytes)
}
_CONTAINERS: dict[str, Callable[[Any], Any]] = {
    "builtins.tuple": lambda value: _tagged("tuple", *_nodes(value)),
    "builtins.set": lambda value: _tagged("set", *_sorted(value)),
    "builtins.frozenset": lambda value: _tagged("frozenset", *_sorted(value)),
    "collections.OrderedDict": lambda value: _tagged("OrderedDict", *_pairs(value)),
    "collections.Counter": lambda value: _tagged("Counter", *_pairs(value)),
    "collections.defaultdict": _defaultdict,
    "collections.deque": lambda value: _tagged("deque", value.maxlen, *_nodes(value)),
}


def _of_library(value: Any) -> Any:
    from agentnb.core.codec.arrays import dump_array

    dumped = dump_array(value)
    if dumped is None:
        return _instance(value)
    tag, parts = dumped
    return _tagged(tag, *map(_node, parts))


def _instance(value: Any) -> Any:
    dumped = dump_instance(value)
    if dumped is None:
        kind = type(value)
        raise UnstorableError(
            f"a value of type {kind.__module__}.{kind.__qualname__} has no exact form".replace(
                "builtins.", ""
            ),
            hint="store plain values, arrays, frames, enums, dataclasses or models made of them",
        )
    tag, parts = dumped
    return _tagged(tag, *map(_node, parts))


def _value(node: Any) -> Any:
    """Return the value of a node."""
    kind = type(node)
    if kind is list:
        if node and type(node[0]) is msgspec.msgpack.Ext:
            return _of_tag(node)
        if set(map(type, node)) <= _PLAIN:
            return node
        return [_value(item) for item in node]
    if kind is dict:
        if not set(map(type, node)) <= {str}:
            raise UnreadableError("a key is not text")
        return {key: _value(item) for key, item in node.items()}
    if kind not in _PLAIN:
        raise UnreadableError(f"a {kind.__name__} without a tag")
    return node


def _of_tag(node: list[Any]) -> Any:
    head = node[0]
    load_of = _reader(bytes(head.data)) if head.code == _TAG else None
    if load_of is None:
        raise UnreadableError(f"the tag {bytes(head.data)[:60]!r} is not known to this version")
    return load_of(*[_value(part) for part in node[1:]])


@lru_cache(maxsize=64)
def _reader(tag: bytes) -> Callable[..., Any] | None:
    """Return the function that makes a value of the parts under a tag, None if there is none."""
    name = tag.decode("utf-8", "replace")
    for readers in (_LOADERS, SCALARS, INSTANCES):
        if name in readers:
            return readers[name]
    from agentnb.core.codec.arrays import ARRAYS

    return ARRAYS.get(name)


def _keys(keys: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return keys; refuse too many with one hash, which would make a dict very slow."""
    if len(keys) > _MANY_KEYS and len(set(map(hash, keys))) * 2 < len(keys):
        raise UnreadableError("too many keys have the same hash")
    return keys


def _dict_of(parts: tuple[Any, ...]) -> dict[Any, Any]:
    _keys(parts[::2])
    made = dict(zip(parts[::2], parts[1::2], strict=True))
    if len(made) * 2 != len(parts):
        raise UnreadableError("a key comes twice")
    return made


def _load_set(kind: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda *parts: kind(_keys(parts))


def _load_defaultdict(name: str | None, *parts: Any) -> Any:
    from collections import defaultdict

    return defaultdict(None if name is None else _FACTORIES[name], _dict_of(parts))


def _load_collection(name: str) -> Callable[..., Any]:
    def load_one(*parts: Any) -> Any:
        import collections

        return getattr(collections, name)(_dict_of(parts))

    return load_one


def _load_deque(maxlen: int | None, *parts: Any) -> Any:
    from collections import deque

    return deque(parts, maxlen)


def _load_column(tag: str, holes: list[int], *columns: list[Any]) -> list[Any]:
    values = iter(list(map(SCALARS[tag], *columns)))
    if len({len(column) for column in columns}) != 1:
        raise UnreadableError("a column is damaged")
    empty = set(holes)
    return [None if n in empty else next(values) for n in range(len(columns[0]) + len(empty))]


_LOADERS: dict[str, Callable[..., Any]] = {
    "int": lambda data: int.from_bytes(data, "little", signed=True),
    "tuple": lambda *parts: parts,
    "set": _load_set(set),
    "frozenset": _load_set(frozenset),
    "dict": lambda *parts: _dict_of(parts),
    "OrderedDict": _load_collection("OrderedDict"),
    "Counter": _load_collection("Counter"),
    "defaultdict": _load_defaultdict,
    "deque": _load_deque,
    "column": _load_column,
}
