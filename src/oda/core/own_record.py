"""The values of records that ODA itself writes into the log, and tells from readings by their keys."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from oda.core.reading import MAX_BRACKETS, RejectedError

Record = TypeVar("Record", bound=msgspec.Struct)


def decode(decoder: msgspec.json.Decoder[Record], data: bytes | None, what: str) -> Record:
    """The value of a record whose key says that it is one.

    Args:
        decoder: of its type.
        data: None is a tombstone.
        what: it should be, as in "clock record".

    Raises:
        RejectedError: it is none.
    """
    if data is None or data.count(b"[") + data.count(b"{") > MAX_BRACKETS:
        raise RejectedError(f"not a {what}, as its key says")
    try:
        return decoder.decode(data.decode())
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RejectedError(f"not a {what}, as its key says: {error}") from None
