"""The twins of d1/1 and d5/1: how new a reading is, and when that is an alarm."""

from __future__ import annotations

from abc import abstractmethod
from math import copysign, exp, inf, sqrt
from typing import Any

from oda.audit.detectors.tail import score
from oda.audit.detectors.twin import Scored, ScoreTwin


class _Usual:
    """What a quantity usually is: its running mean and variance."""

    def __init__(self, memory: float, first: int = 50) -> None:
        self.memory = memory
        self.first = first
        self.learned = 0
        self.mean = 0.0
        self.variance = 0.0

    def z(self, value: float) -> float:
        """The distance from the mean in standard deviations; 0 for the first values. Then learns the value."""
        distance = value - self.mean
        deviation = max(sqrt(self.variance), 1e-9 * abs(self.mean))
        z = 0.0
        if self.learned >= self.first:
            if distance != 0.0:
                z = distance / deviation if deviation > 0.0 else copysign(inf, distance)
            if self.variance > 0.0:
                distance = min(max(distance, -5.0 * deviation), 5.0 * deviation)
        self.learned += 1
        gain = max(1.0 / self.learned, 1.0 / self.memory)
        self.mean += gain * distance
        self.variance = (1.0 - gain) * (self.variance + gain * distance * distance)
        return z


class _Mean:
    """An exponential mean that forgets with a time constant of so many readings."""

    def __init__(self, readings: float) -> None:
        self.gain = gain(readings)
        self.n = 0
        self.value = 0.0

    def add(self, value: float) -> float:
        self.n += 1
        self.value += max(self.gain, 1.0 / self.n) * (value - self.value)
        return self.value


class _Deviation:
    """How far readings are from their slow mean just now, against how far they usually are."""

    def __init__(self) -> None:
        self.slow = _Mean(150)
        self.energy = _Mean(48)
        self.usual = _Usual(5000.0)

    def z(self, value: float) -> tuple[float, float]:
        """That, and the slow mean before the reading."""
        if self.slow.n == 0:
            self.slow.value = value
        before = self.slow.value
        distance = value - before
        self.slow.add(value)
        return self.usual.z(sqrt(self.energy.add(distance * distance))), before


class _Shapes:
    """How far the latest window of block means is from the most similar one of the last 512 blocks."""

    def __init__(self, readings: int, length: int) -> None:
        self.readings = readings
        self.length = length
        self.usual = _Usual(5000.0 / readings, first=6)
        self.open: list[float] = []
        self.blocks: list[float] = []
        self.newest = 0.0

    def z(self, value: float) -> float:
        """It stays as it is while a block is open."""
        self.open.append(value)
        if len(self.open) == self.readings:
            total = 0.0
            for one in self.open:
                total += one
            self.open = []
            self.blocks = [*self.blocks, total / self.readings][-512:]
            if len(self.blocks) >= 2 * self.length:
                self.newest = self.usual.z(sqrt(self._nearest() / self.length))
        return max(self.newest, 0.0)

    def _nearest(self) -> float:
        """The least sum of squared differences from a window that does not overlap the latest; newest blocks first."""
        latest = self.blocks[: -self.length - 1 : -1]
        least = inf
        for end in range(self.length, len(self.blocks) - self.length + 1):
            total = 0.0
            for back, block in enumerate(latest, 1):
                difference = block - self.blocks[end - back]
                total += difference * difference
                if total >= least:
                    break
            else:
                least = total
        return least


class _Alarms(ScoreTwin):
    """When a score is an alarm."""

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters)
        self._deviation = _Deviation()
        self._seen = 0
        self._last: int | None = None
        """Number of the reading with the last alarm."""
        self._fatigue = 0.0

    @abstractmethod
    def score(self, z: float, value: float) -> float:
        """Of a reading; `z` is that of the local deviation."""

    def read(self, value: float) -> Scored:
        rules = self.parameters
        self._seen += 1
        self._fatigue *= 1.0 - gain(rules.recovery)
        z, expected = self._deviation.z(value)
        new = self.score(z, value)
        alarm = (
            new >= rules.threshold * (1.0 + rules.fatigue * self._fatigue)
            and self._seen > rules.warm_up
            and (self._last is None or self._seen - self._last > rules.rest)
        )
        if alarm:
            self._last = self._seen
            self._fatigue += 1.0
        usual = 4.0 * self._deviation.usual.mean
        return alarm, score(new, 1.0, inf) if alarm else 0.0, expected, expected - usual, expected + usual


class D1(_Alarms):
    def score(self, z: float, value: float) -> float:  # noqa: ARG002 - the deviation is all that it looks at
        return min(abs(z), 4.0)


class D5(_Alarms):
    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters)
        self._means = [(_Mean(8), _Usual(5000.0)), (_Mean(16), _Usual(5000.0))]
        self._shapes = [(_Shapes(2, 4), 0.5), (_Shapes(4, 8), 1.0), (_Shapes(8, 8), 1.0)]

    def score(self, z: float, value: float) -> float:
        total = _evidence(z)
        for mean, usual in self._means:
            total += 0.5 * _evidence(usual.z(mean.add(value)))
        for shapes, weight in self._shapes:
            total += weight * _evidence(shapes.z(value))
        return sqrt(total / 4.5)


def _evidence(z: float) -> float:
    highest = min(abs(z), 4.0)
    return highest * highest


def gain(readings: float) -> float:
    """Of an exponential mean with a time constant of so many readings; 7 decimals."""
    return round(1.0 - exp(-1.0 / readings), 7)
