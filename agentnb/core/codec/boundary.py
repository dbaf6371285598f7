"""The values of one service: encoded, measured and checked where they cross its boundary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.codec.plain import MISFITS, change, decode, encode
from agentnb.core.codec.typed import codec_of
from agentnb.core.codec.types import name_of
from agentnb.core.codec.walk import Misfit, NotJson
from agentnb.core.errors import UnkeptResult, UsageError
from agentnb.core.failure import words_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.codec.typed import TypeCodec

__all__ = ["FORMS", "Json", "Kept", "Unkept", "read"]

FORMS = "send what JSON has, a model, a dataclass, dates, Decimals, UUIDs, paths, enums or bytes"
"""The hint of an error about a value without a JSON form."""
_LONGEST = 1000


class Unkept(msgspec.Struct, frozen=True):
    """Describes a result that could not be kept.

    Attributes
    ----------
    type
        The name of its type.
    repr
        Its text, of at most 1,000 characters, without secrets.
    reason
        Why it could not be kept.
    """

    type: str
    repr: str
    reason: str

    def __str__(self) -> str:
        return f"done, not kept: {self.reason}; it was {self.repr}"

    def error(self, subject: str, service: str, hint: str) -> UnkeptResult:
        """Return the error of reading it."""
        return UnkeptResult(
            f"{subject} is done, and its result was not kept: {self.reason}; it was {self.repr}",
            service=service,
            hint=hint,
        )

    def write(self) -> str:
        """Return it as JSON."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def read(cls, data: str | bytes) -> Unkept:
        """Return it from its JSON."""
        return msgspec.json.decode(data, type=cls)


@dataclass(frozen=True, slots=True)
class Kept:
    """A result as it is kept.

    Attributes
    ----------
    data
        Its JSON; ``null`` if it could not be kept.
    unkept
        The description of the value, if it could not be kept.
    note
        The end of a sentence, "returned ...", where the copy differs in type from the result;
        else empty.
    typed
        The copy, where it has been read as a declared type.
    """

    data: bytes
    unkept: Unkept | None = None
    note: str = ""
    typed: tuple[Any, ...] = ()

    @property
    def copy(self) -> Any:
        """The value that is read from the data."""
        return self.typed[0] if self.typed else decode(self.data)


