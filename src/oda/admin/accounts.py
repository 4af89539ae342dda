"""Accounts and their rights, in the servers: each may be given again, and nothing is taken away."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from cassandra.cluster import Session
from elasticsearch import ApiError, Elasticsearch
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourceType,
    UserScramCredentialUpsertion,
)

from oda.admin.rights import Acl, elasticsearch_role, rights
from oda.errors import UserError
from oda.kafka import client
from oda.secret import read_secret
from oda.settings import Settings
from oda.stores.session import quoted


class Account(NamedTuple):
    """Who has a role; with a file of its password, the account is made or its password set."""

    role: str
    user: str
    password_file: Path | None = None

    @property
    def password(self) -> str | None:
        """What is in the file. Raises UserError when there is none."""
        return read_secret(str(self.password_file), None) if self.password_file else None


def in_kafka(settings: Settings, accounts: Sequence[Account]) -> None:
    """Raises UserError when Kafka refuses."""
    given = [acl(right, account.user) for account in accounts for right in rights(settings)[account.role].kafka]
    mechanism = settings.kafka.security.mechanism
    made = [
        UserScramCredentialUpsertion(account.user, mechanism, secret)
        for account in accounts
        if (secret := account.password) and mechanism != "PLAIN"  # whose accounts the brokers' configuration lists
    ]
    with client.explained(settings.kafka), closing(client.admin(settings.kafka)) as admin:
        answers = admin.alter_user_scram_credentials(made) if made else {}
        failed = {user: problem for user, problem in answers.items() if problem}
        refused = admin.create_acls(given)["failed"]
    if failed or refused:
        raise UserError(f"Kafka did not make these accounts and rights: {failed or refused}")


def acl(right: Acl, user: str) -> ACL:
    """As kafka-python has it."""
    pattern = ACLResourcePatternType.PREFIXED if right.prefixed else ACLResourcePatternType.LITERAL
    resource = ResourcePattern(ResourceType[right.kind.upper()], right.name, pattern)
    return ACL(f"User:{user}", "*", ACLOperation[right.operation], ACLPermissionType.ALLOW, resource)


def in_cassandra(session: Session, settings: Settings, accounts: Sequence[Account]) -> None:
    """Raises cassandra.DriverException or cassandra.cluster.NoHostAvailable when Cassandra refuses."""
    there = {row.role for row in session.execute("LIST ROLES")}
    for account in accounts:
        permissions = rights(settings)[account.role].cassandra
        if not permissions:
            continue
        name = quoted(account.user)
        if secret := account.password:
            verb = "ALTER" if account.user in there else "CREATE"  # Cassandra takes one password in 5 s
            session.execute(f"{verb} ROLE {name} WITH LOGIN = true AND PASSWORD = %s", (secret,))
        for permission in permissions:
            session.execute(f"GRANT {permission} ON KEYSPACE {settings.cassandra.keyspace} TO {name}")


def in_elasticsearch(elastic: Elasticsearch, settings: Settings, accounts: Sequence[Account]) -> str | None:
    """Returns why it can't be done by the API: then roles and users are in files of each node."""
    try:
        for account in accounts:
            if not rights(settings)[account.role].elasticsearch:
                continue
            name = f"{settings.elasticsearch.prefix}-{account.role}"
            elastic.security.put_role(name=name, body=elasticsearch_role(settings, account.role))
            if secret := account.password:
                elastic.security.put_user(username=account.user, password=secret, roles=[name])
    except ApiError as error:
        return str(error)
    return None
