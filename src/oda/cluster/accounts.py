"""The accounts of a secured cluster of one's own: an administrator's, and one a role.

Each has its password in a file, `NAME.password` beside the certificates, and an environment in a config.json that is
written here: the same servers, as somebody else.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from oda.admin.rights import ROLES
from oda.cluster.certificates import write_private
from oda.cluster.layout import Layout

ADMIN = "admin"

SECURED = ("kafka", "cassandra", "elasticsearch")
"""Servers that ask for an account."""


class RoleAccount(NamedTuple):
    """Who has a role, and where the password is."""

    role: str
    user: str
    password_file: Path


def role_accounts(folder: Path) -> Iterator[RoleAccount]:
    """Those of which there is a password in a folder."""
    for role in ROLES:
        if (file := _file(folder, role)).exists():
            yield RoleAccount(role, f"oda-{role}", file)


def make_passwords(folder: Path) -> None:
    """Of the administrator and of each role, if it has none."""
    for name in (ADMIN, *ROLES):
        if not (file := _file(folder, name)).exists():
            write_private(file, f"{secrets.token_urlsafe(24)}\n".encode())


def environments(layout: Layout) -> Path:
    """The config.json with an environment for each account."""
    return layout.data / "config.json"


def write_environments(config: Path, env: str, layout: Layout) -> Path:
    """Write `environments`: an environment as it is, and for each account one named after it.

    Returns:
        its path.
    """
    document = json.loads(config.read_text())
    section: dict[str, Any] = document["envs"][env]
    servers = document["servers"] | section.get("servers", {}) | {"data": str(layout.data)}
    if layout.certificates:
        servers["certificates"] = str(layout.certificates)
    section = section | {"servers": servers}
    envs = {env: section}
    if layout.certificates:
        users = {ADMIN: ADMIN} | {account.role: account.user for account in role_accounts(layout.certificates)}
        for name, user in users.items():
            own = {"user": user, "password_file": str(_file(layout.certificates, name))}
            options = {f"oda.{kind}.security.{key}": value for kind in SECURED for key, value in own.items()}
            envs[name] = section | {"options": section["options"] | options}
    layout.data.mkdir(parents=True, exist_ok=True)
    path = environments(layout)
    path.write_text(json.dumps(document | {"envs": envs}, indent=2))
    return path


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.password"
