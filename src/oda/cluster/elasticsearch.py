"""Elasticsearch, the store of insights."""

from __future__ import annotations

import os
from collections.abc import Mapping

from oda.cluster.server import PROBE_SECONDS, Server

# Elasticsearch refuses to run as root. Run by root, it becomes nobody, but keeps root's way into
# folders: our cache and data may well lie below /root. The securebit is what makes access(2) count
# that capability too.
_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--securebits=+no_setuid_fixup"]
_NOBODY += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]


class ElasticsearchNode(Server):
    """One node without security, for loopback."""

    name = "elasticsearch"
    templates = "elasticsearch"
    listens_on = ("elasticsearch", "elasticsearch_transport")
    memory_mb = 800

    def command(self) -> list[str]:
        """The server; as nobody when we are root."""
        start = str(self.software.elasticsearch / "bin/elasticsearch")
        return [*_NOBODY, start] if os.geteuid() == 0 else [start]

    def prepare(self) -> None:
        super().prepare()
        (self.folder / "tmp").mkdir(exist_ok=True)
        # Of a first start that was ended; it refuses to start over it.
        (self.conf / "elasticsearch.keystore.tmp").unlink(missing_ok=True)

    def environment(self) -> Mapping[str, str]:
        """Where its files are, and the options of the launcher, which stays as the server's parent."""
        own = {
            "ES_PATH_CONF": str(self.conf),
            "ES_JAVA_HOME": str(self.software.jdk),
            # It won't start with its configuration below its temporary folder, such as /tmp.
            "ES_TMPDIR": str(self.folder / "tmp"),
            "CLI_JAVA_OPTS": "-Xmx16m -XX:+UseSerialGC -XX:TieredStopAtLevel=1",
        }
        return {**super().environment(), **own}

    def probe(self) -> None:
        """Whether all primary shards are there."""
        from elasticsearch import Elasticsearch

        with Elasticsearch(f"http://127.0.0.1:{self.ports[0]}", request_timeout=PROBE_SECONDS, max_retries=0) as client:
            client.cluster.health(wait_for_status="yellow", timeout="2s")
