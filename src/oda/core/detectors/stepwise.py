"""What the detectors that score readings share: state as columns, the k-th readings of all series at once, and alarms.

A recurrence is sequential within a series; over series it is not. So the first readings of all series are one step,
then the second ones, and so on. Each step is arithmetic on columns, element by element: a series' results are the same
bits whatever else is in the batch.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from math import exp
from typing import Annotated, NamedTuple, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from oda.core.detectors.contract import Parameters, Scored, ScoreDetector
from oda.core.detectors.tail import score_of

Column = NDArray[np.float64]

_AT_ONCE = 128
"""Series: their states fit into a core's cache."""

_USUAL = 4.0
"""Spreads within which a reading is usual, for people."""


def gain(readings: float) -> float:
    """Of an exponential mean that forgets with a time constant of so many readings; rounded, to be the same everywhere.

    >>> gain(48.0)
    0.0206178
    """
    return round(1 - exp(-1 / readings), 7)


Threshold = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class AlarmParameters(Parameters):
    """A score is an alarm if it reaches `threshold * (1 + fatigue * A)`, after `warm_up` and `rest`.

    `A` grows by 1 with each alarm and decays with the time constant `recovery`: what is often unusual is less so.
    """

    threshold: Threshold
    warm_up: Annotated[int, Field(ge=0)] = Field(100, description="readings of a series before its first alarm")
    rest: Annotated[int, Field(ge=0)] = Field(120, description="readings after an alarm without another one")
    fatigue: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        0.75, description="by which part of itself each recent alarm raises the threshold"
    )
    recovery: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(
        2500.0, description="readings, as time constant, in which fatigue goes"
    )


class Numbers(msgspec.Struct, array_like=True):
    """The state of a series: little-endian doubles; empty for a new one."""

    numbers: bytes = b""


class Step(NamedTuple):
    """Of a reading of each series, columns: its score in standard deviations, what was expected, and its spread."""

    score: Column
    expected: Column
    spread: Column


P = TypeVar("P", bound=AlarmParameters)


class Stepwise(ScoreDetector[P, Numbers]):
    """A detector by one step for a reading of each series. Its state is rows of numbers, and those of alarms."""

    State = Numbers

    @abstractmethod
    def new(self) -> Column:
        """The numbers of a new series."""

    @abstractmethod
    def step(self, numbers: Column, seen: Column, values: Column) -> Step:
        """Score a reading of each series, and learn from it.

        Args:
            numbers: shape (size of the state, n): a column for each series; changed in place.
            seen: shape (n,): readings of the series up to this one.
            values: shape (n,).
        """

    def score(self, states: Sequence[Numbers], which: NDArray[np.intp], values: Column) -> Scored:
        """As `ScoreDetector` says, some series at a time."""
        found = Scored(np.zeros(len(values), np.bool_), *(np.zeros(len(values)) for _ in range(4)))
        for first in range(0, len(states), _AT_ONCE):
            some = states[first : first + _AT_ONCE]
            mine = np.flatnonzero((which >= first) & (which < first + len(some)))
            if len(mine):
                for column, part in zip(found, self._score(some, which[mine] - first, values[mine]), strict=True):
                    column[mine] = part
        return found

    def _score(self, states: Sequence[Numbers], which: NDArray[np.intp], values: Column) -> Scored:
        counts = np.bincount(which, minlength=len(states))
        # Those with most readings first: so those that have a k-th one are the first so many.
        most_first = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
        place = np.zeros(len(states), np.intp)
        place[most_first] = np.arange(len(most_first))
        ordered = [states[at] for at in most_first]
        rows = np.frombuffer(b"".join(state.numbers or self._new for state in ordered), "<f8").reshape(len(ordered), -1)
        columns = rows.T.copy()
        order = np.lexsort((place[which], _ranks(which, counts)))
        alarms, *others = (column[np.argsort(order)] for column in self._steps(columns, values[order], _active(counts)))
        for state, row in zip(ordered, columns.T, strict=True):
            state.numbers = row.tobytes()
        return Scored(alarms != 0, *others)

    def _steps(self, columns: Column, values: Column, active: list[int]) -> list[Column]:
        """All first readings, then all second ones; `active` says how many each."""
        found = [np.empty(len(values)) for _ in Scored._fields]
        first = 0
        for number in active:
            to = slice(first, first + number)
            for column, part in zip(found, self._judge(columns[:, :number], values[to]), strict=True):
                column[to] = part
            first += number
        return found

    @cached_property
    def _new(self) -> bytes:
        return np.concatenate([[0.0, np.inf, 0.0], self.new()], dtype="<f8").tobytes()

    def _judge(self, columns: Column, values: Column) -> tuple[Column, ...]:
        """One reading of each series."""
        rules = self.parameters
        seen, since, fatigue = columns[:3]
        seen += 1
        since += 1
        fatigue *= 1 - gain(rules.recovery)
        step = self.step(columns[3:], seen, values)
        alarms = (
            (step.score >= rules.threshold * (1 + rules.fatigue * fatigue))
            & (seen > rules.warm_up)
            & (since > rules.rest)
        )
        since[alarms] = 0
        fatigue += alarms
        scores = np.zeros(len(values))
        scores[alarms] = [score_of(score) for score in step.score[alarms].tolist()]
        usual = _USUAL * step.spread
        return alarms, scores, step.expected, step.expected - usual, step.expected + usual


def _ranks(which: NDArray[np.intp], counts: NDArray[np.intp]) -> NDArray[np.intp]:
    """How many readings of its series are before each.

    >>> _ranks(np.array([2, 0, 2, 2]), np.array([1, 0, 3])).tolist()
    [0, 0, 1, 2]
    """
    ranks = np.empty(len(which), np.intp)
    ranks[np.argsort(which, kind="stable")] = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    return ranks


def _active(counts: NDArray[np.intp]) -> list[int]:
    """How many series have a k-th reading, for each k.

    >>> _active(np.array([1, 0, 3]))
    [2, 1, 1]
    """
    active: list[int] = (len(counts) - np.cumsum(np.bincount(counts))[:-1]).tolist()
    return active
