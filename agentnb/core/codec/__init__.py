"""One codec for every value that leaves the process: plain JSON, and types read from it."""

from agentnb.core.codec.boundary import FORMS, Json, Kept, Unkept, read
from agentnb.core.codec.json_schema import misfit_of
from agentnb.core.codec.plain import (
    MISFITS,
    NOT_JSON,
    change,
    decode,
    encode,
    exact,
    exactly,
    same,
    to_json,
)
from agentnb.core.codec.returns import declared
from agentnb.core.codec.typed import TypeCodec, check_schema, codec_of, convert, from_json
from agentnb.core.codec.walk import NotJson

__all__ = [
    "FORMS",
    "MISFITS",
    "NOT_JSON",
    "Json",
    "Kept",
    "NotJson",
    "TypeCodec",
    "Unkept",
    "change",
    "check_schema",
    "codec_of",
    "convert",
    "declared",
    "decode",
    "encode",
    "exact",
    "exactly",
    "from_json",
    "misfit_of",
    "read",
    "same",
    "to_json",
]
