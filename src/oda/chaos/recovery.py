"""How long after a fault the system works again, seen from outside: in Kafka."""

from __future__ import annotations

import threading
import time
from contextlib import closing, suppress
from math import inf
from typing import NamedTuple

from kafka import TopicPartition
from kafka.errors import KafkaError

from oda.chaos.load import SERIES
from oda.core.kinds import ANOMALIES, Anomaly
from oda.kafka.group import Group
from oda.kafka.reader import follow, reader
from oda.settings import Settings


class Recovery(NamedTuple):
    """Seconds from the end of a fault; infinite for never.

    Of a fault that is outlived `judged` and `stored` are from its beginning, while what was struck stays away. What
    is stored is looked at only when it has struck: where that takes minutes, `stored` is no less.

    Attributes:
        healed: until what does not start again by itself had been started, and served.
        judged: until readings produced after it were judged, in every series.
        stored: until all that was in the log by then was in every store, too: its offsets were committed.
        behind: how old the newest reading that was judged became at most, in any series, from its beginning on: the
            longest that nothing was judged.
    """

    healed: float
    judged: float
    stored: float
    behind: float


class Observer:
    """Watches the results from its start on.

    Attributes:
        unjudged: the series of which nothing was judged in time, when `wait` last gave up.
    """

    def __init__(self, settings: Settings) -> None:
        self.unjudged: list[str] = []
        self._settings = settings
        self._newest = dict.fromkeys(SERIES, 0)
        self._since_ms = 0
        self._judged_ms: int | None = None
        self._behind_ms = dict.fromkeys(SERIES, 0)
        self._noted = threading.Condition()
        threading.Thread(target=self._run, daemon=True).start()

    def expect(self, since_ms: int) -> None:
        """A fault ended at `since_ms` (epoch ms): look for readings produced after it."""
        with self._noted:
            self._since_ms, self._judged_ms = since_ms, None

    def begin(self) -> None:
        """A fault begins."""
        with self._noted:
            self._behind_ms = dict.fromkeys(SERIES, 0)

    def wait(self, limit: float) -> Recovery:
        """Recovery from that fault, which is healed now; waits at most `limit` s for each of the two."""
        healed = self._seconds_after(_now_ms())
        with self._noted:
            if not self._noted.wait_for(lambda: self._judged_ms is not None, limit):
                self.unjudged = [series for series, newest in self._newest.items() if newest < self._since_ms]
                return Recovery(healed, inf, inf, inf)
            judged = self._seconds_after(self._judged_ms or 0)
            behind = max(self._behind_ms.values()) / 1000
        stored = self._wait_until_stored(limit)
        return Recovery(healed, judged, self._seconds_after(_now_ms()) if stored else inf, behind)

    def _seconds_after(self, time_ms: int) -> float:
        return (time_ms - self._since_ms) / 1000

    def _wait_until_stored(self, limit: float) -> bool:
        deadline = time.monotonic() + limit
        ends: dict[TopicPartition, int] = {}
        with closing(Group(self._settings.kafka)) as group:
            while time.monotonic() < deadline:
                with suppress(KafkaError):  # the broker is only just back
                    ends = ends or group.ends()
                    committed = group.committed()
                    if all(committed[part] >= end for part, end in ends.items()):
                        return True
                time.sleep(0.2)
        return False

    def _run(self) -> None:
        kafka = self._settings.kafka
        with reader(kafka, [kafka.anomalies], from_beginning=False, fetch_max_wait_ms=100) as consumer:
            for _, records in follow(consumer):
                self._note([ANOMALIES.located(record.value).row for record in records])

    def _note(self, rows: list[Anomaly]) -> None:
        now = _now_ms()
        with self._noted:
            for row in rows:
                if row.time > self._newest.get(row.series, row.time):
                    behind = now - self._newest[row.series]
                    self._behind_ms[row.series] = max(behind, self._behind_ms[row.series])
                    self._newest[row.series] = row.time
            if self._judged_ms is None and min(self._newest.values()) >= self._since_ms:
                self._judged_ms = now
                self._noted.notify_all()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
