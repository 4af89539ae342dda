"""After a fault: whether everything has all its replicas again, without which the next machine may not go."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TypeVar

import tenacity
from cassandra import ConsistencyLevel
from cassandra.query import SimpleStatement
from kafka.errors import KafkaError

from oda.errors import UserError
from oda.kafka import client
from oda.settings import Settings
from oda.stores.elasticsearch import connect
from oda.stores.session import open_session

_SECONDS = 600.0
"""How long copying may take."""

T = TypeVar("T")


def wait_until_whole(settings: Settings) -> None:
    """Wait until each partition has its replicas in sync, each shard its copies, and each node sees all others.

    Raises:
        UserError: that took too long; the message says what is missing.
    """
    for missing in (_out_of_sync, _unassigned, _down):
        try:
            _retried(missing, settings)
        except tenacity.RetryError as error:
            found = error.last_attempt
            why = found.exception() if found.failed else found.result()
            raise UserError(f"not whole again after {_SECONDS:.0f} s: {why}") from None


def _retried(missing: Callable[[Settings], str | None], settings: Settings) -> None:
    retry = tenacity.retry_if_exception_type(Exception) | tenacity.retry_if_result(bool)
    tenacity.Retrying(retry=retry, stop=tenacity.stop_after_delay(_SECONDS), wait=tenacity.wait_fixed(1))(
        missing, settings
    )


def patiently(ask: Callable[[], T]) -> T:
    """What servers answer. A question is put again while one of them, only just back, fails it.

    Raises:
        UserError, KafkaError: as `ask` did at last.
    """
    retry = tenacity.retry_if_exception_type((UserError, KafkaError))
    asking = tenacity.Retrying(
        retry=retry, stop=tenacity.stop_after_delay(_SECONDS), wait=tenacity.wait_fixed(1), reraise=True
    )
    return asking(ask)


def _out_of_sync(settings: Settings) -> str | None:
    with closing(client.admin(settings.kafka)) as admin:
        for topic in admin.describe_topics():
            for partition in topic["partitions"]:
                if len(partition["isr_nodes"]) < len(partition["replica_nodes"]):
                    return f"partition {partition['partition_index']} of {topic['name']} is not in sync"
    return None


def _unassigned(settings: Settings) -> str | None:
    with connect(settings.elasticsearch) as elasticsearch:
        health = elasticsearch.cluster.health()
    return None if health["status"] == "green" else f"Elasticsearch is {health['status']}"


def _down(settings: Settings) -> str | None:
    """Whoever is asked for a row from all replicas refuses when it takes one of them for dead."""
    query = SimpleStatement("SELECT role FROM system_auth.roles LIMIT 1", consistency_level=ConsistencyLevel.ALL)
    session = open_session(settings.cassandra)
    with session.cluster as cluster:
        hosts = cluster.metadata.all_hosts()
        for host in hosts:
            session.execute(query, host=host)
    missing = len(settings.cassandra.contact_points) - len(hosts)
    return f"{missing} nodes of Cassandra are missing" if missing > 0 else None
