"""Rule records: the place in the log from which on a partition follows a version of the rules.

The rules themselves are in a topic of their own (see `oda.kafka.rules`); a rule record only names a version of them,
and its hash. So whoever can write readings can bring forward what an administrator has written, and nothing else.

Like a clock record it belongs to one consumer group, and is told from a reading by its key, which is no UTF-8. It is
passed over unless its version is beyond the partition's own: so it may be repeated, and of two who apply rules at the
same time the same one wins everywhere.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from oda.core import own_record

KEY = b"\xffoda.rules"
"""The key of every rule record."""

Version = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Digest = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class RuleRecord(msgspec.Struct, frozen=True):
    """Its value; `sha256` is that of the rules' text, as hexadecimal digits."""

    group: str
    version: Version
    sha256: Digest


_decoder = msgspec.json.Decoder(RuleRecord)


def decode(data: bytes | None) -> RuleRecord:
    """The value of a record whose key is `KEY`.

    Raises:
        RejectedError: it is no rule record.
    """
    return own_record.decode(_decoder, data, "rule record")


def encode(group: str, version: int, sha256: str) -> bytes:
    """The value of a rule record.

    >>> decode(encode("oda", 7, "0" * 64)).version
    7
    """
    return msgspec.json.encode(RuleRecord(group, version, sha256))
