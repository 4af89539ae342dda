"""A session with Cassandra, for whatever reads or writes there."""

from __future__ import annotations

from cassandra import AuthenticationFailed, ConsistencyLevel
from cassandra.auth import AuthProvider, PlainTextAuthenticator
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable, Session
from cassandra.policies import DCAwareRoundRobinPolicy, ExponentialReconnectionPolicy, TokenAwarePolicy

from oda.errors import UserError
from oda.security import account, context, password, tls_problem
from oda.settings import Cassandra, CassandraSecurity
from oda.sockets import OPTIONS
from oda.stores import keyspace

RECONNECTION = ExponentialReconnectionPolicy(base_delay=1.0, max_delay=5.0, max_attempts=None)
"""The driver's own lets pauses grow to ten minutes, and gives a node up after 64 attempts."""


def open_session(settings: Cassandra, other: AuthProvider | None = None) -> Session:
    """Open a session, as the user of the settings unless there is another account; changes nothing.

    Raises:
        cassandra.cluster.NoHostAvailable: no host answers.
        UserError: one does, but `oda.cassandra.security` or `datacenter` is not as it should be.
    """
    profile = ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy(settings.datacenter or "")),
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
        sockopts=OPTIONS,
        ssl_context=context(settings.security),
        auth_provider=other or (_Account(settings.security) if settings.security.user else None),
    )
    try:
        return cluster.connect()
    except NoHostAvailable as error:
        cluster.shutdown()
        if found := _problem(settings, error, cluster):
            raise UserError(f"Cassandra at oda.cassandra.hosts = {settings.hosts}: {found}") from None
        raise
    except BaseException:
        cluster.shutdown()
        raise


def _problem(settings: Cassandra, error: NoHostAvailable, cluster: Cluster) -> str | None:
    """What of the settings is the reason, in one line; None if no host is there."""
    security = settings.security
    if found := tls_problem([(host, settings.port) for host in settings.contact_points], security):
        return found
    reasons = error.errors.values() if isinstance(error.errors, dict) else ()
    for reason in reasons:
        if isinstance(reason, AuthenticationFailed):
            if security.user is None:
                return f"it asks for an account: set {security.setting}.user"
            return f"it does not accept {account(security)}"
    there = sorted({host.datacenter for host in cluster.metadata.all_hosts() if host.datacenter})
    if there and settings.datacenter not in (None, *there):
        return f"oda.cassandra.datacenter = {settings.datacenter} is none of its data centres ({', '.join(there)})"
    return None


class _Account(AuthProvider):  # type: ignore[misc]
    """The password as it is at each connection."""

    def __init__(self, security: CassandraSecurity) -> None:
        self._security = security
        password(security)  # what is wrong is said now

    def new_authenticator(self, host: object) -> PlainTextAuthenticator:  # noqa: ARG002 - the driver's signature
        return PlainTextAuthenticator(self._security.user, password(self._security))


def quoted(name: str) -> str:
    """A name of a role, in CQL."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


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
