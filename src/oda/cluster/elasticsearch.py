"""Elasticsearch, the store of insights."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from oda.cluster.server import PROBE_SECONDS, Server
from oda.security import password

_ROUNDS = 10_000
"""Of the hash, as Elasticsearch's own."""

# Elasticsearch refuses to run as root. Run by root, it becomes nobody, but keeps root's way into
# folders: our cache and data may well lie below /root. The securebit is what makes access(2) count
# that capability too.
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--securebits=+no_setuid_fixup"]
NOBODY += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]


class ElasticsearchNode(Server):
    """One node."""

    name = "elasticsearch"
    templates = "elasticsearch"
    listens_on = ("elasticsearch", "elasticsearch_transport")
    memory_mb = 800

    def command(self) -> list[str]:
        """The server; as nobody when we are root."""
        start = str(self.software.elasticsearch / "bin/elasticsearch")
        return [*NOBODY, start] if os.geteuid() == 0 else [start]

    def prepare(self) -> None:
        super().prepare()
        (self.folder / "tmp").mkdir(exist_ok=True)
        if self.layout.certificates:
            self._secure(self.layout.certificates)
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
        from oda.stores.elasticsearch import connect

        itself = self.layout.settings.elasticsearch.model_copy(update={"timeout_ms": int(PROBE_SECONDS * 1000)})
        with connect(itself) as client:
            client.options(max_retries=0).cluster.health(wait_for_status="yellow", timeout="2s")

    def _secure(self, certificates: Path) -> None:
        """Its certificate, where it looks for it, and the administrator, in a file: it is there without the cluster."""
        for name in ("ca.pem", "server.pem", "server.key"):
            shutil.copy(certificates / name, self.conf)
        security = self.layout.settings.elasticsearch.security
        users, roles = self.conf / "users", self.conf / "users_roles"
        if security.user and not users.exists():
            users.write_text(f"{security.user}:{hashed(password(security))}\n")
            roles.write_text(f"superuser:{security.user}\n")
            users.chmod(0o600)


def hashed(secret: str) -> str:
    """A password as Elasticsearch keeps it in a file of users.

    >>> hashed("secret").split("$")[0]
    '{PBKDF2}10000'
    """
    salt = secrets.token_bytes(32)
    key = hashlib.pbkdf2_hmac("sha512", secret.encode(), salt, _ROUNDS, 32)
    return "$".join([f"{{PBKDF2}}{_ROUNDS}", *(base64.b64encode(part).decode() for part in (salt, key))])
