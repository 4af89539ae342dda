"""The work in Quix Streams, one process a worker, all in one consumer group.

States are in RocksDB, with a changelog topic; at least once. That is its default.
"""

import sys
from os import environ
from typing import Any

import processes
from quixstreams import Application, State
from quixstreams.kafka import ConnectionConfig
from security import librdkafka
from series import new_state, step


def judge(reading: dict[str, Any], state: State) -> list[dict[str, Any]]:
    """Apply a reading to the state of its message key."""
    series = state.get("series") or new_state()
    rows = step(series, reading["series"], reading["time"], reading["value"])
    state.set("series", series)
    return rows


def work() -> None:
    """One worker, until SIGTERM."""
    brokers = {"bootstrap.servers": environ["BROKERS"], **librdkafka()}
    app = Application(
        broker_address=ConnectionConfig.from_librdkafka_dict(brokers),
        consumer_group=environ["GROUP"],
        auto_offset_reset="earliest",
        state_dir=f"{environ['STATE']}/{sys.argv[1]}",
        loglevel="WARNING",
        producer_extra_config={"linger.ms": 50},
    )
    frame = app.dataframe(app.topic(environ["READINGS"], value_deserializer="json"))
    frame.apply(judge, stateful=True, expand=True).to_topic(app.topic(environ["RESULTS"], value_serializer="json"))
    app.run()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        work()
    else:
        sys.exit(processes.run([[sys.executable, __file__, str(n)] for n in range(processes.WORKERS)]))
