"""How much may be on its way through the topology at once.

A tuple that is not acknowledged within Storm's time-out comes again, whole. With more on the way than the slowest store
can take in that time, everything times out, is written again, and nothing is ever acknowledged in time.
"""

from __future__ import annotations

from collections import deque


class Recent:
    """A sum over the last `seconds` of a clock that never goes back."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._added: deque[tuple[float, int]] = deque()
        self._sum = 0

    def add(self, amount: int, now: float) -> None:
        self._added.append((now, amount))
        self._sum += amount

    def total(self, now: float) -> int:
        """What was added in the last seconds."""
        while self._added and self._added[0][0] <= now - self._seconds:
            self._sum -= self._added.popleft()[1]
        return self._sum


class Pace:
    """Lets as much on its way as was acknowledged in the last `seconds`, between `least` and `most`.

    By Little's law (what is on its way = rate * time that it takes) a batch then takes no longer than `seconds`, at
    whatever rate the stores go; and what takes less is not held back, since the limit grows with the rate.
    """

    def __init__(self, least: int, most: int, seconds: float) -> None:
        self._least = least
        self._most = most
        self._acked = Recent(seconds)

    def acked(self, readings: int, now: float) -> None:
        """So many readings were acknowledged at `now`."""
        self._acked.add(readings, now)

    def timed_out(self) -> None:
        """Something was not done in time: `least` may be more than the stores take, and no longer holds."""
        self._least = 1

    def limit(self, now: float) -> int:
        """Most readings that may be un-acknowledged."""
        return min(max(self._least, self._acked.total(now)), self._most)
