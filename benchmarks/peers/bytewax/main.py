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
from security import librdkafka
from series import State, new_state, step

BROKERS = environ["BROKERS"].split(",")
Reading = dict[str, Any]


def keyed(messages: list[KafkaSourceMessage]) -> Iterable[tuple[str, Reading]]:
    """A batch at a time, which spares an operator's call for each message."""
    readings = (orjson.loads(message.value) for message in messages)
    return [(reading["series"], reading) for reading in readings]


class Series(StatefulBatchLogic[Reading, KafkaSinkMessage, State]):
    """One series."""

    def __init__(self, state: State | None) -> None:
        self.state = state or new_state()

    def on_batch(self, values: list[Reading]) -> tuple[Iterable[KafkaSinkMessage], bool]:
        """Apply readings, and stay."""
        rows: list[dict[str, Any]] = []
        for reading in values:
            rows += step(self.state, reading["series"], reading["time"], reading["value"])
        messages = [KafkaSinkMessage(row["series"].encode(), orjson.dumps(row)) for row in rows]
        return messages, StatefulBatchLogic.RETAIN

    def snapshot(self) -> State:
        """For a recovery store."""
        return [*self.state[:5], [list(window) for window in self.state[5]]]


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
messages = op.input("readings", flow, source)
judged = op.stateful_batch("series", op.flat_map_batch("keyed", messages, keyed), Series)
op.output("results", op.key_rm("rows", judged), sink)

if __name__ == "__main__":
    addresses = ";".join(f"127.0.0.1:{int(environ.get('PORT', '32101')) + n}" for n in range(processes.WORKERS))
    command = [sys.executable, "-m", "bytewax.run", f"{__file__}:flow"]
    if processes.WORKERS == 1:
        sys.exit(processes.run([command]))
    sys.exit(processes.run([[*command, "-i", str(n), "-a", addresses] for n in range(processes.WORKERS)]))
