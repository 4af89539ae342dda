"""The reference: what windows and anomalies are, in the plainest Python, one reading at a time.

It exists to be checked by eye. So it shares with the bolts only the message format and the row
types, and it must stay ignorant of batches, replays, snapshots and stores.
"""

from __future__ import annotations

from math import erfc, log10, sqrt

from oda.audit.message import ClockRecord
from oda.core.kinds import Anomaly, ClosedWindow
from oda.core.reading import Reading
from oda.settings import Judge, Window


class _Open:
    """A window that still takes readings.

    Sums are shifted by the window's first value, so they stay exact to a factor of the count however
    far the values are from zero (Chan, Golub, LeVeque 1983: "Algorithms for computing the sample variance").
    """

    __slots__ = ("count", "first_offset", "last_offset", "s1", "s2", "shift")

    def __init__(self, offset: int, value: float) -> None:
        self.first_offset = offset
        self.shift = value
        self.count = 0
        self.s1 = 0.0
        self.s2 = 0.0

    def add(self, offset: int, value: float) -> None:
        difference = value - self.shift
        self.s1 += difference
        self.s2 += difference * difference
        self.count += 1
        self.last_offset = offset

    def mean(self) -> float:
        return self.shift + self.s1 / self.count

    def stddev(self) -> float:
        return sqrt(max(0.0, (self.s2 - self.s1 * self.s1 / self.count) / self.count))


class _Series:
    """What is known of one series so far."""

    __slots__ = ("baseline", "closed_through", "late", "latest_offset", "newest", "open")

    def __init__(self, time: int) -> None:
        self.newest = time
        """Largest time seen, epoch ms."""
        self.latest_offset = -1
        self.closed_through = -(2**63)
        """Number of the newest window that can take no more readings."""
        self.open: dict[int, _Open] = {}
        self.late = 0
        self.baseline: ClosedWindow | None = None


class Reference:
    """One partition of the log, read once from its beginning.

    Attributes:
        windows: what closed, in the order of closing.
        anomalies: what was judged to be one, in the order of the log.

    >>> reference = Reference(Window(size_ms=1000), Judge())
    >>> for offset, (time, value) in enumerate([(0, 4.0), (500, 6.0), (1000, 9.5)]):
    ...     reference.read(offset, Reading("pump-7", time, value))
    >>> [(w.start, w.count, w.mean, w.stddev, w.closed_at) for w in reference.windows]
    [(0, 2, 5.0, 1.0, 2)]
    >>> [(a.time, a.value, a.window_start) for a in reference.anomalies]
    [(1000, 9.5, 0)]
    """

    def __init__(self, window: Window, judge: Judge) -> None:
        self.windows: list[ClosedWindow] = []
        self.anomalies: list[Anomaly] = []
        self._size = window.size_ms
        self._lateness = window.lateness_ms
        self._judge = judge
        self._series: dict[str, _Series] = {}

    def read(self, offset: int, reading: Reading) -> None:
        """Apply the reading at `offset`; offsets ascend."""
        name, time, value = reading
        series = self._series.get(name)
        if series is None:
            series = self._series[name] = _Series(time)
        series.newest = max(series.newest, time)
        series.latest_offset = offset

        over = (series.newest - self._lateness) // self._size - 1
        if over > series.closed_through:
            self._close(name, series, over, offset, clock=False)

        number = time // self._size
        if number <= series.closed_through:
            series.late += 1
        else:
            if number not in series.open:
                series.open[number] = _Open(offset, value)
            series.open[number].add(offset, value)

        base = series.baseline
        if base is not None and base.count >= self._judge.min_count:
            scale = max(base.stddev, self._judge.min_stddev)
            allowed = self._judge.sigmas * scale
            distance = abs(value - base.mean)
            if distance > allowed:
                self.anomalies.append(
                    Anomaly(
                        name,
                        time,
                        offset,
                        value,
                        base.mean,
                        base.stddev,
                        base.count,
                        base.start,
                        detector="sigma/1",
                        score=_score(distance, scale),
                        expected=base.mean,
                        low=base.mean - allowed,
                        high=base.mean + allowed,
                        found_at=offset,
                        rules=0,
                    )
                )

    def read_clock(self, offset: int, record: ClockRecord) -> None:
        """Apply the clock record at `offset`; offsets ascend, those of readings included.

        For each series it closes the windows up to the one that starts at the given time, unless the series has had
        a reading at or behind the record's position. A series that ends so is as if it had never been, unless it has
        such a reading, or an open window.
        """
        for name, start in record.through.items():
            series = self._series.get(name)
            if series is not None and series.latest_offset < record.position:
                due = [number for number in series.open if number <= start // self._size]
                if due:
                    self._close(name, series, max(due), offset, clock=True)
        for name in record.ended:
            series = self._series.get(name)
            if series is not None and series.latest_offset < record.position and not series.open:
                del self._series[name]

    def _close(self, name: str, series: _Series, through: int, at: int, *, clock: bool) -> None:
        for number in sorted(number for number in series.open if number <= through):
            window = series.open.pop(number)
            start = number * self._size
            series.baseline = ClosedWindow(
                name,
                start,
                start + self._size,
                window.count,
                window.mean(),
                window.stddev(),
                window.first_offset,
                window.last_offset,
                closed_at=at,
                closed_by="clock" if clock else "data",
                late=series.late,
            )
            self.windows.append(series.baseline)
        series.closed_through = through


def _score(distance: float, scale: float) -> float:
    """How improbable it is that normal noise gets so far away from its mean, in decibels, and at most 100."""
    if scale == 0.0:
        return 100.0
    probability = erfc(distance / scale / sqrt(2.0))
    if probability == 0.0:
        return 100.0
    return min(round(-10.0 * log10(probability), 2), 100.0)
