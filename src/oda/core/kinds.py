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
    """One closed window of one series. Also the series' baseline while it is the newest.

    `stddev` is the population's. `closed_at` is the offset of the record that closed it: a reading, or for
    `closed_by="clock"` a clock record. `late` counts the late readings of the series before `closed_at`, since the
    log began.
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
    closed_by: Annotated[Literal["data", "clock"], Meaning.NAME]
    late: CountOrNone


class Anomaly(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A reading beyond the allowed distance from its baseline, and that baseline.

    `mean`, `stddev`, `count` are those of the window that starts at `window_start`.
    """

    series: Name
    time: Time
    offset: Offset
    value: Value
    mean: Value
    stddev: Value
    count: Count
    window_start: Time


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
        offset: the field that is its place in the log, with topic and partition.
        made_at: the field that has the offset of the record that brought it about.
        time: the field that says when it was; of one without, no store of series takes it.
    """

    name: str
    row: type[Row]
    offset: str
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

    def document(self, topic: str, partition: int, row: Row) -> Document:
        """A row with its origin."""
        return {"topic": topic, "partition": partition, **msgspec.structs.asdict(row)}

    def place(self, row: Document) -> str:
        """A row's place in the log, as one text.

        Raises:
            KeyError: it has none.
        """
        return f"{row['topic']}:{row['partition']}:{row[self.offset]}"

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


WINDOWS = Kind("windows", ClosedWindow, offset="first_offset", made_at="closed_at", time="start")
ANOMALIES = Kind("anomalies", Anomaly, offset="offset", made_at="offset", time="time")
REJECTED = Kind("rejected", Rejected, offset="offset", made_at="offset")

KINDS: Mapping[str, Kind[Any]] = {kind.name: kind for kind in (WINDOWS, ANOMALIES, REJECTED)}
"""By name."""

OF_SERIES = tuple(kind for kind in KINDS.values() if kind.time)
"""Those whose rows are of a series and a time."""
