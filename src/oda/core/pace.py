"""How much may be on its way through the topology at once.

A tuple that is not acknowledged within Storm's time-out comes again, whole. With more on the way than the slowest store
can take in that time, everything times out, is written again, and nothing is ever acknowledged in time.
"""

from __future__ import annotations

from collections import deque


class Pace:
    """Lets as much on its way as was acknowledged in the last `seconds`, between `least` and `most`.

    By Little's law (what is on its way = rate * time that it takes) a batch then takes no longer than `seconds`, at
    whatever rate the stores go; and what takes less is not held back, since the limit grows with the rate.
    """

    def __init__(self, least: int, most: int, seconds: float) -> None:
        self._least = least
        self._most = most
        self._seconds = seconds
        self._acked: deque[tuple[float, int]] = deque()
        self._sum = 0

    def acked(self, readings: int, now: float) -> None:
        """So many readings were acknowledged at `now`, in seconds of a clock that never goes back."""
        self._acked.append((now, readings))
        self._sum += readings

    def timed_out(self) -> None:
        """Something was not done in time: `least` may be more than the stores take, and no longer holds."""
        self._least = 1

    def limit(self, now: float) -> int:
        """Most readings that may be un-acknowledged."""
        while self._acked and self._acked[0][0] <= now - self._seconds:
            self._sum -= self._acked.popleft()[1]
        return min(max(self._least, self._sum), self._most)
