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
from oda.stores.catalogue import STORES
from oda.storm.topologies import Storm


@contextmanager
def own_stream(context: Context, **options: object) -> Iterator[tuple[Storm, Settings]]:
    """The Storm cluster, and settings for topics, tables and indices that nobody else uses; see `own_context`."""
    with own_context(context, **options) as own:
        yield Storm(own.config, own.env), own.settings()


@contextmanager
def own_context(context: Context, **options: object) -> Iterator[Context]:
    """The same servers with topics, tables and indices that nobody else uses.

    Options as in `isolated`; a topic that is named there is somebody else's, and stays.
    """
    with tempfile.TemporaryDirectory() as folder:
        own = Context(isolated(context.config, context.env, Path(folder), **options), context.env)
        settings = own.settings()
        create_topics(settings.kafka)
        try:
            # As on a running system: tables and templates are there when the topology starts.
            for description in STORES:
                with closing(description.open(settings)) as store:
                    store.migrate()
            yield own
        except BaseException:
            with suppress(Exception):  # a server that is down must not hide what went wrong
                _drop(settings)
            raise
        _drop(settings)


def _drop(settings: Settings) -> None:
    for description in STORES:
        with closing(description.open(settings)) as store:
            store.drop()
    with closing(client.admin(settings.kafka)) as admin:
        # By name, and not those of the settings: other engines make topics for their state, named after the group.
        topics = [topic for topic in admin.list_topics() if settings.kafka.group in topic]
        admin.delete_topics(topics, raise_errors=False)  # some may be going already
