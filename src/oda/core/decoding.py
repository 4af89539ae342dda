"""Many messages decoded at once, with the meaning that `decode` gives to each.

A stream is nearly all readings, and decoding them together costs a quarter. Whatever is unusual, in any message,
has each of them decoded by itself: that names the culprit and its fault.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

import msgspec
import numpy as np
from numpy.typing import NDArray

from oda.core.ahead import latest_time
from oda.core.batch import Readings
from oda.core.groups.definition import is_group
from oda.core.reading import MAX_BRACKETS, MAX_TIME, MAX_VALUE, MIN_NUMBER, Reading, RejectedError, decode, decoder


def decode_all(
    offsets: Sequence[int],
    timestamps: Sequence[int],
    by_broker: Sequence[bool],
    messages: Sequence[bytes | None],
    max_ahead: int,
) -> tuple[Readings, dict[int, str]]:
    """Decode Kafka message values.

    Args:
        offsets: of shape (n,), like the next three.
        timestamps: the record timestamps, epoch ms.
        by_broker: whether the broker made them; else they are the producer's time.
        messages: the values; None is a tombstone.
        max_ahead: how far a reading's time may be ahead of when it came, ms.

    Returns:
        the readings, and why each of the others is none, by its index.
    """
    readings = _together(offsets, timestamps, by_broker, messages, max_ahead)
    return (readings, {}) if readings is not None else _each(offsets, timestamps, by_broker, messages, max_ahead)


def _together(
    offsets: Sequence[int],
    timestamps: Sequence[int],
    by_broker: Sequence[bool],
    messages: Sequence[bytes | None],
    max_ahead: int,
) -> Readings | None:
    """None if anything is unusual.

    A line break between `}` and `{` can be neither within a JSON object nor within a string: when these are the
    only ones, no value reaches across messages, and as many values as messages means one in each.
    """
    try:
        text = b"\n".join(messages)  # type: ignore[arg-type]  # a tombstone is a TypeError
        breaks = len(messages) - 1
        if not (text.startswith(b"{") and text.endswith(b"}") and text.count(b"\n") == text.count(b"}\n{") == breaks):
            return None
        if text.count(b"[") + text.count(b"{") >= len(messages) + MAX_BRACKETS:
            return None
        found = decoder.decode_lines(text.decode())
    except (TypeError, UnicodeDecodeError, msgspec.DecodeError):
        return None
    if len(found) != len(messages):
        return None
    times = np.array([message.time for message in found])
    if times.dtype != np.int64 or times.min() < MIN_NUMBER or times.max() > MAX_TIME:
        return None
    values = np.array([message.value for message in found])
    if np.abs(values).max() > MAX_VALUE:
        return None
    # A producer's time refuses nothing that the broker's would not.
    if (times - np.array(timestamps)).max() > max_ahead and _is_any_ahead(times, timestamps, by_broker, max_ahead):
        return None
    index: dict[str, int] = {}
    series = [index.setdefault(message.series, len(index)) for message in found]
    if any(map(is_group, index)):
        return None
    return Readings(list(index), np.array(series, np.int32), np.array(offsets), times, values)


def _is_any_ahead(
    times: NDArray[np.int64], timestamps: Sequence[int], by_broker: Sequence[bool], max_ahead: int
) -> bool:
    latest = map(latest_time, timestamps, repeat(max_ahead), by_broker)
    return any(last is not None and time > last for time, last in zip(times.tolist(), latest, strict=True))


def _each(
    offsets: Sequence[int],
    timestamps: Sequence[int],
    by_broker: Sequence[bool],
    messages: Sequence[bytes | None],
    max_ahead: int,
) -> tuple[Readings, dict[int, str]]:
    good: list[int] = []
    readings: list[Reading] = []
    rejected: dict[int, str] = {}
    for number, (offset, timestamp, broker, message) in enumerate(
        zip(offsets, timestamps, by_broker, messages, strict=True)
    ):
        try:
            readings.append(decode(message, timestamp, max_ahead, broker))
        except RejectedError as error:
            rejected[number] = str(error)
        else:
            good.append(offset)
    return Readings.of(good, readings), rejected
