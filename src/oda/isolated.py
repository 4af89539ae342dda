"""A config.json for topics, tables and indices that nobody else uses, on the same servers."""

from __future__ import annotations

import json
import secrets
from pathlib import Path


def isolated(config: Path, env: str, folder: Path, **options: object) -> Path:
    """Write a config.json for the same servers with topics, tables and indices of its own.

    Options are named as `window__size_ms=1000`. The topology's name is the group's.
    """
    name = "t" + secrets.token_hex(4)
    content = json.loads(config.read_text())
    content["envs"][env]["options"] |= {
        "oda.kafka.group": name,
        "oda.kafka.readings": f"{name}.readings",
        "oda.kafka.windows": f"{name}.windows",
        "oda.kafka.anomalies": f"{name}.anomalies",
        "oda.kafka.rejected": f"{name}.rejected",
        "oda.cassandra.keyspace": name,
        "oda.elasticsearch.prefix": name,
        **{"oda." + option.replace("__", "."): value for option, value in options.items()},
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content))
    return path
