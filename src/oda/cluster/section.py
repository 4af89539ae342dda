"""Section `servers` of config.json: what the topology need not know of its servers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from oda.errors import UserError

Port = Annotated[int, Field(gt=0, lt=65_536)]


Host = Annotated[str, Field(pattern=r"^[a-z0-9]{1,8}$")]
"""A short name: a namespace and a network interface are named after it."""

Address = Annotated[str, Field(pattern=r"^(\d{1,3}\.){3}\d{1,3}$")]
"""Of namespaces, in 127/8."""


class Servers(BaseModel):
    """The section. An environment may have one of its own: what that says counts instead."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: Path
    """Relative to the folder of config.json."""
    machines: dict[Host, Address] = {}
    """Address by name, if they are several; each is a network namespace."""
    joined: tuple[Host, ...] = ()
    """Those of them that came when the others were there: they have no controller, no ZooKeeper, and found nothing."""
    namespaces: Host = "oda"
    """What the namespaces' names begin with."""
    zookeeper_port: Port
    zookeeper_peer_ports: tuple[Port, Port] = (2888, 3888)
    """At which they speak with each other, where there are several, and elect one."""
    kafka_controller_ports: tuple[Port, ...]
    """One a broker, in the order of `oda.kafka.brokers`; those on machines that joined are no controllers."""
    kafka_internal_ports: tuple[Port, ...] = ()
    """One for every broker, if there are certificates: they speak with each other at ports of their own."""
    certificates: Path | None = None
    """A folder with ca.pem, and the servers' server.pem, server.key and server.chain.pem (key, certificate, authority).

    And people.pem, the authority of those who may use Storm's UI: with a certificate of ca.pem one may do all that
    servers do.

    If it is given, servers ask for TLS and accounts (cluster/secured), and each of the environment's accounts is an
    administrator. Relative to the folder of config.json. Several machines have a folder each in it, by their names.
    """
    cassandra_storage_port: Port
    elasticsearch_transport_port: Port
    logviewer_port: Port
    supervisor_ports: Annotated[tuple[Port, ...], Field(min_length=1)]
    """One a supervisor. On one machine each stands for a machine; several have them in turn, but for nimbus's."""
    worker_ports: tuple[Annotated[tuple[Port, ...], Field(min_length=1)], ...]
    """For each supervisor, one a Storm worker. All differ, since all logs are in one folder."""


def read_servers(config: Path, document: Mapping[str, Any], env: str) -> Servers:
    """The section of an environment. Raises UserError that names what is wrong in it."""
    try:
        return Servers.model_validate(document.get("servers", {}) | document["envs"][env].get("servers", {}))
    except ValidationError as error:
        problems = [f"servers.{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors()]
        raise UserError(f"{config}: " + "; ".join(problems)) from None
