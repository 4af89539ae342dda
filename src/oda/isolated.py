"""Topics, tables and indices that nobody else uses, on the same servers."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from oda.stores.catalogue import STORES


def isolated(config: Path, env: str, folder: Path, **options: object) -> Path:
    """Write a config.json for the same servers with topics, tables and indices of its own.

    Options are named as `window__size_ms=1000`. The topology's name is the group's.
    """
    name = "t" + secrets.token_hex(4)
    content = json.loads(config.read_text())
    chosen = {"oda." + option.replace("__", "."): value for option, value in options.items()}
    source = {"oda.kafka.group": name} | {
        f"oda.kafka.{topic}": f"{name}.{topic}" for topic in ("readings", "rules", "verdicts", "audits")
    }
    content["envs"][env]["options"] |= source | own_stores(name) | chosen
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content))
    return path


def own_stores(name: str) -> dict[str, str]:
    """The options that give whoever has this name stores of its own.

    >>> own_stores("shadow")["oda.cassandra.keyspace"]
    'shadow'
    """
    return {
        f"oda.{store.name}.{setting}": pattern.format(name=name)
        for store in STORES
        for setting, pattern in store.own.items()
    }
