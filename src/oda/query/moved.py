"""Which members moved a group's reading that is an anomaly: out of the log of members, merged again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from oda.core.groups.aggregates import Row, members_of
from oda.core.groups.moved import WINDOWS_BEFORE, Gathering, moved
from oda.core.kinds import Anomaly, ClosedWindow, Located
from oda.kafka.members import told_since
from oda.query.why import Online
from oda.settings import Settings
from oda.shown import plain, time_text

SHOWN = 10
"""Members."""

_AHEAD_MS = 600_000
"""The log of members is read from so long before the windows on: clocks differ, and readings may be ahead of theirs."""


def lines(
    store: Online, one: Located[Anomaly], window: ClosedWindow | None, settings: Settings
) -> Iterator[tuple[str, str]]:
    """What to tell people of the members, line by line, as `oda.query.why.lines` does.

    Args:
        store: where the group's readings are archived.
        one: an anomaly of a group's series.
        window: the newest closed window of that series then, if there was one.
        settings: where Kafka is.

    Raises:
        UserError: Kafka can't be reached.
    """
    row = one.row
    reading = _reading(store, one, window.end - window.start if window else 0)
    if reading is None:
        yield f"the archive has no reading of {plain(row.series)} at {time_text(row.time)}", "wrong"
        return
    start, value = reading
    found = _gathered(row.series, start, value, settings)
    definition, rows = found.definition, found.rows
    if definition is None:
        yield f"topic {settings.kafka.members} has no member of the window of {time_text(start)} any more", "wrong"
        return
    yield (
        f"the group's reading: {value!r}, {definition.aggregate} of {members_of(rows)} members in the window of "
        f"{time_text(start)}, {definition.size / 1000:g} s, by version {definition.rules} of the rules",
        "fact",
    )
    if definition.aggregate == "late":
        yield "how many members came too late is what the log of members says as a whole: `oda verify`", "fact"
        return
    before = found.before()
    yield f"moved most, against {len(before)} windows before:", "fact"
    for member in moved(definition.aggregate, rows, before)[:SHOWN]:
        yield f"  {member.by:+.6g}  {plain(member.series)}: {_did(member.now)}, before {_did(member.before)}", "reading"
    if found.again == value:
        yield "merged again from the log of members: equal to the last bit", "right"
    else:
        yield f"group: the reading is {value!r} in the store, {found.again!r} merged again", "wrong"


def _gathered(group: str, start: int, value: float, settings: Settings) -> Gathering:
    """A second time, if only the log says that windows are so long."""
    before = _AHEAD_MS
    while True:
        found = Gathering(group, start, value)
        for told in told_since(settings.kafka, group, start - before):
            if found.take(told):
                break
        needed = _AHEAD_MS + WINDOWS_BEFORE * (found.definition.size if found.definition else 0)
        if needed - before <= _AHEAD_MS // 2:
            return found
        before = needed


def _reading(store: Online, one: Located[Anomaly], size: int) -> tuple[int, float] | None:
    """The group's reading that was wrong: of a window of its series the one that is furthest from what was expected."""
    row = one.row
    parts = store.archived(row.series, one.partition, row.time, row.time + max(1, size))
    found = [
        (time, value) for part in parts for time, value in zip(part.times.tolist(), part.values.tolist(), strict=True)
    ]
    at_once = [reading for reading in found if reading == (row.time, row.value)]
    return max(at_once or found, key=lambda reading: abs(reading[1] - row.expected), default=None)


def _did(rows: Sequence[Row]) -> str:
    if not rows:
        return "not there"
    count = sum(row.count for row in rows)
    mean = sum(row.count * row.mean for row in rows) / count
    anomalous = ", anomalous" if any(row.is_anomalous for row in rows) else ""
    return f"mean {mean:.6g} of {count} readings{anomalous}"
