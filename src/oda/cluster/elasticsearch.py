"""Elasticsearch, the store of insights."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from oda.cluster.accounts import role_accounts
from oda.cluster.server import PROBE_SECONDS, Server
from oda.secret import read_secret
from oda.security import password

_ROUNDS = 10_000
"""Of the hash, as Elasticsearch's own."""

# Elasticsearch refuses to run as root. Run by root, it becomes nobody, but keeps root's way into
# folders: our cache and data may well lie below /root. The securebit is what makes access(2) count
# that capability too.
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--securebits=+no_setuid_fixup"]
NOBODY += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]


class ElasticsearchNode(Server):
    """One node; together they are one cluster."""

    kind = "elasticsearch"
    templates = "elasticsearch"
    memory_mb = 800

    def values(self) -> dict[str, object]:
        """Who the others are."""
        nodes, lost = self.all_of_kind, self.lost_its_disk()
        others = [node.place.at("elasticsearch_transport") for node in nodes if node.number != self.number]
        founders = [f"oda-{node.number}" for node in nodes if not node.machine.joined]
        return super().values() | {
            "others": json.dumps(others),
            "founders": json.dumps([] if lost or self.machine.joined else founders),
            "heap_mb": 400 if self.layout.is_shared else 512,
        }

    def command(self) -> list[str]:
        """The server; as nobody when we are root."""
        start = str(self.software.elasticsearch / "bin/elasticsearch")
        return [*NOBODY, start] if os.geteuid() == 0 else [start]

    def prepare(self) -> None:
        super().prepare()
        (self.folder / "tmp").mkdir(exist_ok=True)
        if self.layout.certificates and self.certificates:
            self._secure(self.layout.certificates, self.certificates)
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

        scheme = "https" if self.certificates else "http"
        own = {"urls": f"{scheme}://{self.place.at(self.kind)}", "timeout_ms": int(PROBE_SECONDS * 1000)}
        itself = self.layout.settings.elasticsearch.model_copy(update=own)
        with connect(itself) as client:
            client.options(max_retries=0).cluster.health(wait_for_status="yellow", timeout="2s")

    def _secure(self, all_machines: Path, own: Path) -> None:
        """Its certificate, where it looks for it, and accounts, in files: they are there without the cluster."""
        for name in ("ca.pem", "server.pem", "server.key"):
            shutil.copy(own / name, self.conf)
        settings = self.layout.settings
        security, users = settings.elasticsearch.security, self.conf / "users"
        if not security.user or users.exists():
            return
        from oda.admin.printed import roles_yml  # which costs each command time

        accounts = {security.user: ("superuser", password(security))}
        for role, user, file in role_accounts(all_machines):
            accounts[user] = (f"{settings.elasticsearch.prefix}-{role}", read_secret(str(file), None))
        (self.conf / "roles.yml").write_text(roles_yml(settings))
        (self.conf / "users_roles").write_text("".join(f"{role}:{user}\n" for user, (role, _) in accounts.items()))
        users.touch(0o600)
        users.write_text("".join(f"{user}:{hashed(secret)}\n" for user, (_, secret) in accounts.items()))


def hashed(secret: str) -> str:
    """A password as Elasticsearch keeps it in a file of users.

    >>> hashed("secret").split("$")[0]
    '{PBKDF2}10000'
    """
    salt = secrets.token_bytes(32)
    key = hashlib.pbkdf2_hmac("sha512", secret.encode(), salt, _ROUNDS, 32)
    return "$".join([f"{{PBKDF2}}{_ROUNDS}", *(base64.b64encode(part).decode() for part in (salt, key))])
