"""A measurement's own topics, tables, indices and topology, gone when it ends."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cassandra.cluster import Session
from elasticsearch import Elasticsearch
from kafka import KafkaAdminClient

from oda.cli.context import Context
from oda.kafka import connect, create_topics
from oda.settings import Settings
from oda.stores import cassandra, elasticsearch
from oda.topology import Storm, isolated


@contextmanager
def own_stream(context: Context, **options: object) -> Iterator[tuple[Storm, Settings]]:
    """The Storm cluster, and settings for topics, tables and indices that nobody else uses.

    Options as in `isolated`; a topic that is named there is somebody else's, and stays.
    """
    with tempfile.TemporaryDirectory() as folder:
        own = Context(isolated(context.config, context.env, Path(folder), **options), context.env)
        settings = own.settings()
        create_topics(settings.kafka)
        try:
            with _stores(settings):  # what a running system has is not made at the topology's expense
                pass
            yield Storm(own.config, own.env), settings
        except BaseException:
            with suppress(Exception):  # a server that is down must not hide what went wrong
                _drop(settings)
            raise
        _drop(settings)


def _drop(settings: Settings) -> None:
    admin = connect(KafkaAdminClient, settings.kafka)
    # By name, and not those of the settings: other engines make topics for their state, named after the group.
    admin.delete_topics([topic for topic in admin.list_topics() if settings.kafka.group in topic])
    admin.close()
    prefix = settings.elasticsearch.prefix
    with _stores(settings) as (session, client):
        session.execute(f"DROP KEYSPACE IF EXISTS {settings.cassandra.keyspace}")
        for index in client.indices.get(index=f"{prefix}-*"):
            client.indices.delete(index=index)
        for template in client.indices.get_index_template(name=f"{prefix}-*")["index_templates"]:
            client.indices.delete_index_template(name=template["name"])


@contextmanager
def _stores(settings: Settings) -> Iterator[tuple[Session, Elasticsearch]]:
    """Cassandra with the tables, Elasticsearch with the index templates."""
    session, client = cassandra.connect(settings.cassandra), elasticsearch.connect(settings.elasticsearch)
    try:
        yield session, client
    finally:
        client.close()
        session.cluster.shutdown()
