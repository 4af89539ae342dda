"""The kinds of rows that ODA produces, each defined once: its fields, what they mean, and its place in the log.

Tables, mappings, statements and messages derive from `KINDS`. So a field is added here, where it is computed, and in
the audit's twin, and nowhere else. It goes to the end and has a default: rows of before are right without it.

A row's identity is its place in the log, never the moment it was written: the same log gives the same rows, so
writing one twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar, get_type_hints

import msgspec

from oda.core.reading import MAX_TIME


class Meaning(Enum):
    """What a field holds; each store says by which type of its own."""

    NAME = "a word or name to search by"
    TIME = "epoch ms"
    OFFSET = "a Kafka offset"
    COUNT = "how many"
    VALUE = "a number on a series' own scale"
    TEXT = "for people"
    BYTES = "as they came"


Name = Annotated[str, Meaning.NAME]
Time = Annotated[int, msgspec.Meta(ge=0, le=2 * MAX_TIME), Meaning.TIME]
Offset = Annotated[int, Meaning.OFFSET]
Count = Annotated[int, msgspec.Meta(ge=1), Meaning.COUNT]
CountOrNone = Annotated[int, msgspec.Meta(ge=0), Meaning.COUNT]
Value = Annotated[float, Meaning.VALUE]
Text = Annotated[str, Meaning.TEXT]
Bytes = Annotated[bytes | None, Meaning.BYTES]


class ClosedWindow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One closed window of one series: what its detectors learn from, or judge.

    `stddev` is the population's. `closed_at` is the offset of the record that closed it: a reading, a clock record, or
    one that brought other windows for the series. `late` counts the late readings of the series before `closed_at`,
    since it began, or began anew; `ahead` those held as outliers of time. `rules` is the version of the rules that made
    it.
    """

    series: Name
    start: Time
    end: Time
    count: Count
    mean: Value
    stddev: Value
    first_offset: Offset
    last_offset: Offset
    closed_at: Offset
    closed_by: Annotated[Literal["data", "clock", "rules"], Meaning.NAME]
    late: CountOrNone
    ahead: CountOrNone = 0
    rules: CountOrNone = 0


