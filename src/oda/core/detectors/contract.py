"""What a detector is: its parameters, its state of a series, and one of three ways to judge.

All are pure and deterministic, and their state is bounded: what a series' detector says depends on the series' log
alone, never on how it was cut into batches, on other series, or on where a snapshot was taken. So a recurrence uses
+ - * / and square roots only, element by element in a fixed order: the last bits of anything else, and of BLAS, depend
on the machine. Constants may come from anywhere, if they are rounded.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import inf
from typing import Annotated, Any, ClassVar, Generic, NamedTuple, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from oda.core.kinds import ClosedWindow

Sigmas = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""How rare an anomaly is: as readings of normal noise beyond so many standard deviations, `2 * (1 - Phi(sigmas))`."""

_MOST_SIGMAS = 37


def _has_quantile(sigmas: float) -> float:
    if sigmas > _MOST_SIGMAS:
        raise ValueError(
            f"must be at most {_MOST_SIGMAS}: what is rarer has a probability that no number of the machine can hold, "
            "so no threshold follows from it"
        )
    return sigmas


TailSigmas = Annotated[
    Sigmas,
    AfterValidator(_has_quantile),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": _MOST_SIGMAS}),
]
"""The same, where the threshold is the quantile of another distribution."""


class Parameters(BaseModel):
    """The parameters of a detector: a frozen model whose fields have defaults, and descriptions with units."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Nothing(msgspec.Struct, array_like=True):
    """The state of a detector that remembers nothing."""


NOTHING = Nothing()

ANYTHING = (0.0, inf, inf)
"""What is expected, how much below, how much above it is allowed, where nothing is judged."""


class Band(NamedTuple):
    """What is expected of the readings that follow.

    A reading is an anomaly if `value - expected > above` or `expected - value > below`.

    Attributes:
        scale: what a distance is measured in: a standard deviation, or what stands for it.
        freedom: degrees of freedom of `distance / scale` as Student's t; infinite for the normal distribution.
    """

    expected: float
    scale: float
    below: float
    above: float
    freedom: float


class Finding(NamedTuple):
    """What is wrong with a closed window: a value of it, what was expected, within which bounds; a score, 0 to 100."""

    value: float
    expected: float
    low: float
    high: float
    score: float


class Scored(NamedTuple):
    """Readings that were scored, as columns of shape (n,).

    A reading with an alarm is an anomaly; `scores` are 0 to 100, of all readings; `low` and `high` say what is usual,
    for people: alarms come of more than a reading's own distance.
    """

    alarms: NDArray[np.bool_]
    scores: NDArray[np.float64]
    expected: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


P = TypeVar("P", bound=Parameters)
S = TypeVar("S", bound=msgspec.Struct)


class Detector(ABC, Generic[P, S]):
    """What all have. Two of one type with equal parameters are equal.

    Attributes:
        name: with its version, which grows whenever the same log would give other results.
        Parameters: their type.
        State: of one series; made without arguments for a new one. It goes through msgpack and back without loss.
    """

    name: ClassVar[str]
    Parameters: ClassVar[type[Any]] = Parameters
    State: ClassVar[type[Any]] = Nothing

    def __init__(self, parameters: P) -> None:
        self.parameters = parameters

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.parameters == self.parameters

    def __hash__(self) -> int:
        return hash((type(self), self.parameters))

    def __repr__(self) -> str:
        return f"{self.name}({self.parameters!r})"


class BandDetector(Detector[P, S]):
    """Learns from closed windows what to expect of readings."""

    @abstractmethod
    def update(self, state: S, window: ClosedWindow) -> Band | None:
        """Learn from a window that has closed.

        Args:
            state: of the series; changed in place.
            window: of the series, in the order in which its windows closed.

        Returns:
            The band for the readings from `window.closed_at` on; None if none is to be judged.
        """

    def allowed(self, windows: Sequence[ClosedWindow]) -> NDArray[np.float64]:
        """What the bands after many windows allow, equal to those of `update` to the last bit.

        Only asked of a detector without a state; one that works with columns is faster here.

        Args:
            windows: n, each of a series of its own, or not.

        Returns:
            Shape (3, n): what is expected, how much below, how much above it is allowed; `ANYTHING` without a band.
        """
        bands = [self.update(self.State(), window) for window in windows]
        rows = [ANYTHING if band is None else (band.expected, band.below, band.above) for band in bands]
        return np.array(rows).reshape(-1, 3).T


class WindowDetector(Detector[P, S]):
    """Judges the closed windows themselves."""

    @abstractmethod
    def check(self, state: S, window: ClosedWindow) -> Finding | None:
        """Judge a window that has closed, then learn from it; arguments as of `BandDetector.update`."""


class ScoreDetector(Detector[P, S]):
    """Scores each reading by the readings before it; needs no windows."""

    @abstractmethod
    def score(self, states: Sequence[S], which: NDArray[np.intp], values: NDArray[np.float64]) -> Scored:
        """Score readings and learn from them, each series' in order.

        Args:
            states: of series, each once; changed in place.
            which: shape (n,): the index into `states` of each reading, in the order of the log.
            values: shape (n,), finite.
        """
