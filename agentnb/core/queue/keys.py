"""Idempotency keys: one job for each, whatever becomes of the job, until the key expires."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from agentnb.core.errors import UsageError
from agentnb.core.redact import brief

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["KEY_TTL", "AddedJob", "KeyRecord"]

KEY_TTL: Final = 7 * 86400.0
"""Seconds that a key is kept after its job has ended."""


class KeyRecord(NamedTuple):
    """The record that is kept of an idempotency key: for how many seconds, and of which data.

    The data is compared by its digest, whatever the order of the names in its objects.
    """

    key: str
    seconds: float
    digest: str
    data: str

    @classmethod
    def of(cls, key: str, seconds: float, data: bytes, redactor: Callable[[str], str]) -> KeyRecord:
        """Return the record of a key that is used for some data, as JSON."""
        return cls(key, seconds, _digest(data), brief(data, redactor))


class AddedJob(NamedTuple):
    """The answer to adding a job: its id, or another job that has its key.

    Attributes
    ----------
    id
        The job.
    digest, data
        Those of the `KeyRecord` of another job; None where earlier code added it.
    state
        The state in which that other job has ended, or None.
    """

    id: str
    digest: str | None = None
    data: str | None = None
    state: str | None = None

    def check(self, record: KeyRecord, data: bytes | None) -> None:
        """Refuse another use of a key than that of the job that has it.

        Parameters
        ----------
        record
            The new use of the key.
        data
            The data of the job, None if the job is no longer kept.

        Raises
        ------
        UsageError
            It is for other data.
        """
        digest, shown = self.digest, self.data
        if digest is None and data is not None:
            digest, shown = _digest(data), brief(data)
        if digest is not None and digest != record.digest:
            raise UsageError(
                f"key {record.key!r} was used for job {self.id} with other data: {shown}; "
                f"here {record.data}",
                service="queue",
                hint="use another key for other data"
                + ("" if data is None else f"; job {self.id} has this key (%queue show {self.id})"),
            )


def _digest(data: bytes) -> str:
    ordered = msgspec.json.encode(msgspec.json.decode(data), order="sorted")
    return hashlib.sha256(ordered).hexdigest()
