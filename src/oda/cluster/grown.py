"""An environment of config.json with a machine more, or without the last that joined.

A machine that joins has what the others have, but no controller and no ZooKeeper: of those there are as many as before.
"""

from __future__ import annotations

import copy
from ipaddress import ip_address
from typing import Any

Section = dict[str, Any]
"""An environment that has a section `servers` of its own, as `oda.cluster.accounts.write_environments` writes it."""

_ADDRESSES = ("oda.kafka.brokers", "oda.cassandra.hosts", "oda.elasticsearch.urls")

_PORTS = ("kafka_internal_ports", "supervisor_ports")
"""The same on each machine; there may be none of the first."""


def grown(section: Section, name: str) -> Section:
    """With machine `name` at the address after the others', at their ports, and a worker of each topology more."""
    section = copy.deepcopy(section)
    servers, options = section["servers"], section["options"]
    addresses = [*servers["machines"].values()]
    address = str(max(map(ip_address, addresses)) + 1)
    servers["machines"][name] = address
    servers["joined"] = [*servers.get("joined", []), name]
    for option in _ADDRESSES:
        first = options[option].partition(",")[0]
        options[option] += "," + first.replace(addresses[0], address)
    for ports in _PORTS:
        servers[ports] = [*servers.get(ports, []), *servers.get(ports, [])[:1]]
    highest = max(map(max, servers["worker_ports"]))
    servers["worker_ports"].append([highest + 1 + n for n in range(len(servers["worker_ports"][0]))])
    section["workers"].append(address)
    options["topology.workers"] += 1
    return section


def shrunk(section: Section) -> Section:
    """Without the last machine that joined: what `grown` was given."""
    section = copy.deepcopy(section)
    servers, options = section["servers"], section["options"]
    del servers["machines"][servers["joined"].pop()]
    for option in _ADDRESSES:
        options[option] = options[option].rpartition(",")[0]
    for ports in (*_PORTS, "worker_ports"):
        servers[ports] = servers[ports][:-1]
    section["workers"].pop()
    options["topology.workers"] -= 1
    return section
