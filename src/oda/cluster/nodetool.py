"""Cassandra's `nodetool`.

It speaks JMX, which knows no accounts here: so a node listens to it only while a command runs, and on its machine's
loopback.
"""

from __future__ import annotations

import subprocess

from oda.cluster import processes
from oda.cluster.cassandra import CassandraNode
from oda.cluster.network import Network
from oda.errors import UserError

_PORT = 7199
"""On loopback of a machine of its own, nobody else has it."""

_START = {"host": "127.0.0.1", "port": _PORT, "rmi.port": _PORT, "authenticate": "false", "ssl": "false"}


def nodetool(network: Network, node: CassandraNode, *words: str) -> None:
    """Run a command of nodetool, such as `cleanup`, on a node that runs; returns when it is done.

    Raises:
        UserError: the node does not run, or the command failed.
    """
    process = processes.find_servers(node.layout.data).get(node.name)
    if process is None:
        raise UserError(f"{node.name} does not run")

    def run(*command: str) -> None:
        done = subprocess.run(network.inside(node.machine, list(command)), capture_output=True, text=True, check=False)
        if done.returncode:
            raise UserError(f"nodetool {' '.join(words)} failed on {node.name}: {(done.stderr or done.stdout).strip()}")

    agent = [str(node.software.jdk / "bin/jcmd"), str(process.pid)]
    run(*agent, "ManagementAgent.start", *(f"jmxremote.{name}={value}" for name, value in _START.items()))
    try:
        run(*node.tool("org.apache.cassandra.tools.NodeTool", "-h", "127.0.0.1", "-p", str(_PORT), *words))
    finally:
        run(*agent, "ManagementAgent.stop")
