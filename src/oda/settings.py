"""Settings: what `config.json` and `-o` may say, checked once, with errors that name the setting.

A setting is a Storm option whose name starts with `oda.`, such as `oda.window.size_ms`. The same
names work in `config.json` (`envs.NAME.options`), in `sparse submit -o NAME=VALUE` and in the
configuration that Storm hands to each spout and bolt.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from oda.errors import UserError

PREFIX = "oda."

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9._-]+$")]
Positive = Annotated[int, Field(gt=0)]
NotNegative = Annotated[int, Field(ge=0)]


class SettingsError(UserError):
    """A setting is missing, unknown or wrong; the message names it and the fix."""


class Section(BaseModel):
    """A group of settings; a name that is not listed is an error, not ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Kafka(Section):
    """Where readings come from and results go."""

    brokers: str = Field(min_length=1)
    """`host:port`, comma separated."""
    group: Name = "oda"
    """Consumer group: owns the committed offsets and the snapshots that belong to them."""
    readings: Name = "readings"
    windows: Name = "oda.windows"
    anomalies: Name = "oda.anomalies"
    rejected: Name = "readings.rejected"
    partitions: Positive = 4
    replication: Positive = 1

    @property
    def topics(self) -> list[str]:
        """Every topic that ODA reads or writes."""
        return [self.readings, self.windows, self.anomalies, self.rejected]


class Cassandra(Section):
    """The online store."""

    hosts: str = Field(min_length=1)
    """`host:port`, comma separated; one port for all."""
    keyspace: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,47}$")] = "oda"
    replication: Positive = 1
    ttl_days: Positive = 30
    timeout_ms: Positive = 20_000

    @field_validator("hosts")
    @classmethod
    def _one_port(cls, value: str) -> str:
        pairs = [host.rpartition(":") for host in value.split(",")]
        if any(not name or not port.isdigit() for name, _, port in pairs):
            raise ValueError("must be host:port, comma separated")
        if len({port for _, _, port in pairs}) > 1:
            raise ValueError("must name one port for all hosts")
        return value

    @property
    def contact_points(self) -> list[str]:
        """Host names without the port."""
        return [host.rpartition(":")[0].strip() for host in self.hosts.split(",")]

    @property
    def port(self) -> int:
        """The native protocol port of every host."""
        return int(self.hosts.rpartition(":")[2])


class Elasticsearch(Section):
    """The insights."""

    urls: str = Field(min_length=1, pattern=r"^https?://")
    """`http://host:port`, comma separated."""
    prefix: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,80}$")] = "oda"
    shards: Positive = 1
    replicas: NotNegative = 0
    timeout_ms: Positive = 20_000


class Window(Section):
    """What a window is and when it closes."""

    size_ms: Positive = 2_000
    lateness_ms: NotNegative = 0
    idle_ms: NotNegative = 5_000
    """How long after its end the clock closes the window of a series that fell silent."""


class Judge(Section):
    """When a reading is an anomaly."""

    sigmas: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 4.0
    min_count: Positive = 2
    """A window with fewer readings is no baseline."""
    min_stddev: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0


class Readings(Section):
    """What is accepted, and how it is cut into batches."""

    max_ahead_ms: NotNegative = 86_400_000
    """How far a reading's time may be ahead of the broker's record timestamp."""
    max_batch: Annotated[int, Field(gt=0, le=100_000)] = 4_000
    """Most records in one batch of one partition."""
    clock_ms: Positive = 500
    """How often a partition gets a clock batch."""
    backlog: Positive = 200_000
    """Most un-acked readings of one spout: beyond it the backlog stays in Kafka, not in memory."""


class Snapshots(Section):
    """How often the windows' state is made durable."""

    interval_ms: Positive = 1_000


class Parallelism(Section):
    """Executors of each component."""

    readings: Positive = 1
    windows: Positive = 1
    anomalies: Positive = 1
    cassandra: Positive = 1
    elasticsearch: Positive = 1
    kafka: Positive = 1


class Settings(Section):
    """All settings; the address of each server has no default, the rest does."""

    kafka: Kafka
    cassandra: Cassandra
    elasticsearch: Elasticsearch
    window: Window = Window()
    judge: Judge = Judge()
    readings: Readings = Readings()
    snapshots: Snapshots = Snapshots()
    parallelism: Parallelism = Parallelism()

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Settings:
        """Build from flat options (`{"oda.window.size_ms": 2000, ...}`); other names are Storm's.

        Raises:
            SettingsError: names every setting that is missing, unknown or wrong, and the fix.
        """
        tree: dict[str, Any] = {}
        for name, value in options.items():
            if not name.startswith(PREFIX):
                continue
            section, _, key = name.removeprefix(PREFIX).partition(".")
            tree.setdefault(section, {})[key] = value
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            raise SettingsError(_explain(error)) from None


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        name = PREFIX + ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            lines.append(f"{name}: there is no such setting")
        elif problem["type"] == "missing":
            lines.append(f"{name}: is missing")
        else:
            lines.append(f"{name}: {problem['msg']} (it is {problem['input']!r})")
    fix = "Set it in config.json under envs.NAME.options, or with -o NAME=VALUE."
    return "\n".join([*lines, fix])


def load_options(config: Path, env: str) -> dict[str, Any]:
    """The options of one environment of a config.json.

    Raises:
        SettingsError: the file can't be read, is not JSON, or has no such environment.
    """
    try:
        envs = json.loads(config.read_text())["envs"]
        return dict(envs[env]["options"])
    except OSError as error:
        raise SettingsError(f"{config}: {error.strerror}; run from the repository's root, or name the file") from None
    except json.JSONDecodeError as error:
        raise SettingsError(f"{config}: not JSON: {error}") from None
    except (KeyError, TypeError, AttributeError, ValueError):
        raise SettingsError(f"{config}: must have an object envs.{env}.options") from None


def load_settings(config: Path, env: str) -> Settings:
    """The checked settings of one environment of a config.json. Raises SettingsError."""
    return Settings.from_options(load_options(config, env))
