"""Kafka's brokers, which keep the log of readings and results."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import tempfile
import uuid
from contextlib import closing
from pathlib import Path

from kafka.admin import NewTopic

from oda.cluster.server import PROBE_SECONDS, Server
from oda.errors import UserError
from oda.kafka import client
from oda.security import password


class Broker(Server):
    """One node, broker and controller; together they are one Kafka. 1 is the first in `oda.kafka.brokers`.

    On a machine that joined it is a broker only: a quorum cannot just be given other members.
    """

    kind = "kafka"
    templates = "kafka"
    memory_mb = 350
    numbered = True

    def values(self) -> dict[str, object]:
        """Who votes, and how many replicas the internal topics have."""
        votes = not self.machine.joined
        replicas = min(3, len(self.all_of_kind))
        return super().values() | {
            "roles": "broker,controller" if votes else "broker",
            "controller_listener": f",CONTROLLER://{self.place.at('kafka_controller')}" if votes else "",
            "voters": ",".join(f"{node.number}@{node.place.at('kafka_controller')}" for node in self._voters),
            "kafka_admin": self.layout.kafka.security.user,
            "replicas": replicas,
            # Of three, one may be down.
            "in_sync": max(1, replicas - 1),
        }

    def prepare(self) -> None:
        """Write the configuration, and format the storage the first time.

        Raises:
            UserError: the storage could not be formatted, or is that of a Kafka of more or fewer controllers.
        """
        formatted = self._metadata.exists()
        if formatted:
            self._check_voters()
        super().prepare()
        if formatted:
            return
        done = self._run(self._java(*self.formatting(self.cluster_id())))
        if done.returncode:
            raise UserError(f"Kafka's storage could not be formatted:\n{done.stdout}{done.stderr}")

    def formatting(self, cluster_id: str) -> list[str]:
        """What formats the storage; where there are accounts, controllers make the first one: it has its password."""
        # One word: the id may begin with a hyphen.
        tool = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}"]
        tool += ["-c", f"{self.conf}/server.properties"]
        if not self.layout.certificates or self.machine.joined:
            return tool
        security = self.layout.kafka.security
        return [*tool, "--add-scram", f"{security.mechanism}=[name={security.user},password={password(security)}]"]

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """A password among the arguments is in a file, not in the list of processes."""
        if not self.layout.certificates:
            return subprocess.run(command, capture_output=True, text=True, check=False)
        java, options, *more = command
        with tempfile.NamedTemporaryFile("w", dir=self.conf) as file:
            file.write(" ".join(map(json.dumps, more)))
            file.flush()
            return subprocess.run([java, options, f"@{file.name}"], capture_output=True, text=True, check=False)

    def command(self) -> list[str]:
        return self._java("kafka.Kafka", f"{self.conf}/server.properties")

    def probe(self) -> None:
        """Whether it is one of the brokers, and a topic could be made."""
        timeout_ms = int(PROBE_SECONDS * 1000)
        # It has to answer itself to begin with; what is asked then may be answered by another one.
        address = self.place.at(self.kind)
        itself = self.layout.kafka.model_copy(update={"brokers": address})
        with closing(client.admin(itself, request_timeout_ms=timeout_ms)) as admin:
            if address not in {f"{node['host']}:{node['port']}" for node in admin.describe_cluster()["brokers"]}:
                raise ConnectionError("the controller has not let it serve yet")
            # Brokers answer before they can make a topic; `validate_only` makes none.
            topic = NewTopic(f"probe-{uuid.uuid4()}", num_partitions=1, replication_factor=1)
            admin.create_topics([topic], timeout_ms=timeout_ms, validate_only=True)

    @property
    def _metadata(self) -> Path:
        return self.folder / "data/meta.properties"

    def cluster_id(self) -> str:
        """That of the nodes that are formatted already, or a new one."""
        for node in self.all_of_kind:
            if cluster_id := _property(node._metadata, "cluster.id"):
                return cluster_id
        return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")

    @property
    def _voters(self) -> list[Broker]:
        return [node for node in self.all_of_kind if not node.machine.joined]

    def _check_voters(self) -> None:
        """Its last configuration tells how many there were."""
        voters, now = _property(self.conf / "server.properties", "controller.quorum.voters"), len(self._voters)
        if voters and (before := len(voters.split(","))) != now:
            raise UserError(
                f"{self.layout.data} has the data of {before} Kafka brokers, and oda.kafka.brokers lists {now}. "
                "List as many as before, or name another folder in servers.data; `oda machines add` adds one."
            )

    def _java(self, *main: str) -> list[str]:
        return self.java([*self.software.cache.files("kafka")], *main)


def _property(file: Path, name: str) -> str | None:
    if not file.exists():
        return None
    match = re.search(rf"^{re.escape(name)}=(.+)$", file.read_text("utf-8"), re.MULTILINE)
    return match[1] if match else None
