"""A session with Cassandra, for whatever reads or writes there."""

from __future__ import annotations

from cassandra import ConsistencyLevel
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, Session
from cassandra.policies import DCAwareRoundRobinPolicy, ExponentialReconnectionPolicy, TokenAwarePolicy

from oda.settings import Cassandra
from oda.stores import keyspace

RECONNECTION = ExponentialReconnectionPolicy(base_delay=1.0, max_delay=5.0, max_attempts=None)
"""The driver's own lets pauses grow to ten minutes, and gives a node up after 64 attempts."""


def open_session(settings: Cassandra) -> Session:
    """Open a session; changes nothing.

    Raises:
        cassandra.cluster.NoHostAvailable: no host answers.
    """
    profile = ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy()),
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        serial_consistency_level=ConsistencyLevel.LOCAL_SERIAL,
        request_timeout=settings.timeout_ms / 1000,
    )
    cluster = Cluster(
        settings.contact_points,
        port=settings.port,
        protocol_version=5,  # of Cassandra 4 and 5; finding it out costs a reconnect and a warning each
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        connect_timeout=settings.timeout_ms / 1000,
        control_connection_timeout=settings.timeout_ms / 1000,
        reconnection_policy=RECONNECTION,
    )
    try:
        return cluster.connect()
    except BaseException:
        cluster.shutdown()
        raise


def open_keyspace(settings: Cassandra) -> Session:
    """Open a session and bring the keyspace up to date: for what writes into tables of its own there.

    Raises as `open_session` does, and:
        Refused: the keyspace can't be brought up to date.
    """
    session = open_session(settings)
    try:
        keyspace.migrate(session, settings)
    except BaseException:
        session.cluster.shutdown()
        raise
    return session
