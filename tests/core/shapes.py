"""Classes of every kind that a value may be of; tests store their instances."""

from __future__ import annotations

import collections
import dataclasses
import enum
from typing import Any, NamedTuple

import attrs
import msgspec
import pydantic


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1


class Kind(enum.Enum):
    ONE = object()  # a value that could not be stored: members are found by name


class Mode(enum.Flag):
    READ = 1
    WRITE = 2


Point = collections.namedtuple("Point", "x y")  # noqa: PYI024 - the untyped kind that people write


class Pair(NamedTuple):
    first: Any
    second: Any = None


@dataclasses.dataclass
class Task:
    name: str
    data: Any = None

    class Part(NamedTuple):
        n: int


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Frozen:
    n: int
    data: Any = None


@dataclasses.dataclass
class Checked:
    n: int
    twice: int = dataclasses.field(init=False)

    def __post_init__(self):
        self.twice = 2 * self.n


@dataclasses.dataclass(eq=False)
class Same:
    n: int


@attrs.define
class Slotted:
    n: int
    data: Any = None


@attrs.frozen(slots=False)
class Open:
    n: int
    data: Any = None


class Struct(msgspec.Struct):
    n: int
    data: Any = None


class Locked(msgspec.Struct, frozen=True, kw_only=True, tag="locked", forbid_unknown_fields=True):
    n: int
    data: Any = None


class Loose(msgspec.Struct, eq=False):
    n: int


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow", arbitrary_types_allowed=True)

    n: int
    data: Any = None
    _private: int = pydantic.PrivateAttr(default=1)


class Root(pydantic.RootModel[list[int]]):
    pass


class Words(str):
    __slots__ = ()


class Plain:
    """A class without declared fields."""

    def __init__(self, n=1):
        self.n = n