class Json:
    """Encodes and decodes the values of one service.

    Parameters
    ----------
    service
        Its name, for errors.
    what
        The noun for a value in errors: ``"the job's data"``.
    limit
        Bytes that a value may take.
    setting
        The setting that says so.
    results
        Bytes that a result may take; default: as ``limit``.

    Examples
    --------
    >>> json = Json("queue", "the job's data", limit=1000, setting="AGENTNB_QUEUE_PAYLOAD")
    >>> json.encode({"rate": 1.5})
    b'{"rate":1.5}'
    >>> json.decode(b'{"rate":1.5}')
    {'rate': 1.5}
    """

    def __init__(
        self, service: str, what: str, *, limit: int, setting: str, results: int | None = None
    ) -> None:
        self._service, self._what = service, what
        self._limit, self._setting = limit, setting
        self._results = limit if results is None else results

    def encode(self, value: Any, kind: Any = None) -> bytes:
        """Return the JSON of a value that is sent; see `agentnb.core.codec.plain` for the forms.

        Parameters
        ----------
        value
            The value; with ``kind`` one of that type, or a plain one that stands for it.
        kind
            The type that it is checked by.

        Raises
        ------
        UsageError
            It has no JSON form, is not of the type, or is too large.
        """
        data = self.raw(value) if kind is None else self._typed(value, kind)
        if len(data) > self._limit:
            raise UsageError(
                f"{self._what} takes {len(data):,} bytes; {self._limit:,} are allowed",
                service=self._service,
                hint=f"send a path or a key to it, or raise {self._setting} (bytes)",
            )
        return data

    def _typed(self, value: Any, kind: Any) -> bytes:
        codec = codec_of(kind)
        try:
            data, copy = codec.encode(value)
        except Misfit as error:
            raise UsageError(
                f"{self._what} is {error}", service=self._service, hint="send what the schema wants"
            ) from error
        except NotJson as error:
            raise self._no_json(error) from error
        if not codec.carries(value, copy):
            raise UsageError(
                f"{self._what} cannot be sent as {codec.name}: {change(value, copy)}",
                service=self._service,
                hint="send a value of the schema",
            )
        return data

    def raw(self, value: Any) -> bytes:
        """Return the JSON of a value, however large.

        Raises
        ------
        UsageError
            It has no JSON form.
        """
        try:
            data, walk = encode(value)
            if walk is not None:
                walk.check()
        except NotJson as error:
            raise self._no_json(error) from error
        return data

    def _no_json(self, error: NotJson) -> UsageError:
        return UsageError(
            f"{self._what} cannot be sent: {error.named('data')}",
            service=self._service,
            hint=error.hint or FORMS,
        )

    def decode(self, data: bytes, kind: Any = None) -> Any:
        """Return the value of JSON.

        Raises
        ------
        UsageError
            It is malformed, or not of the type asked for.
        """
        try:
            return decode(data) if kind is None else codec_of(kind).decode(data)
        except MISFITS as error:
            name = "JSON" if kind is None else name_of(kind)
            raise UsageError(
                f"{self._what} is not {name}: {error}",
                service=self._service,
                hint="send what the schema wants" if kind is not None else None,
            ) from error

    def keep(self, value: Any, declared: TypeCodec | None, redactor: Callable[[str], str]) -> Kept:
        """Return a result as it is kept, with the copy that is read from it. Raises nothing.

        Parameters
        ----------
        value
            The result.
        declared
            The codec of the type that it is declared to have, or None.
        redactor
            Masks secrets in the text of a result that cannot be kept.
        """
        try:
            kept = _kept(value, declared)
        except Exception as error:  # noqa: BLE001 - a model's serializer is anybody's code
            reason = str(error) if isinstance(error, NotJson) else words_of(error)
            return Kept(b"null", unkept=_unkept(value, reason, redactor))
        if len(kept.data) > self._results:
            reason = (
                f"it takes {len(kept.data):,} bytes; {self._results:,} are allowed "
                f"(return a path or a key to it, or raise {self._setting})"
            )
            return Kept(b"null", unkept=_unkept(value, reason, redactor))
        return kept


def read(data: bytes | str, declared: TypeCodec | None) -> Any:
    """Return a kept result: of its declared type if it fits, else as plain JSON.

    >>> read(b"[1, 2]", codec_of(tuple[int, int])), read(b"[1, 2]", codec_of(dict))
    ((1, 2), [1, 2])
    """
    if declared is not None:
        try:
            return declared.decode(data.encode() if isinstance(data, str) else data)
        except MISFITS:
            pass  # as it was kept, with a note to that effect
    return decode(data)


def _kept(value: Any, declared: TypeCodec | None) -> Kept:
    misfit = None
    if declared is not None:
        try:
            data, copy = declared.encode(value)
        except Misfit as error:
            misfit = error
        else:
            if declared.gives_back(value, copy):
                return Kept(data, typed=(copy,))
            name = name_of(type(value))
            note = f"returned {name}, which comes back changed, as {declared.name}"
            return Kept(data, note=note, typed=(copy,))
    data, walk = encode(value)
    if walk is not None:
        walk.check()
    note = ""
    name = name_of(type(value)) if misfit is not None or walk is not None else ""
    if misfit is not None:
        note = f"returned {name}, which is {misfit}; it is kept as plain JSON"
    elif walk is not None:
        note = f"returned {_advice(name, *walk.converted[0])}"
    return Kept(data, note=note)


def _advice(name: str, where: str, inner: str) -> str:
    """Return what to declare for a value of which a part is given back as another type."""
    if not where:
        return f"{name}, which is kept as plain JSON: declare returns={name} to get it back"
    return (
        f"{name} with {inner} at {where}, which is kept as plain JSON: "
        f"declare returns= with {inner} in it to get that back"
    )


def _unkept(value: Any, reason: str, redactor: Callable[[str], str]) -> Unkept:
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - anybody's __repr__
        text = f"<its repr raised {type(error).__name__}>"
    text = text[: 4 * _LONGEST].encode("utf-8", "replace").decode()
    return Unkept(name_of(type(value)), redactor(text)[:_LONGEST], redactor(reason)[:_LONGEST])
