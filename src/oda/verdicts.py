"""What people say of incidents: the records of the topic of verdicts, by which rules can be scored. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

MOST_COMMENT = 2_000


class Verdict(msgspec.Struct, frozen=True):
    """What somebody said of an incident; keyed by the incident's place, and of one place the newest counts.

    `verdict` says whether it was one: None if nobody can tell yet. The rest tells what it was about without the
    incident: from its first anomaly's time to its last one's. Times, such as `at`, are in epoch ms.
    """

    place: str
    series: str
    detector: str
    time: int
    last_time: int
    by: str
    at: int
    acknowledged: bool = False
    verdict: Literal["true", "false alarm"] | None = None
    comment: Annotated[str, msgspec.Meta(max_length=MOST_COMMENT)] = ""


_decoder = msgspec.json.Decoder(Verdict)


def decode(message: bytes | None) -> Verdict | None:
    """The verdict of a message; None if it is none."""
    try:
        return _decoder.decode(message or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def newest(messages: Iterable[bytes | None]) -> dict[str, Verdict]:
    """By place, what was said last.

    >>> said = Verdict("readings:3:7:sigma/1", "pump", "sigma/1", 5, 9, "ann", 10)
    >>> later = msgspec.structs.replace(said, verdict="true", at=11)
    >>> newest(map(msgspec.json.encode, [said, later]))[said.place].verdict
    'true'
    """
    found = (decode(message) for message in messages)
    return {one.place: one for one in found if one is not None}
