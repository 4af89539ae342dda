"""The anomaly bolt: joins a batch with what closed along it, and judges all its readings at once."""

from typing import Any

from streamparse import Stream

from bolts import given_up_after
from bolts.machine import MachineBolt
from oda.core.batch import Batch, Closings
from oda.core.groups.telling import Said
from oda.core.judgement import Judgement
from oda.core.partition import Emit
from oda.core.text import to_text


class AnomalyBolt(MachineBolt[Judgement]):
    """Emits `anomalies`, `incidents`, `bands`, and `members` if there are groups.

    Keeps halves of joins besides, which a replay brings again.
    """

    machine = Judgement
    outputs = [
        *(Stream(name=kind, fields=["partition", "clock", "rows"]) for kind in ("anomalies", "incidents", "bands")),
        Stream(name="members", fields=["partition", "said"]),
    ]

    def initialize(self, storm_conf: dict[str, Any], context: dict[str, Any]) -> None:
        """Start the writer."""
        super().initialize(storm_conf, context)
        self.keep = given_up_after(storm_conf)
        self.halves: dict[tuple[int, int, int], tuple[Any, float]] = {}

    def process(self, tup: Any) -> None:
        """Keep a half, or go on when the other one is there."""
        # A replay is another emission (`seq`), so halves of different attempts never meet.
        key: Any = tuple(tup.values[:3])  # partition, epoch, seq: on both streams
        other, _ = self.halves.pop(key, (None, 0))
        with self.lock:
            if other is None:
                self._forget_old()
                self.halves[key] = (tup, self.world.monotonic())
            elif tup.stream == "readings":
                self._join(tup, other)
            else:
                self._join(other, tup)

    def fresh(self, position: int) -> Judgement:
        """A machine that begins there."""
        return Judgement(self.settings, position)

    def put_out(self, emit: Emit) -> None:
        """Emit what a batch brought about."""
        handle, batch, outputs, _ = emit
        for stream, rows in outputs.items():
            if stream == "members":  # of each batch, as it says how far the partition has come
                self.emit([batch.partition, to_text(Said.of(batch, rows))], stream=stream, anchors=list(handle))
            elif rows:
                self.emit([batch.partition, batch.clock, to_text(rows)], stream=stream, anchors=list(handle))

    def _join(self, batch: Any, closings: Any) -> None:
        joined = Batch.from_tuple(batch.values)._replace(closings=Closings.from_text(closings.values[-1]))
        self.receive(joined, (batch.id, closings.id))

    def _forget_old(self) -> None:
        """Drop halves that Storm has given up; insertion order is order of age."""
        limit = self.world.monotonic() - self.keep
        while self.halves and next(iter(self.halves.values()))[1] < limit:
            old, _ = self.halves.pop(next(iter(self.halves)))
            self.fail(old)  # or the worker keeps it for ever
