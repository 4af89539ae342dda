"""What is usual at this time of the day, or of the week."""

from __future__ import annotations

from struct import Struct
from typing import Annotated, NamedTuple

import msgspec
from pydantic import Field

from oda.core.detectors.contract import Band, BandDetector, Parameters, TailSigmas
from oda.core.detectors.student import prediction
from oda.core.duration import LongerThanNone
from oda.core.kinds import ClosedWindow


class SeasonalParameters(Parameters):
    """How rare an anomaly is, what recurs, and how long it is remembered."""

    sigmas: TailSigmas = Field(4.0, description="how rare an anomaly is, as standard deviations of normal noise")
    period: LongerThanNone = Field(86_400_000, description="what recurs, in ms or as 12h, 1d, 7d; by UTC")
    phases: Annotated[int, Field(ge=1, le=10_080)] = Field(
        48, description="equal parts of the period, each with a profile of its own; not shorter than a window"
    )
    min_periods: Annotated[int, Field(ge=1)] = Field(3, description="periods that a phase must have had to be judged")
    memory: Annotated[float, Field(ge=1, allow_inf_nan=False)] = Field(
        10.0, description="periods in which the past is forgotten, as time constant"
    )


class Phase(NamedTuple):
    """What is known of one phase: its readings' weights, which go with time, as a sum and as one of their squares;
    their weighted mean and population variance.

    `periods` counts those that had readings, `newest` is the number of the last of them.
    """

    weight: float = 0.0
    squares: float = 0.0
    mean: float = 0.0
    variance: float = 0.0
    periods: int = 0
    newest: int = 0

    @property
    def readings(self) -> float:
        """So many readings of equal weight would say as much (Kish, "Survey Sampling", 1965)."""
        return self.weight * self.weight / self.squares


_PHASE = Struct("<ddddIq")


class Profile(msgspec.Struct, array_like=True):
    """All phases of a period, 44 bytes each; empty for a new series."""

    phases: bytearray = msgspec.field(default_factory=bytearray)


class Seasonal(BandDetector[SeasonalParameters, Profile]):
    """Student's prediction interval of the readings of the same phase of earlier periods.

    Each phase keeps the moments of its readings: count, mean and variance, merged window by window (Chan, Golub,
    LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979). At the first window of
    a phase in a new period the weight of what is known is multiplied by `1 - 1/memory`. What a window teaches is
    clipped to the band, so that an unusual day does not become usual at once. In the order of its operations, for `p`
    the window's part of the weight and `d` the distance of its mean: `variance + p * (v - variance) + p * (1 - p) * d *
    d`, then `mean + p * d`.

    A band is of the phase in which the newest window ended: a series should have windows in each phase, and none that
    is longer. The promised rate holds for readings that are independent and normal around the same mean in the same
    phase; of noise with heavy tails more is flagged. Periods are of UTC: a day's profile is an hour off when clocks
    change.

    >>> seasonal, state = Seasonal(SeasonalParameters(period=100, phases=2, min_periods=1)), Profile()
    >>> for at in range(0, 400, 50):
    ...     window = ClosedWindow("pump", at, at + 50, 9, float(at % 100), 1.0, at, at, at + 1, "data", 0)
    ...     band = seasonal.update(state, window)
    >>> band.expected, round(band.above, 2)
    (0.0, 4.69)
    """

    name = "seasonal/1"
    Parameters = SeasonalParameters
    State = Profile

    def update(self, state: Profile, window: ClosedWindow) -> Band | None:
        if not state.phases:
            state.phases = bytearray(_PHASE.size * self.parameters.phases)
        self._learn(state, window)
        _, at = self._place(window.end)
        return self._band(_read(state, at))

    def _learn(self, state: Profile, window: ClosedWindow) -> None:
        period, at = self._place(window.start)
        phase = _read(state, at)
        band = self._band(phase)
        mean, variance = window.mean, window.stddev * window.stddev
        if band and band.above:  # what never varied is clipped by nothing, or it would stay so for ever
            mean = min(max(mean, band.expected - band.below), band.expected + band.above)
            variance = min(variance, band.above * band.above)
        if period != phase.newest or not phase.periods:
            phase = _aged(phase, 1 - 1 / self.parameters.memory, period)
        weight = phase.weight + window.count
        part = window.count / weight
        apart = mean - phase.mean
        merged = phase.variance + part * (variance - phase.variance) + part * (1 - part) * apart * apart
        squares, mean = phase.squares + window.count, phase.mean + part * apart
        _write(state, at, phase._replace(weight=weight, squares=squares, mean=mean, variance=merged))

    def _place(self, time: int) -> tuple[int, int]:
        """The number of a time's period, and its phase."""
        rules = self.parameters
        period, into = divmod(time, rules.period)
        return period, into * rules.phases // rules.period

    def _band(self, phase: Phase) -> Band | None:
        if phase.periods < self.parameters.min_periods or phase.readings < 2:
            return None
        return prediction(phase.readings, phase.mean, phase.variance, self.parameters.sigmas)


def _aged(phase: Phase, kept: float, period: int) -> Phase:
    """At the beginning of a period."""
    weight, squares = phase.weight * kept, phase.squares * kept * kept
    return phase._replace(weight=weight, squares=squares, periods=min(phase.periods + 1, 2**31), newest=period)


def _read(state: Profile, at: int) -> Phase:
    return Phase(*_PHASE.unpack_from(state.phases, at * _PHASE.size))


def _write(state: Profile, at: int, phase: Phase) -> None:
    _PHASE.pack_into(state.phases, at * _PHASE.size, *phase)
