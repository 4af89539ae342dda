"""The work in bytewax, one process a worker.

bytewax keeps states in memory, and in a recovery store where one is set up. Here is none, its default and its
fastest: after a crash it would begin anew.
"""

import sys
from collections.abc import Iterable
from os import environ
from typing import Any

import bytewax.operators as op
import orjson
import processes
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic
from confluent_kafka import OFFSET_BEGINNING
from groups import State as Totals
from groups import group_of, merge
from security import librdkafka
from series import State, new_state, step

BROKERS = environ["BROKERS"].split(",")
GROUP_RESULTS = environ.get("GROUP_RESULTS")
Reading = dict[str, Any]
Row = dict[str, Any]


def keyed(messages: list[KafkaSourceMessage]) -> Iterable[tuple[str, Reading]]:
    """A batch at a time, which spares an operator's call for each message."""
    readings = (orjson.loads(message.value) for message in messages)
    return [(reading["series"], reading) for reading in readings]


def messages(rows: list[tuple[str, Row]]) -> Iterable[KafkaSinkMessage]:
    """What is written."""
    return [KafkaSinkMessage(key.encode(), orjson.dumps(row)) for key, row in rows]


def windows(rows: list[tuple[str, Row]]) -> Iterable[tuple[str, Row]]:
    """Those of members, by their groups."""
    return [(group_of(series), row) for series, row in rows if "start" in row]


class Series(StatefulBatchLogic[Reading, Row, State]):
    """One series."""

    def __init__(self, state: State | None) -> None:
        self.state = state or new_state()

    def on_batch(self, values: list[Reading]) -> tuple[Iterable[Row], bool]:
        """Apply readings, and stay."""
        rows: list[Row] = []
        for reading in values:
            rows += step(self.state, reading["series"], reading["time"], reading["value"])
        return rows, StatefulBatchLogic.RETAIN

    def snapshot(self) -> State:
        """For a recovery store."""
        return [*self.state[:5], [list(window) for window in self.state[5]]]


class Group(StatefulBatchLogic[Row, Row, Totals]):
    """One group."""

    def __init__(self, state: Totals | None) -> None:
        self.state = state or {}

    def on_batch(self, values: list[Row]) -> tuple[Iterable[Row], bool]:
        """Apply windows of members, and stay."""
        return merge(self.state, group_of(values[0]["series"]), values), StatefulBatchLogic.RETAIN

    def snapshot(self) -> Totals:
        """For a recovery store."""
        return {start: list(total) for start, total in self.state.items()}


flow = Dataflow("oda")
source = KafkaSource(
    BROKERS,
    [environ["READINGS"]],
    tail=True,
    starting_offset=OFFSET_BEGINNING,
    add_config=librdkafka(),
    batch_size=10_000,
)
sink = KafkaSink(BROKERS, environ["RESULTS"], add_config=librdkafka())
readings = op.input("readings", flow, source)
judged = op.stateful_batch("series", op.flat_map_batch("keyed", readings, keyed), Series)
op.output("results", op.flat_map_batch("rows", judged, messages), sink)
if GROUP_RESULTS is not None:
    totals = op.stateful_batch("groups", op.flat_map_batch("windows", judged, windows), Group)
    group_sink = KafkaSink(BROKERS, GROUP_RESULTS, add_config=librdkafka())
    op.output("group results", op.flat_map_batch("group rows", totals, messages), group_sink)

if __name__ == "__main__":
    addresses = ";".join(f"127.0.0.1:{int(environ.get('PORT', '32101')) + n}" for n in range(processes.WORKERS))
    command = [sys.executable, "-m", "bytewax.run", f"{__file__}:flow"]
    if processes.WORKERS == 1:
        sys.exit(processes.run([command]))
    sys.exit(processes.run([[*command, "-i", str(n), "-a", addresses] for n in range(processes.WORKERS)]))
