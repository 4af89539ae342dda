"""Environment `machines` of config.json: what is made before its servers start, and what when they serve."""

from __future__ import annotations

from pathlib import Path

from oda.cluster.accounts import ADMIN, environments, make_passwords, role_accounts, write_environments
from oda.cluster.certificates import OWN_ADDRESS, make_certificates
from oda.cluster.layout import Layout, load_layout

ENVIRONMENT = "machines"
"""Of config.json."""


def prepare(config: Path) -> Layout:
    """Make certificates, passwords and environments; returns the layout as an administrator sees it."""
    layout = load_layout(config, ENVIRONMENT)
    if layout.certificates:
        hosts = {machine.name: [machine.name, "localhost", machine.address, OWN_ADDRESS] for machine in layout.machines}
        make_certificates(layout.certificates, hosts)
        make_passwords(layout.certificates)
    write_environments(config, ENVIRONMENT, layout)
    return as_administrator(layout)


def as_administrator(layout: Layout) -> Layout:
    """The same, with the administrator's account."""
    return load_layout(environments(layout), ADMIN) if layout.certificates else layout


def administer(layout: Layout) -> None:
    """Make topics, tables, templates, accounts and rights on servers that serve."""
    from oda.admin import make  # which costs each command time
    from oda.admin.accounts import Account

    accounts = [Account(*account) for account in role_accounts(layout.certificates)] if layout.certificates else []
    make.in_kafka(layout.settings, accounts)
    make.in_cassandra(layout.settings, accounts)
    # Whose roles and users are in its files already: this distribution has no API for them.
    make.in_elasticsearch(layout.settings, [])
