"""A measurement's own topics, tables, indices and topology, gone when it ends."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from oda.cli.context import Context
from oda.isolated import isolated
from oda.kafka import client
from oda.kafka.topics import create_topics
from oda.settings import Settings
from oda.stores import cassandra, elasticsearch
from oda.storm.topologies import Storm


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
            # As on a running system: tables and templates are there when the topology starts.
            cassandra.connect(settings.cassandra).cluster.shutdown()
            elasticsearch.connect(settings.elasticsearch).close()
            yield Storm(own.config, own.env), settings
        except BaseException:
            with suppress(Exception):  # a server that is down must not hide what went wrong
                _drop(settings)
            raise
        _drop(settings)


def _drop(settings: Settings) -> None:
    with closing(client.admin(settings.kafka)) as admin:
        # By name, and not those of the settings: other engines make topics for their state, named after the group.
        admin.delete_topics([topic for topic in admin.list_topics() if settings.kafka.group in topic])
    session = cassandra.connect(settings.cassandra)
    session.execute(f"DROP KEYSPACE IF EXISTS {settings.cassandra.keyspace}")
    session.cluster.shutdown()
    prefix = settings.elasticsearch.prefix
    with elasticsearch.connect(settings.elasticsearch) as insights:
        for index in insights.indices.get(index=f"{prefix}-*"):
            insights.indices.delete(index=index)
        for template in insights.indices.get_index_template(name=f"{prefix}-*")["index_templates"]:
            insights.indices.delete_index_template(name=template["name"])
