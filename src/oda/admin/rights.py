"""What each role may do, and nothing else. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from oda.settings import Settings

ROLES = ("topology", "collector", "reader", "auditor")
"""The topology; collectors of all kinds; people: page, commands that look, notifications; `oda verify`."""


class Acl(NamedTuple):
    """One right in Kafka; `kind` is topic or group, a name that is `prefixed` stands for all that begin so."""

    kind: str
    name: str
    operation: str
    prefixed: bool = False


class Rights(NamedTuple):
    """Of one role.

    Attributes:
        kafka: what it may do there.
        cassandra: permissions on the keyspace.
        elasticsearch: privileges on the indices.
    """

    kafka: Sequence[Acl]
    cassandra: Sequence[str] = ()
    elasticsearch: Sequence[str] = ()


def rights(settings: Settings) -> Mapping[str, Rights]:
    """By role."""
    kafka = settings.kafka
    results = [kafka.windows, kafka.anomalies, kafka.incidents, kafka.bands, kafka.rejected]
    others = [kafka.rules, kafka.verdicts, kafka.audits]
    everything = [kafka.readings, *results, kafka.members, *others]
    read_all = [Acl("topic", name, "READ") for name in everything]
    look = ("read", "view_index_metadata")
    return {
        # Into the readings it writes what its clock decides, and what groups make of their members.
        "topology": Rights(
            [
                *(
                    Acl("topic", log, operation)
                    for log in (kafka.readings, kafka.members)
                    for operation in ("READ", "WRITE")
                ),
                *(Acl("topic", name, "WRITE") for name in results),
                Acl("topic", kafka.rules, "READ"),
                *(Acl("topic", name, "DESCRIBE") for name in (kafka.verdicts, kafka.audits)),
                # Whether they keep messages as long as they should, and take ones as large.
                *(Acl("topic", name, "DESCRIBE_CONFIGS") for name in kafka.topics),
                Acl("group", kafka.group, "READ"),
            ],
            ("SELECT", "MODIFY"),
            ("create_index", "index", "maintenance", *look),
        ),
        # One with a spool reads what of it is there already.
        "collector": Rights([Acl("topic", kafka.readings, operation) for operation in ("READ", "WRITE")]),
        "reader": Rights(
            [
                *read_all,
                Acl("topic", kafka.verdicts, "WRITE"),
                Acl("group", kafka.group, "DESCRIBE"),
                Acl("group", f"{kafka.group}.notify.", "READ", prefixed=True),
            ],
            ("SELECT",),
            look,
        ),
        "auditor": Rights(
            [*read_all, Acl("topic", kafka.audits, "WRITE"), Acl("group", kafka.group, "DESCRIBE")],
            ("SELECT",),
            ("maintenance", *look),
        ),
    }


def elasticsearch_role(settings: Settings, role: str) -> dict[str, object]:
    """The role as Elasticsearch's API and roles.yml have it."""
    privileges = list(rights(settings)[role].elasticsearch)
    return {"indices": [{"names": [f"{settings.elasticsearch.prefix}-*"], "privileges": privileges}]}
