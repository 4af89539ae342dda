"""The twins of sigma/1, student/1, robust/1 and seasonal/1: what is expected of the readings that follow."""

from __future__ import annotations

from math import fsum, inf, sqrt
from typing import Any

from oda.audit.detectors.tail import beyond, quantile, variance_quantile
from oda.audit.detectors.twin import Band, BandTwin
from oda.core.kinds import ClosedWindow


class Sigma(BandTwin):
    def learn(self, window: ClosedWindow) -> Band | None:
        if window.count < self.parameters.min_count:
            return None
        scale = max(window.stddev, self.parameters.min_stddev)
        allowed = self.parameters.sigmas * scale
        return window.mean, scale, allowed, allowed, inf


class Student(BandTwin):
    def learn(self, window: ClosedWindow) -> Band | None:
        if window.count < self.parameters.min_count:
            return None
        return prediction(window.count, window.mean, window.stddev * window.stddev, self.parameters.sigmas)


class Robust(BandTwin):
    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters)
        self._windows: list[ClosedWindow] = []

    def learn(self, window: ClosedWindow) -> Band | None:
        self._windows.append(window)
        if len(self._windows) > self.parameters.windows:
            self._windows.pop(0)
        if len(self._windows) < self.parameters.min_windows:
            return None
        kept = self._alike()
        total = sum(one.count for one in kept)
        if total < 2:
            return None
        mean = fsum(one.count * one.mean for one in kept) / total
        squares = fsum(one.count * (_variance(one) + (one.mean - mean) * (one.mean - mean)) for one in kept)
        return prediction(total, mean, squares / total, self.parameters.sigmas)

    def _alike(self) -> list[ClosedWindow]:
        outlier = self.parameters.outlier
        middle = _median([one.mean for one in self._windows])
        apart = outlier * 1.4826 * _median([abs(one.mean - middle) for one in self._windows])
        true = _median(
            [0.0 if one.count == 1 else _variance(one) / variance_quantile(one.count, 0.5) for one in self._windows]
        )
        part = 1.0 - beyond(outlier) / 2.0
        alike = []
        for one in self._windows:
            varies = _variance(one) > 0.0
            if varies and not _variance(one) <= true * variance_quantile(one.count, part):
                continue
            if abs(one.mean - middle) <= apart:
                alike.append(one)
        return alike


class _Phase:
    """What is known of one part of the period."""

    def __init__(self) -> None:
        self.weight = 0.0
        self.squares = 0.0
        """Sum of the squared weights."""
        self.mean = 0.0
        self.variance = 0.0
        self.periods = 0
        self.newest = 0

    def begin(self, period: int, kept: float) -> None:
        self.weight *= kept
        self.squares = self.squares * kept * kept
        self.periods += 1
        self.newest = period

    def add(self, count: int, mean: float, variance: float) -> None:
        self.weight += count
        self.squares += count
        part = count / self.weight
        apart = mean - self.mean
        self.mean += part * apart
        self.variance = self.variance + part * (variance - self.variance) + part * (1.0 - part) * apart * apart


class Seasonal(BandTwin):
    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters)
        self._phases = [_Phase() for _ in range(parameters.phases)]

    def learn(self, window: ClosedWindow) -> Band | None:
        phase = self._at(window.start)
        usual = self._band(phase)
        mean, variance = window.mean, _variance(window)
        if usual is not None and usual[3] != 0.0:
            expected, _, below, above, _ = usual
            mean = min(max(mean, expected - below), expected + above)
            variance = min(variance, above * above)
        period = window.start // self.parameters.period
        if phase.periods == 0 or phase.newest != period:
            phase.begin(period, 1.0 - 1.0 / self.parameters.memory)
        phase.add(window.count, mean, variance)
        return self._band(self._at(window.end))

    def _at(self, time: int) -> _Phase:
        number: int = time % self.parameters.period * self.parameters.phases // self.parameters.period
        return self._phases[number]

    def _band(self, phase: _Phase) -> Band | None:
        if phase.periods < self.parameters.min_periods:
            return None
        readings = phase.weight * phase.weight / phase.squares
        return None if readings < 2.0 else prediction(readings, phase.mean, phase.variance, self.parameters.sigmas)


def prediction(readings: float, mean: float, variance: float, sigmas: float) -> Band:
    """Student's prediction interval of one more reading; the variance is the population's."""
    freedom = int(readings) - 1
    scale = sqrt(variance * (readings + 1.0) / (readings - 1.0))
    allowed = quantile(sigmas, freedom) * scale
    return mean, scale, allowed, allowed, float(freedom)


def _variance(window: ClosedWindow) -> float:
    return window.stddev * window.stddev


def _median(values: list[float]) -> float:
    values = sorted(values)
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2.0
