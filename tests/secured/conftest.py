"""The servers that ask for TLS and accounts: started once, for all files of this folder, and ended after them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from oda.admin.rights import ROLES
from oda.cluster.elasticsearch import hashed
from oda.errors import UserError
from oda.kafka import client
from oda.settings import Settings
from secured.servers import Servers, reach, running, secured
from support import wait_until


@pytest.fixture(scope="package")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """ODA_TEST_SECURED names the folder of some that run, to use them instead."""
    if there := os.environ.get("ODA_TEST_SECURED"):
        yield Servers(Path(there))
        return
    folder = tmp_path_factory.mktemp("secured")
    with running(secured(folder)):
        yield Servers(folder)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it is said why there is no connection."""
    monkeypatch.setattr(client, "CONNECT_MS", 3_000)


@pytest.fixture(scope="package")
def roles(servers: Servers) -> Servers:
    """With all that `oda admin` makes."""
    passwords = servers.folder / "passwords"
    passwords.mkdir(exist_ok=True)
    for role in ROLES:
        servers.password(role).write_text(f"oda-{role}-secret\n")
    with (servers.folder / "data/elasticsearch/conf/users").open("a") as users:
        users.writelines(f"oda-{role}:{hashed(f'oda-{role}-secret')}\n" for role in ROLES)
    servers.make(servers.config, "--passwords", passwords)
    wait_until(lambda: _lets_in(servers.role("auditor")), "Elasticsearch did not read its files of users")
    return servers


def _lets_in(settings: Settings) -> bool:
    try:
        reach("elasticsearch", settings)
    except UserError:
        return False
    return True
