"""The window bolt: closes the windows of each partition along its log."""

from typing import Any, cast

from streamparse import Stream

from bolts.machine import MachineBolt
from oda.core.batch import Batch, Closings
from oda.core.groups.telling import Quiet
from oda.core.partition import Emit
from oda.core.text import to_text
from oda.core.window_partition import AllQuiet, Mark, WindowPartition
from oda.core.windows import PartitionWindows
from oda.kafka.clock import ClockWriter


class WindowBolt(MachineBolt[PartitionWindows]):
    """Emits `windows` (closed ones, to the sinks) and `closings` (of each batch, to the anomaly bolt).

    And `quiet`, for groups.
    """

    machine = PartitionWindows
    outputs = [
        Stream(name="windows", fields=["partition", "clock", "rows"]),
        Stream(name="closings", fields=["partition", "epoch", "seq", "rows"]),
        Stream(name="quiet", fields=["partition", "said"]),
    ]
    open_clock: Any = ClockWriter

    def initialize(self, storm_conf: dict[str, Any], context: dict[str, Any]) -> None:
        """Start the writers."""
        super().initialize(storm_conf, context)
        self.clock: Any = None
        self.records = self.in_background(self._write_clock, lambda _: None)

    def process(self, tup: Any) -> None:
        """Apply a batch, or look for silence as of a clock."""
        # A tuple's id is handle enough; its payload must not be kept until it is acknowledged.
        with self.lock:
            if tup.stream == "clock":
                number, epoch, position, committed, clock = tup.values
                partition = cast(WindowPartition, self.partition(number))
                self.do(number, partition.clock(epoch, position, committed, clock, self.world.monotonic()))
                self.ack(tup)
            else:
                self.receive(Batch.from_tuple(tup.values), (tup.id,))

    def fresh(self, position: int) -> PartitionWindows:
        """A machine that begins there."""
        return PartitionWindows(self.settings, position)

    def new_partition(self, save_seconds: float) -> WindowPartition:
        """One of which nothing is known yet."""
        return WindowPartition(self.fresh, save_seconds)

    def do(self, number: int, actions: list[Any]) -> None:
        """As all do; write clock records; and tell groups of quiet."""
        for action in actions:
            if isinstance(action, Mark):
                self.records.put((number, action))
            elif isinstance(action, AllQuiet):
                self.emit([number, to_text(Quiet(number, action.position))], stream="quiet")
            else:
                super().do(number, [action])

    def put_out(self, emit: Emit) -> None:
        """Emit what closed along a batch."""
        handle, batch, outputs, forgotten = emit
        if closed := outputs["closed"]:
            self.emit([batch.partition, batch.clock, to_text(closed)], stream="windows", anchors=list(handle))
        closings = Closings.of(forgotten, outputs)
        self.emit(
            [batch.partition, batch.epoch, batch.seq, closings.to_text()], stream="closings", anchors=list(handle)
        )

    def _write_clock(self, records: list[tuple[int, Mark]]) -> None:
        """In the clock writer's thread."""
        if self.clock is None:
            self.clock = self.open_clock(self.settings.kafka)
        for number, mark in records:
            self.clock.write(number, *mark)
