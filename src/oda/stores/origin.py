"""Which logs the results are of: Kafka's ids of the topics of readings and members, in Cassandra beside them.

Rows are identified by their offsets, which start anew in a topic that is deleted and made again. What the group has
committed can't tell it: Kafka deletes that with the topic.
"""

from __future__ import annotations

from uuid import UUID

from oda.settings import Settings
from oda.stores.session import open_keyspace


def log_of_results(settings: Settings, topic: str, log_id: UUID) -> UUID:
    """The id of the log that the keyspace's results are of; `log_id` from now on, if that is not known yet.

    Args:
        settings: of the keyspace.
        topic: the log's, of readings or of members.
        log_id: its id now.

    Raises:
        cassandra.DriverException, cassandra.cluster.NoHostAvailable: Cassandra did not answer.
    """
    session = open_keyspace(settings.cassandra)
    try:
        insert = f"INSERT INTO {settings.cassandra.keyspace}.topics (topic, id) VALUES (%s, %s) IF NOT EXISTS"
        row = session.execute(insert, (topic, log_id)).one()
        return log_id if row.applied else row.id
    finally:
        session.cluster.shutdown()
