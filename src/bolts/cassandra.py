"""The Cassandra sink: windows, anomalies and the archive of readings into the online store."""

from typing import Any

from bolts.sink import SinkBolt
from oda.core.batch import Batch
from oda.core.rows import Anomaly, ClosedWindow
from oda.core.text import from_text
from oda.stores.cassandra import CassandraWriter


class CassandraSink(SinkBolt):
    """Writes the streams `readings`, `windows` and `anomalies`."""

    linger_seconds = 0.2

    def open(self) -> CassandraWriter:
        """Connect to Cassandra."""
        return CassandraWriter(self.settings.cassandra)

    def add(self, store: Any, tup: Any) -> None:
        """Add a tuple of any of the three streams."""
        if tup.stream == "readings":
            store.readings(Batch.from_tuple(tup.values))
        elif tup.stream == "windows":
            partition, clock, rows = tup.values
            store.windows(partition, clock, from_text(rows, list[ClosedWindow]))
        else:
            partition, clock, rows = tup.values
            store.anomalies(partition, clock, from_text(rows, list[Anomaly]))
