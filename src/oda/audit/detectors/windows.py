"""The twins of stuck/1, silent/1, level/1 and rate/1: what is wrong with a closed window."""

from __future__ import annotations

from math import fsum, sqrt
from typing import Any

from oda.audit.detectors.bands import prediction
from oda.audit.detectors.tail import quantile, score
from oda.audit.detectors.twin import Finding, WindowTwin
from oda.core.kinds import ClosedWindow


class Stuck(WindowTwin):
    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters)
        self._value = 0.0
        self._readings = 0

    def look(self, window: ClosedWindow) -> Finding | None:
        if window.stddev != 0.0:
            self._readings = 0
        elif window.mean == self._value:
            self._readings += window.count
        else:
            self._value, self._readings = window.mean, window.count
        most = self.parameters.readings - 1
        return (float(self._readings), 1.0, 1.0, float(most), 100.0) if self._readings > most else None


class Silent(WindowTwin):
    def look(self, window: ClosedWindow) -> Finding | None:
        usual = float(window.count)
        return (0.0, usual, 1.0, usual, 100.0) if window.closed_by == "clock" else None


class Level(WindowTwin):
    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters)
        self._means: list[float] = []

    def look(self, window: ClosedWindow) -> Finding | None:
        recent = self.parameters.recent
        self._means.append(window.mean)
        if len(self._means) > self.parameters.before + recent:
            self._means.pop(0)
        former, latter = self._means[:-recent], self._means[-recent:]
        if len(former) < self.parameters.min_before:
            return None
        usual, now = _mean(former), _mean(latter)
        freedom = len(former) + len(latter) - 2
        pooled = (_squares(former, usual) + _squares(latter, now)) / freedom
        scale = sqrt(pooled * (1.0 / len(former) + 1.0 / len(latter)))
        allowed = quantile(self.parameters.sigmas, freedom) * scale
        if not abs(now - usual) > allowed:
            return None
        self._means = latter
        return now, usual, usual - allowed, usual + allowed, score(now - usual, scale, freedom)


class Rate(WindowTwin):
    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters)
        self._counts: list[int] = []
        self._end = -1

    def look(self, window: ClosedWindow) -> Finding | None:
        whole = window.start == self._end and window.closed_by != "clock"
        self._end = window.end
        if not whole:
            return None
        before = list(self._counts)
        self._counts.append(window.count)
        if len(self._counts) > self.parameters.windows:
            self._counts.pop(0)
        n = len(before)
        if n < self.parameters.min_windows:
            return None
        mean = sum(before) / n
        least = self.parameters.min_stddev * self.parameters.min_stddev * (n - 1) / n
        variance = max(fsum((count - mean) * (count - mean) for count in before) / n, least)
        _, scale, below, above, freedom = prediction(n, mean, variance, self.parameters.sigmas)
        distance = window.count - mean
        if not abs(distance) > above:
            return None
        return float(window.count), mean, mean - below, mean + above, score(distance, scale, freedom)


def _mean(values: list[float]) -> float:
    """From the first value on: the mean of equal values is that value."""
    return values[0] + fsum(value - values[0] for value in values) / len(values)


def _squares(values: list[float], mean: float) -> float:
    return fsum((value - mean) * (value - mean) for value in values)
