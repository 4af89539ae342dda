"""What the newest audit found, as a record of the topic of audits: who shows it may be on another machine."""

from __future__ import annotations

import msgspec


class AuditRecord(msgspec.Struct, frozen=True):
    """One audit of a service of audits, keyed by its group.

    Attributes:
        at: when it ended, epoch ms.
        seconds: how long it took.
        since, offsets: by partition, from where to where in the log it went; what lies before was audited before.
        differences: rows that are wrong, in all audits since the first; `examples` are some of the newest.
        problem: why it could not be done; empty if it was.
    """

    group: str
    at: int
    seconds: float
    since: dict[int, int]
    offsets: dict[int, int]
    differences: int
    examples: list[str] = []
    problem: str = ""


_decoder = msgspec.json.Decoder(AuditRecord)


def decode(message: bytes | None) -> AuditRecord | None:
    """The record of a message; None if it is none."""
    try:
        return _decoder.decode(message or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
