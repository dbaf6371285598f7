"""The record by which an attempt travels to its far side, and the reply that comes back.

Both are JSON. Code travels by its name, data stays in the server or database, and secrets come
from the settings of the far side.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import Any, Literal, NamedTuple

import msgspec

from agentnb.core.failure import Failure  # noqa: TC001 - msgspec reads it
from agentnb.core.work.store import Key, OutcomeKind

__all__ = ["Record", "Reply", "read_record", "versions", "write"]


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """An attempt, as it is sent to an executor.

    The trace and the correlation id are those of the unit in its store, where `WorkStore.begin`
    finds them.

    Attributes
    ----------
    kind
        ``job`` or ``task``.
    store
        The identity of the server or database, and of the prefix or scope in it: text that
        the far side must find as its own.
    where
        The same for people, without a password.
    scope
        The queue of a job; the scope of a task.
    id, entry, owner
        The fence of the claim.
    attempt
        The number of the attempt.
    lease
        Seconds for which the attempt counts as alive after its last sign of life.
    waited
        Seconds for which the unit waited for its first claim; None for a later one.
    function
        ``pkg.module:function``, or ``cell:NAME`` for the cell that the home keeps.
    timeout
        Seconds for the attempt from its begin; None for no limit.
    schema, returns
        The types of the data and the result, as ``pkg.module:Class``, where the function's own
        mark does not have them.
    local_to
        The host that the store is confined to, for SQLite and the embedded server; else empty.
    version, python
        The versions of agentnb and Python that sent it.
    """

    kind: Literal["job", "task"]
    store: str
    where: str
    scope: str
    id: str = ""
    entry: int = 0
    owner: str = ""
    attempt: int = 0
    lease: float = 30.0
    waited: float | None = None
    function: str = ""
    timeout: float | None = None
    schema: str = ""
    returns: str = ""
    local_to: str = ""
    version: str = ""
    python: str = ""

    @property
    def key(self) -> Key:
        """The id and the entry."""
        return Key(self.id, self.entry)


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer of a far side.

    Attributes
    ----------
    kind, value, failure, delay, ms
        The outcome, as `Outcome` has it; the value as the far side has packed it.
    refused
        The reason why nothing was run here, empty for none; the worker puts the unit back.
    lost
        Whether the claim was no longer the owner's, so that there is no outcome.
    repeated
        Whether the attempt had begun before: the executor has run the call again.
    """

    kind: OutcomeKind | None = None
    value: bytes = b""
    failure: Failure | None = None
    delay: float = 0.0
    ms: float = 0.0
    refused: str = ""
    lost: bool = False
    repeated: bool = False


class Versions(NamedTuple):
    """The versions of one side."""

    version: str
    python: str


@cache
def versions() -> Versions:
    """Return the versions of agentnb and Python on this side, as a record has them.

    >>> versions()._fields
    ('version', 'python')
    """
    # By its name: the engine imports nothing of the package's.
    package = import_module("agentnb")
    major, minor = sys.version_info[:2]
    return Versions(package.__version__, f"{major}.{minor}")


def write(message: Record | Reply) -> bytes:
    """Return a record or a reply as JSON."""
    return msgspec.json.encode(message)


def read_record(data: bytes) -> Record | str:
    """Return a record, or why it cannot be run by this version of agentnb.

    >>> record = Record("job", "place", "redis://h", "mail", **versions()._asdict())
    >>> read_record(write(record)) == record
    True
    >>> read_record(b'{"version": "9.1", "python": "3.11"}')[:40]
    'agentnb is 9.1 on the side of the worker'
    """
    with suppress(msgspec.MsgspecError):
        record = _RECORDS.decode(data)
        if (record.version, record.python) == versions():
            return record
    try:
        sender: dict[str, Any] = msgspec.json.decode(data, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        return f"the record cannot be read: {error}"
    for name, label, own in zip(Versions._fields, ("agentnb", "Python"), versions(), strict=True):
        if sender.get(name) != own:
            return (
                f"{label} is {sender.get(name)} on the side of the worker, and {own} here: "
                "install the same version on both sides"
            )
    try:
        return _RECORDS.decode(data)
    except msgspec.MsgspecError as error:
        return f"the record cannot be read: {error}"


_RECORDS = msgspec.json.Decoder(Record)
