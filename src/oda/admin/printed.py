"""The same as commands, for an administrator who runs them by other means. Holds no password. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from oda.admin.accounts import Account
from oda.admin.rights import elasticsearch_role, rights
from oda.kafka.topics import wanted
from oda.settings import Settings
from oda.stores import indices, keyspace
from oda.stores.session import quoted

_ADMIN = "--bootstrap-server {brokers} --command-config admin.properties"
_PASSWORD = "'PASSWORD'"


def kafka(settings: Settings, accounts: Sequence[Account]) -> Iterator[str]:
    """Commands of Kafka's own tools."""
    where = _ADMIN.format(brokers=settings.kafka.brokers)
    for name, topic in wanted(settings.kafka).items():
        made = f"--partitions {topic['num_partitions']} --replication-factor {topic['replication_factor']}"
        configs = "".join(f" --config {key}={value}" for key, value in topic["configs"].items())
        yield f"kafka-topics.sh {where} --create --if-not-exists --topic {name} {made}{configs}"
    for account in accounts:
        # As a file: an argument is in the list of processes.
        file = f"{account.user}.properties"
        yield f"# {file}: {settings.kafka.security.mechanism}=[password=PASSWORD]"
        entity = f"--entity-type users --entity-name '{account.user}'"
        yield f"kafka-configs.sh {where} --alter --add-config-file '{file}' {entity}"
        for right in rights(settings)[account.role].kafka:
            kind = f"--{right.kind} {right.name}{' --resource-pattern-type prefixed' if right.prefixed else ''}"
            allowed = f"--allow-principal 'User:{account.user}' --operation {right.operation}"
            yield f"kafka-acls.sh {where} --add {allowed} {kind}"


def cassandra(settings: Settings, accounts: Sequence[Account]) -> Iterator[str]:
    """CQL."""
    for statement in keyspace.statements(settings.cassandra):
        yield f"{statement};"
    for account in accounts:
        if permissions := rights(settings)[account.role].cassandra:
            name = quoted(account.user)
            yield f"CREATE ROLE IF NOT EXISTS {name} WITH LOGIN = true AND PASSWORD = {_PASSWORD};"
            for permission in permissions:
                yield f"GRANT {permission} ON KEYSPACE {settings.cassandra.keyspace} TO {name};"


def elasticsearch(settings: Settings, accounts: Sequence[Account]) -> Iterator[str]:
    """Requests, as Kibana's console takes them."""
    for name, template in indices.templates(settings.elasticsearch).items():
        yield f"PUT /_index_template/{name}\n{json.dumps(template)}"
    for name in indices.first(settings.elasticsearch):
        yield f"PUT /{name}"
    for account in accounts:
        if rights(settings)[account.role].elasticsearch:
            name = f"{settings.elasticsearch.prefix}-{account.role}"
            yield f"PUT /_security/role/{name}\n{json.dumps(elasticsearch_role(settings, account.role))}"
            user = json.dumps({"password": "PASSWORD", "roles": [name]})
            yield f"PUT /_security/user/{account.user}\n{user}"


def roles_yml(settings: Settings) -> str:
    """For Elasticsearch without its API of roles: lines for the file of each node."""
    return "".join(
        f"{settings.elasticsearch.prefix}-{role}: {json.dumps(elasticsearch_role(settings, role))}\n"
        for role, given in rights(settings).items()
        if given.elasticsearch
    )
