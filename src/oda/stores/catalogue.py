"""The stores that there are, and what others need to know of each without opening it.

From here the graph has its sinks, the settings of a stream of one's own their names, and `plan`, `chaos`, `bench` and
the audit their stores. To add one: docs/stores.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from oda.core.kinds import FINDINGS, KINDS, OF_SERIES
from oda.settings import Settings
from oda.stores.contract import Store


@dataclass(frozen=True, eq=False)
class Description:
    """One store.

    Attributes:
        name: of its section of the settings, of its sink in the graph, and in `oda.parallelism.NAME`.
        implementation: `module:class`. Imported when it is opened: a driver costs each process time and memory.
        streams: what its sink takes: kinds of rows, or `readings` for the batches themselves; `members` and `quiet` are
            what groups are to know (see `oda.core.groups`).
        own: the settings that keep two topologies on it apart, and how they are called for one named `{name}`.
        linger_seconds: how long a tuple waits for others to be written with it, where that is cheaper.
        server: the local cluster's server that is killed, slowed or measured for it; empty if it has none.
        copies: of each row in the environment `cluster` of config.json.
    """

    name: str
    implementation: str
    streams: tuple[str, ...]
    own: Mapping[str, str]
    linger_seconds: float = 0.0
    server: str = ""
    copies: int = 1

    @property
    def title(self) -> str:
        """For people."""
        return self.name.capitalize()

    def open(self, settings: Settings) -> Store:
        """Connect; changes nothing. Raises UserError when it can't be reached."""
        module, _, name = self.implementation.partition(":")
        return cast(Store, getattr(import_module(module), name)(settings))


STORES = (
    Description(
        "cassandra",
        "oda.stores.cassandra:CassandraStore",
        streams=("readings", *(kind.name for kind in OF_SERIES)),
        own={"keyspace": "{name}"},
        linger_seconds=0.2,
        server="cassandra",
        copies=3,
    ),
    Description(
        "elasticsearch",
        "oda.stores.elasticsearch:ElasticsearchStore",
        streams=tuple(kind.name for kind in FINDINGS),
        own={"prefix": "{name}"},
        linger_seconds=0.2,
        server="elasticsearch",
        copies=2,
    ),
    Description(
        "kafka",
        "oda.stores.kafka:KafkaStore",
        streams=(*KINDS, "members", "quiet"),
        own={topic: f"{{name}}.{topic}" for topic in (*KINDS, "members")},
        server="kafka-1",
        copies=3,
    ),
)