class Anomaly(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a detector found to be wrong: a reading, or a whole window.

    Of a window `time` is its start, `offset` that of its first reading, and `value` what is wrong about it. `mean`,
    `stddev`, `count` are those of the newest closed window, which starts at `window_start`; where there is none, all
    four are 0. `detector` is what the rules call it. `score` says how improbable it is, from 0 to 100 (`-10 log10 p`).
    From `low` to `high` is no anomaly; `expected` lies between. `found_at` is the offset of the record that brought it
    about: the reading itself, or what closed the window. `rules` is the version of the rules.
    """

    series: Name
    time: Time
    offset: Offset
    value: Value
    mean: Value
    stddev: Value
    count: CountOrNone
    window_start: Time
    detector: Name
    score: Value
    expected: Value
    low: Value
    high: Value
    found_at: Offset
    rules: CountOrNone


class Incident(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One change of one incident: anomalies of one series and detector that belong together (docs/incidents.md).

    The highest `number` counts: 0 is the opening. `time` and `offset` are those of the first anomaly, so all changes of
    one incident are together. `changed` is the time of the reading that brought the change about; of a change by the
    clock, or by other rules, that of the newest reading known, and `found_at` is the offset of the record. `count` and
    `last_time` are of the anomalies so far, `worst_...`, `expected`, `low` and `high` of that with the highest score.
    `labels` is a JSON object, its keys sorted. `rules` is the version of the rules.
    """

    series: Name
    time: Time
    offset: Offset
    detector: Name
    number: CountOrNone
    change: Annotated[Literal["opened", "escalated", "resolved"], Meaning.NAME]
    cause: Annotated[Literal["data", "clock", "rules"], Meaning.NAME]
    severity: Name
    changed: Time
    found_at: Offset
    count: Count
    last_time: Time
    worst_time: Time
    worst_value: Value
    worst_score: Value
    expected: Value
    low: Value
    high: Value
    labels: Text
    rules: CountOrNone


class Bounds(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a detector allows a series, from the record at offset `since` on, until the series' next window closes.

    Only of detectors that remember more than the newest window: else it follows from the window's own row. `time` and
    `first_offset` are those of the window that was learned from last: its start, and its first reading. From `low` to
    `high` is no anomaly; `expected` lies between. `rules` is the version of the rules.
    """

    series: Name
    time: Time
    since: Offset
    first_offset: Offset
    detector: Name
    expected: Value
    low: Value
    high: Value
    rules: CountOrNone


class Rejected(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A message that is no reading: its offset, why, and its original bytes, cut to what can be copied."""

    offset: Offset
    reason: Text
    key: Bytes
    value: Bytes


Row = TypeVar("Row", bound=msgspec.Struct)

Document = dict[str, Any]
"""A row by the names of its fields, with its origin: `topic` and `partition`."""


class Field(NamedTuple):
    """One field; `is_later` if rows of a former version may lack it."""

    name: str
    meaning: Meaning
    is_later: bool


class Located(NamedTuple, Generic[Row]):
    """A row, and of which topic and partition it is."""

    topic: str
    partition: int
    row: Row


@dataclass(frozen=True, eq=False)
class Kind(Generic[Row]):
    """One kind of row.

    Attributes:
        name: of its stream, and of what holds it in each store.
        row: its type.
        identity: the fields that, with topic and partition, are its place in the log; the first is an offset.
        made_at: the field that has the offset of the record that brought it about.
        time: the field that says when it was; of one without, no store of series takes it.
    """

    name: str
    row: type[Row]
    identity: tuple[str, ...]
    made_at: str
    time: str = ""

    @cached_property
    def rows(self) -> type[list[Row]]:
        """The type of several."""
        return list[self.row]  # type: ignore[name-defined]  # a type all the same

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """In the order of the row type."""
        hints = get_type_hints(self.row, include_extras=True)
        return tuple(
            Field(field.name, _meaning(hints[field.name]), field.default is not msgspec.NODEFAULT)
            for field in msgspec.structs.fields(self.row)
        )

    @cached_property
    def later(self) -> frozenset[str]:
        """Fields that rows of a former version may lack."""
        return frozenset(field.name for field in self.fields if field.is_later)

    @cached_property
    def meanings(self) -> Mapping[str, Meaning]:
        """By field."""
        return {field.name: field.meaning for field in self.fields}

    def document(self, topic: str, partition: int, row: Row) -> Document:
        """A row with its origin."""
        return {"topic": topic, "partition": partition, **msgspec.structs.asdict(row)}

    def place(self, row: Document) -> str:
        """A row's place in the log, as one text.

        Raises:
            KeyError: it has none.

        >>> ANOMALIES.place({"topic": "readings", "partition": 3, "offset": 7, "detector": "sigma/1"})
        'readings:3:7:sigma/1'
        """
        return ":".join(str(row[field]) for field in ("topic", "partition", *self.identity))

    def located(self, message: bytes | None) -> Located[Row]:
        """The row of a JSON document.

        Raises:
            ValueError: it is none of this kind.

        >>> rejected = REJECTED.document("readings", 3, Rejected(7, "not JSON", b"k", None))
        >>> REJECTED.located(msgspec.json.encode(rejected)).row
        Rejected(offset=7, reason='not JSON', key=b'k', value=None)
        """
        try:
            document = self._decoder.decode(message or b"")
        except RecursionError as error:  # of msgspec's own errors the base is ValueError
            raise ValueError(f"not of {self.name}: {error}") from None
        topic, partition, *values = msgspec.structs.astuple(document)
        return Located(topic, partition, self.row(*values))

    @cached_property
    def _decoder(self) -> msgspec.json.Decoder[Any]:
        """Of a type with the origin before the row's own fields."""
        fields: list[Any] = [("topic", str), ("partition", int)]
        for field in msgspec.structs.fields(self.row):
            default = () if field.default is msgspec.NODEFAULT else (field.default,)
            fields.append((field.name, field.type, *default))
        return msgspec.json.Decoder(msgspec.defstruct(self.name, fields))


def _meaning(hint: Any) -> Meaning:
    return next(part for part in hint.__metadata__ if isinstance(part, Meaning))


WINDOWS = Kind("windows", ClosedWindow, ("first_offset",), made_at="closed_at", time="start")
ANOMALIES = Kind("anomalies", Anomaly, ("offset", "detector"), made_at="found_at", time="time")
INCIDENTS = Kind("incidents", Incident, ("offset", "detector", "number"), made_at="found_at", time="time")
BANDS = Kind("bands", Bounds, ("since", "first_offset", "detector"), made_at="since", time="time")
REJECTED = Kind("rejected", Rejected, ("offset",), made_at="offset")

KINDS: Mapping[str, Kind[Any]] = {kind.name: kind for kind in (WINDOWS, ANOMALIES, INCIDENTS, BANDS, REJECTED)}
"""By name."""

OF_SERIES = tuple(kind for kind in KINDS.values() if kind.time)
"""Those whose rows are of a series and a time."""

FINDINGS: tuple[Kind[Any], ...] = (WINDOWS, ANOMALIES, INCIDENTS)
"""Those that people look through: bands only belong to a series' readings."""
