"""Makes topics, tables and templates, accounts and their rights; each may be made again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from cassandra import DriverException
from cassandra.cluster import NoHostAvailable

from oda.admin import accounts as made
from oda.admin.accounts import Account
from oda.errors import UserError
from oda.kafka.topics import create_topics
from oda.settings import Settings
from oda.stores.cassandra import CassandraStore
from oda.stores.elasticsearch import ElasticsearchStore, connect
from oda.stores.session import open_session


def in_kafka(settings: Settings, accounts: Sequence[Account]) -> None:
    """Raises UserError when Kafka refuses."""
    create_topics(settings.kafka)
    if accounts:
        made.in_kafka(settings, accounts)


def in_cassandra(settings: Settings, accounts: Sequence[Account]) -> None:
    """Raises UserError when Cassandra refuses."""
    with closing(CassandraStore(settings)) as store:
        store.migrate()
    if not accounts:
        return
    session = open_session(settings.cassandra)
    try:
        made.in_cassandra(session, settings, accounts)
    except (DriverException, NoHostAvailable) as error:
        raise UserError(f"Cassandra did not make these accounts and rights: {error}") from None
    finally:
        session.cluster.shutdown()


def in_elasticsearch(settings: Settings, accounts: Sequence[Account]) -> str | None:
    """Returns why roles and users can't be made by its API: then they are in files of each node."""
    with closing(ElasticsearchStore(settings)) as store:
        store.make()
    if not accounts:
        return None
    with connect(settings.elasticsearch) as client:
        return made.in_elasticsearch(client, settings, accounts)
