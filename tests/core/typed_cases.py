"""Types that a value can be declared to have, each with a value of it."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import ipaddress
import pathlib
import uuid
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import msgspec
import numpy as np
import pydantic

__all__ = ["CASES", "IDS", "Model", "Point"]


class Model(pydantic.BaseModel):
    x: int = 1
    tags: list[str] = []


class Other(pydantic.BaseModel):
    y: str


class Aliased(pydantic.BaseModel):
    camel: int = pydantic.Field(alias="camelCase")


@dataclasses.dataclass
class Point:
    a: int
    b: float = 0.5


@dataclasses.dataclass
class Holds:
    model: Model
    raw: bytes = b"\xff"


class Struct(msgspec.Struct):
    a: int
    when: dt.datetime | None = None


class StructOfModel(msgspec.Struct):
    model: Model


class Dict(TypedDict):
    a: int


class DictOfModel(TypedDict):
    model: Model


class Pair(NamedTuple):
    a: int
    b: str


class Color(enum.Enum):
    RED = "red"


class Left(msgspec.Struct, tag=True):
    a: int


class Right(msgspec.Struct, tag=True):
    a: int


CASES: list[tuple[Any, Any]] = [
    (Model, Model(x=9)),
    (list[Model], [Model(x=2)]),
    (Model | None, Model()),
    (Model | None, None),
    (Model | Other, Other(y="q")),
    (dict[str, Model], {"a": Model()}),
    (Holds, Holds(Model(), b"ok")),
    (list[Holds], [Holds(Model())]),
    (Point, Point(1)),
    (list[Point], [Point(1, 2.5)]),
    (Struct, Struct(1, dt.datetime(2020, 1, 1, tzinfo=dt.UTC))),
    (StructOfModel, StructOfModel(Model(x=3))),
    (Left | Right, Right(1)),
    (Dict, {"a": 1}),
    (DictOfModel, {"model": Model()}),
    (Pair, Pair(1, "b")),
    (tuple[int, str], (1, "a")),
    (set[int], {1, 2}),
    (frozenset[str], frozenset("ab")),
    (dict[int, str], {1: "a"}),
    (dt.date, dt.date(2020, 1, 1)),
    (dt.time, dt.time(1, 2, 3)),
    (dt.timedelta, dt.timedelta(days=1, seconds=3, microseconds=5)),
    (dt.datetime, dt.datetime(2020, 1, 1, 5)),
    (decimal.Decimal, decimal.Decimal("1.50")),
    (uuid.UUID, uuid.UUID(int=7)),
    (pathlib.Path, pathlib.Path("/a/b")),
    (Color, Color.RED),
    (bytes, b"\xff\x00"),
    (complex, 1 + 2j),
    (np.float64, np.float64(1.25)),
    (list[np.int32], [np.int32(4)]),
    (list[float], [1.0, float("inf"), float("-inf")]),
    (int, 2**70),
    (Aliased, Aliased(camelCase=4)),
    (Literal["a", "b"], "a"),
    (Annotated[int, pydantic.Field(ge=0)], 3),
    (ipaddress.IPv4Address, ipaddress.IPv4Address("1.2.3.4")),
    (collections.deque[int], collections.deque([1])),
]
IDS = [f"{number}-{str(kind).rpartition('.')[2]}" for number, (kind, _) in enumerate(CASES)]
