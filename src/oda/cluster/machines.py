"""Environment `machines` of config.json: what is made before its servers start, and what when they serve.

Machines may join those that config.json lists. What there is, is written beside the data, with an environment for each
account (`oda.cluster.accounts.environments`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from oda.cluster.accounts import ADMIN, environments, make_passwords, role_accounts, write_environments
from oda.cluster.certificates import OWN_ADDRESS, make_certificates
from oda.cluster.grown import Section, grown, shrunk
from oda.cluster.layout import Layout, Machine, load_layout
from oda.errors import UserError

ENVIRONMENT = "machines"
"""Of config.json."""


def prepare(config: Path) -> Layout:
    """Make certificates, passwords and environments; returns the layout as an administrator sees it.

    Machines that have joined are among it.
    """
    layout, before = load_layout(config, ENVIRONMENT), described(config)
    _certify(layout)
    write_environments(config, ENVIRONMENT, layout)
    layout = as_administrator(layout)
    for machine in joined(before):
        layout = join(layout, machine.name)
    return layout


def described(config: Path) -> Layout:
    """What there is: what config.json lists, and the machines that have joined since `oda machines up`."""
    layout = load_layout(config, ENVIRONMENT)
    return load_layout(environments(layout), ENVIRONMENT) if environments(layout).exists() else layout


def joined(layout: Layout) -> list[Machine]:
    """The machines that joined, the last at the end."""
    return [machine for machine in layout.machines if machine.joined]


def join(layout: Layout, name: str) -> Layout:
    """Write down that a machine joins, and make its certificate; returns the layout as an administrator sees it.

    Raises:
        UserError: there is a machine of that name, or it is no name of a machine.
    """
    if name in {machine.name for machine in layout.machines}:
        raise UserError(f"there is a machine {name} already")
    return _changed(layout, lambda section: grown(section, name))


def leave(layout: Layout) -> Layout:
    """Write down that the machine that joined last is gone; returns the layout as an administrator sees it."""
    return _changed(layout, shrunk)


def administrators(layout: Layout) -> str:
    """The environment, of those beside the data, that may do everything."""
    return ADMIN if layout.certificates else ENVIRONMENT


def as_administrator(layout: Layout) -> Layout:
    """What there is now, with the administrator's account."""
    return load_layout(environments(layout), administrators(layout))


def administer(layout: Layout) -> None:
    """Make topics, tables, templates, accounts and rights on servers that serve."""
    from oda.admin import make  # which costs each command time
    from oda.admin.accounts import Account

    accounts = [Account(*account) for account in role_accounts(layout.certificates)] if layout.certificates else []
    make.in_kafka(layout.settings, accounts)
    make.in_cassandra(layout.settings, accounts)
    # Whose roles and users are in its files already: this distribution has no API for them.
    make.in_elasticsearch(layout.settings, [])


def _changed(layout: Layout, change: Callable[[Section], Section]) -> Layout:
    """With its environments changed; nothing is if they can't be used then."""
    file = environments(layout)
    document = json.loads(file.read_text())
    document["envs"] = {name: change(section) for name, section in document["envs"].items()}
    changed = file.with_name("changed.json")
    changed.write_text(json.dumps(document, indent=2))
    _certify(load_layout(changed, ENVIRONMENT))
    changed.replace(file)
    return as_administrator(load_layout(file, ENVIRONMENT))


def _certify(layout: Layout) -> None:
    """Make the certificates and passwords that are missing."""
    if layout.certificates:
        hosts = {machine.name: [machine.name, "localhost", machine.address, OWN_ADDRESS] for machine in layout.machines}
        make_certificates(layout.certificates, hosts)
        make_passwords(layout.certificates)
