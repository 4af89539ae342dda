"""The second implementation of what a message means, with Python's own json, to be checked by eye.

It must accept what `oda.core.reading.decode` accepts, with the same meaning, and nothing else; reasons are
that one's business. So it shares nothing with it but the type, and is as plain as docs/semantics.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from math import isinf
from typing import Any, NamedTuple

from oda.core.reading import Reading

_RFC_3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?(?:[Zz]|([+-])([01]\d|2[0-3]):?([0-5]\d))", re.ASCII
)


CLOCK_KEY = b"\xffoda.clock"
"""Of a record that may be a clock record."""


class ClockRecord(NamedTuple):
    """Its group, the position up to which its writer had read, by series the start of the last window to close (ms).

    And the series that end.
    """

    group: str
    position: int
    through: dict[str, int]
    ended: tuple[str, ...] = ()


RULES_KEY = b"\xffoda.rules"
"""Of a record that may be a rule record."""


class RuleRecord(NamedTuple):
    """Its group, the version of the rules that it brings forward, and their SHA-256 in hexadecimal digits."""

    group: str
    version: int
    sha256: str


DERIVED_KEY = b"\xffoda.group"
"""Of a record that may be a derived reading."""


class DerivedRecord(NamedTuple):
    """Its consumer group, and what a group's members made."""

    group: str
    reading: Reading


class _Object(list[tuple[str, Any]]):
    """The fields of a JSON object in their order, repeated ones, too."""


class _Integer(str):
    """The digits of a number without fraction or exponent."""


class _Fraction(str):
    """The text of any other number."""


def read_message(data: bytes | None, timestamp: int, max_ahead: int, by_broker: bool = True) -> Reading | None:
    """What a message value means; None if it is no reading.

    Args:
        data: the message's value; None is a tombstone.
        timestamp: of its record, epoch ms.
        max_ahead: how far the reading's time may be ahead of when it came, ms.
        by_broker: whether `timestamp` is when it came, by the broker's clock; else it is what its producer claims.
    """
    try:
        fields = _fields(data, _READ)
        series, (time, least), value = (fields[name] for name in ("series", "time", "value"))
    except (ValueError, KeyError):
        return None
    if time < least or series.startswith("group:"):
        return None
    if not 0 <= time < 2**43 or _is_ahead(time, timestamp, max_ahead, by_broker):
        return None
    return Reading(series, time, value) if abs(value) <= 1e100 else None


def read_clock_record(data: bytes | None) -> ClockRecord | None:
    """What the value of a record with the key `CLOCK_KEY` means; None if it is none."""
    try:
        fields = _fields(data, _READ_CLOCK)
        return ClockRecord(fields["group"], fields["position"], fields["through"], fields.get("ended", ()))
    except (ValueError, KeyError):
        return None


def read_rule_record(data: bytes | None) -> RuleRecord | None:
    """What the value of a record with the key `RULES_KEY` means; None if it is none."""
    try:
        fields = _fields(data, _READ_RULES)
        return RuleRecord(fields["group"], fields["version"], fields["sha256"])
    except (ValueError, KeyError):
        return None


def read_derived_record(data: bytes | None) -> DerivedRecord | None:
    """What the value of a record with the key `DERIVED_KEY` means; None if it is none."""
    try:
        fields = _fields(data, _READ_DERIVED)
        reading = Reading(fields["series"], fields["time"], fields["value"])
        return DerivedRecord(fields["group"], reading)
    except (ValueError, KeyError):
        return None


