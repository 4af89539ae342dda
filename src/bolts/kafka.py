"""The Kafka sink: windows, anomalies and rejected messages for later stages."""

import base64

from bolts.sink import SinkBolt
from oda.core.rows import Anomaly, ClosedWindow, from_text
from oda.stores.kafka import KafkaWriter, Rejected


class KafkaSink(SinkBolt):
    """Writes the streams `windows`, `anomalies` and `rejected`."""

    def open(self):
        """Connect to Kafka."""
        return KafkaWriter(self.settings.kafka)

    def add(self, store, tup):
        """Add a tuple of any of the three streams."""
        if tup.stream == "rejected":
            partition, rows = tup.values
            store.rejected(partition, [Rejected(at, why, _bytes(key), _bytes(value)) for at, why, key, value in rows])
        elif tup.stream == "windows":
            partition, _, rows = tup.values
            store.windows(partition, from_text(rows, ClosedWindow))
        else:
            partition, _, rows = tup.values
            store.anomalies(partition, from_text(rows, Anomaly))


def _bytes(text):
    return None if text is None else base64.b64decode(text)
