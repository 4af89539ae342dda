"""The Elasticsearch sink: windows and anomalies as documents to search and aggregate."""

from typing import Any

from bolts.sink import SinkBolt
from oda.core.rows import Anomaly, ClosedWindow
from oda.core.text import from_text
from oda.stores.elasticsearch import ElasticsearchWriter


class ElasticsearchSink(SinkBolt):
    """Writes the streams `windows` and `anomalies`."""

    linger_seconds = 0.2

    def open(self) -> ElasticsearchWriter:
        """Connect to Elasticsearch."""
        return ElasticsearchWriter(self.settings.elasticsearch, self.settings.kafka.readings)

    def add(self, store: Any, tup: Any) -> None:
        """Add a tuple of either stream."""
        partition, clock, rows = tup.values
        if tup.stream == "windows":
            store.windows(partition, clock, from_text(rows, list[ClosedWindow]))
        else:
            store.anomalies(partition, clock, from_text(rows, list[Anomaly]))