def _fields(data: bytes | None, read: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
    """The fields of a JSON object that are in `read`. Raises ValueError when it is none, or one is wrong."""
    if data is None or data.count(b"[") + data.count(b"{") > 500:
        raise ValueError
    content = _parse(data)
    if not isinstance(content, _Object):
        raise ValueError
    # A field that is repeated counts as it is the last time, and must be of the right kind each time.
    return {name: read[name](value) for name, value in content if name in read}


def _is_ahead(time: int, timestamp: int, max_ahead: int, by_broker: bool) -> bool:
    """A producer's timestamp counts only from the year 2000 on, and may be slow by a leap year."""
    if by_broker:
        return time > timestamp + max_ahead
    if timestamp < datetime(2000, 1, 1, tzinfo=UTC).timestamp() * 1000:
        return False
    return time > timestamp + max(max_ahead, 366 * 24 * 60 * 60 * 1000)


def _parse(data: bytes) -> Any:
    """Strict JSON. Raises ValueError."""
    text = data.decode("utf-8")
    content = _decoder.decode(text)
    if "\\u" in text:
        for string in _strings(content):
            string.encode("utf-8")  # ValueError for half a surrogate pair
    return content


def _strings(content: Any) -> Iterator[str]:
    """All texts in what was parsed, names of fields too; without recursion, as deep as it may be."""
    rest = [content]
    while rest:
        item = rest.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, list | tuple):
            rest += item


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


_decoder = json.JSONDecoder(
    object_pairs_hook=_Object, parse_int=_Integer, parse_float=_Fraction, parse_constant=_refuse
)


def _series(value: Any) -> str:
    if type(value) is not str or not 1 <= len(value) <= 249:
        raise ValueError
    return value


def _time(value: Any) -> tuple[int, int]:
    """Epoch ms, and the least that is accepted of what is written so: a number is of 1980 or later, or a mistake."""
    if type(value) is _Integer and len(value) <= 4300:  # what msgspec takes for one
        return int(value), 315_532_800_000
    if type(value) is not str or not (match := _RFC_3339.fullmatch(value)):
        raise ValueError
    date, clock, fraction, sign, hours, minutes = match.groups()
    seconds = (datetime.fromisoformat(f"{date}T{clock}+00:00") - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        seconds=1
    )
    if sign:
        seconds -= int(sign + "1") * (int(hours) * 3600 + int(minutes) * 60)
    tenths = int(((fraction or "") + "0000000")[:7])  # of a microsecond, to which it is rounded
    return (seconds * 1_000_000 + (tenths + 5) // 10) // 1000, 0


def _value(value: Any) -> float:
    if type(value) not in (_Integer, _Fraction):
        raise ValueError
    number = float(value)
    if isinf(number):
        raise ValueError
    return number + 0.0 if type(value) is _Integer else number  # there is no integer -0


_READ: dict[str, Callable[[Any], Any]] = {"series": _series, "time": _time, "value": _value}


def _group(value: Any) -> str:
    if type(value) is not str:
        raise ValueError
    return value


def _integer(value: Any, end: int) -> int:
    if type(value) is not _Integer or len(value) > 4300 or not 0 <= int(value) < end:
        raise ValueError
    return int(value)


def _through(value: Any) -> dict[str, int]:
    if not isinstance(value, _Object):
        raise ValueError
    return {_series(name): _integer(start, 2**43) for name, start in value}


def _ended(value: Any) -> tuple[str, ...]:
    if type(value) is not list:
        raise ValueError
    return tuple(_series(name) for name in value)


_READ_CLOCK: dict[str, Callable[[Any], Any]] = {
    "group": _group,
    "position": lambda value: _integer(value, 2**63),
    "through": _through,
    "ended": _ended,
}


def _version(value: Any) -> int:
    if _integer(value, 2**63) == 0:
        raise ValueError
    return int(value)


def _sha256(value: Any) -> str:
    if type(value) is not str or not re.fullmatch("[0-9a-f]{64}", value):
        raise ValueError
    return value


_READ_RULES: dict[str, Callable[[Any], Any]] = {"group": _group, "version": _version, "sha256": _sha256}


def _of_group(value: Any) -> str:
    if not _series(value).startswith("group:"):
        raise ValueError
    return str(value)


def _within(value: Any) -> float:
    number = _value(value)
    if abs(number) > 1e100:
        raise ValueError
    return number


_READ_DERIVED: dict[str, Callable[[Any], Any]] = {
    "group": _group,
    "series": _of_group,
    "time": lambda value: _integer(value, 2**43),
    "value": _within,
}
