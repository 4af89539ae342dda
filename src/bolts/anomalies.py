"""The anomaly bolt: joins a batch with its baselines and judges all its readings at once."""

from typing import Any

from streamparse import Bolt, Stream

from bolts import given_up_after
from oda.core.baselines import Baselines, judge
from oda.core.batch import Batch
from oda.core.text import to_text
from oda.settings import Settings
from oda.world import WORLD


class AnomalyBolt(Bolt):
    """Emits `anomalies`. Keeps only halves of joins, which a replay brings again."""

    auto_ack = False
    outputs = [Stream(name="anomalies", fields=["partition", "clock", "rows"])]
    world = WORLD

    def initialize(self, storm_conf: dict[str, Any], context: dict[str, Any]) -> None:
        """Read the settings."""
        self.rules = Settings.from_options(storm_conf).judge
        self.keep = given_up_after(storm_conf)
        self.halves: dict[tuple[int, int, int], tuple[Any, float]] = {}

    def process(self, tup: Any) -> None:
        """Keep a half, or judge when the other one is there."""
        # A replay is another emission (`seq`), so halves of different attempts never meet.
        key: Any = tuple(tup.values[:3])  # partition, epoch, seq: on both streams
        other, _ = self.halves.pop(key, (None, 0))
        if other is None:
            self._forget_old()
            self.halves[key] = (tup, self.world.monotonic())
        elif tup.stream == "readings":
            self._judge(tup, other)
        else:
            self._judge(other, tup)

    def _judge(self, batch_tuple: Any, baselines_tuple: Any) -> None:
        batch = Batch.from_tuple(batch_tuple.values)
        rows = judge(batch.readings, Baselines.from_text(baselines_tuple.values[-1]), self.rules)
        if rows:
            values = [batch.partition, batch.clock, to_text(rows)]
            self.emit(values, stream="anomalies", anchors=[batch_tuple, baselines_tuple])
        self.ack(batch_tuple)
        self.ack(baselines_tuple)

    def _forget_old(self) -> None:
        """Drop halves that Storm has given up; insertion order is order of age."""
        limit = self.world.monotonic() - self.keep
        while self.halves and next(iter(self.halves.values()))[1] < limit:
            old, _ = self.halves.pop(next(iter(self.halves)))
            self.fail(old)  # or the worker keeps it for ever
