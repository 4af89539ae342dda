"""The Kafka sink: windows, anomalies and rejected messages for later stages."""

from typing import Any

from bolts.sink import SinkBolt
from oda.core.rows import Anomaly, ClosedWindow, Rejected
from oda.core.text import from_text
from oda.stores.kafka import KafkaWriter


class KafkaSink(SinkBolt):
    """Writes the streams `windows`, `anomalies` and `rejected`."""

    def open(self) -> KafkaWriter:
        """Connect to Kafka."""
        return KafkaWriter(self.settings.kafka)

    def write(self, tuples: list[Any]) -> None:
        """Write them; what has failed is opened anew, with what its topics take by then."""
        try:
            super().write(tuples)
        except Exception:
            if self.store is not None:
                self.store.close()
                self.store = None
            raise

    def add(self, store: Any, tup: Any) -> None:
        """Add a tuple of any of the three streams."""
        if tup.stream == "rejected":
            partition, rows = tup.values
            store.rejected(partition, from_text(rows, list[Rejected]))
        elif tup.stream == "windows":
            partition, _, rows = tup.values
            store.windows(partition, from_text(rows, list[ClosedWindow]))
        else:
            partition, _, rows = tup.values
            store.anomalies(partition, from_text(rows, list[Anomaly]))
