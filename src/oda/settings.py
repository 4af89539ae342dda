"""Settings: what `config.json` and `-o` may say, checked once, with errors that name the setting.

A setting is a Storm option whose name starts with `oda.`, such as `oda.window.size_ms`. The same
names work in `config.json` (`envs.NAME.options`), in `sparse submit -o NAME=VALUE` and in the
configuration that Storm hands to each spout and bolt.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from oda.errors import UserError, shorten

PREFIX = "oda."

SYSTEM = "system"
"""Instead of a file: the certificate authorities that the operating system trusts."""

_SECRETS = "name a file in password_file, or an environment variable in password_env (docs/security.md)"

_ACCOUNT = re.compile(r"//[^/]*@")
"""In a URL."""

_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})", re.ASCII)


def _no_folder(name: str) -> str:
    if name in (".", ".."):
        raise ValueError("must not be . or ..: Kafka has a folder for each topic")
    return name


def _addresses(value: str) -> str:
    for address in value.split(","):
        match = _ADDRESS.fullmatch(address)
        if not match or not 0 < int(match[2]) < 2**16:
            raise ValueError("must be host:port, comma separated")
    return value


def _urls(value: str) -> str:
    for url in value.split(","):
        try:
            scheme, hostname, port = (parts := urlsplit(url)).scheme, parts.hostname, parts.port
        except ValueError:
            hostname = None
        if not hostname or scheme not in ("http", "https") or port == 0:
            raise ValueError("must be http://host:port, comma separated")
        if "@" in parts.netloc:
            raise ValueError("must not hold an account, since Storm shows options to anyone; see docs/security.md")
    return value


def _absolute(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError("must be an absolute path: Storm's workers run in folders of their own")
    return path


def _authorities(path: str) -> str:
    return path if path == SYSTEM else _absolute(path)


Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9._-]+$"), AfterValidator(_no_folder)]
Addresses = Annotated[str, AfterValidator(_addresses)]
"""`host:port`, comma separated."""
Urls = Annotated[str, AfterValidator(_urls)]
"""`http://host:port`, comma separated."""
Positive = Annotated[int, Field(gt=0, lt=2**31)]
"""What Kafka and Elasticsearch take as a number, and timers as milliseconds."""
NotNegative = Annotated[int, Field(ge=0, lt=2**31)]
File = Annotated[str, AfterValidator(_absolute)]
"""An absolute path, on each machine that connects."""
Duration = Annotated[int, Field(ge=0, lt=2**43)]
"""Milliseconds; no longer than times can be apart."""


class SettingsError(UserError):
    """A setting is missing, unknown or wrong; the message names it and the fix."""


class Section(BaseModel):
    """A group of settings; a name that is not listed is an error, not ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_boolean(cls, value: Any) -> Any:
        if isinstance(value, bool):  # would be taken for 1 or 0
            raise ValueError("must not be true or false")
        return value


class Security(Section):
    """How connections to one kind of server are encrypted and authenticated: docs/security.md.

    With `ca` they are encrypted, without it they are not. Secrets are named here, and never are here: Storm shows
    options to whoever sees its UI.
    """

    setting: ClassVar[str]
    """The section's name, for errors."""

    ca: Annotated[str, AfterValidator(_authorities)] | None = None
    """A PEM file of the authorities that are trusted to sign the servers' certificates, or `system`."""
    certificate: File | None = None
    """Our own, for servers that ask for one (mutual TLS): a PEM file, with what leads to its authority."""
    key: File | None = None
    """Of the certificate: a PEM file that is not encrypted."""
    user: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    password_file: File | None = None
    """A file with the user's password and nothing else."""
    password_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """The name of an environment variable that holds it instead."""

    def named(self, field: str) -> str:
        """What one of the fields is called, for errors."""
        return f"{self.setting}.{field}"

    @model_validator(mode="after")
    def _complete(self) -> Security:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")
        passwords = sum(where is not None for where in (self.password_file, self.password_env))
        if passwords != (self.user is not None):
            raise ValueError("user needs one of password_file and password_env, and they need a user")
        if self.ca is None and (self.user or self.certificate):
            raise ValueError("ca is missing: without TLS, anyone on the way could read a password")
        return self


class KafkaSecurity(Security):
    """Of connections to the brokers."""

    setting = "oda.kafka.security"
    mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = "SCRAM-SHA-512"
    """Of SASL, by which the user is authenticated."""


class CassandraSecurity(Security):
    """Of connections to Cassandra."""

    setting = "oda.cassandra.security"


class ElasticsearchSecurity(Security):
    """Of connections to Elasticsearch."""

    setting = "oda.elasticsearch.security"


class StormSecurity(Security):
    """Of connections to Storm's UI."""

    setting = "oda.storm.security"


class Kafka(Section):
    """Where readings come from and results go."""

    brokers: Addresses
    group: Name = "oda"
    """Consumer group: owns the committed offsets and the snapshots that belong to them."""
    readings: Name = "readings"
    windows: Name = "oda.windows"
    anomalies: Name = "oda.anomalies"
    incidents: Name = "oda.incidents"
    bands: Name = "oda.bands"
    rejected: Name = "readings.rejected"
    members: Name = "oda.members"
    """What groups are made of, a log of its own (docs/groups.md); it keeps the partitions that it was made with."""
    rules: Name = "oda.rules"
    """What `oda rules apply` has applied, kept for ever: only who may change rules may write it."""
    verdicts: Name = "oda.verdicts"
    """What people say of incidents, kept for ever: `oda serve` writes it."""
    audits: Name = "oda.audits"
    """What `oda verify --every` found; the newest is kept."""
    partitions: Positive = 4
    replication: Positive = 1
    security: KafkaSecurity = KafkaSecurity()

    @model_validator(mode="after")
    def _different(self) -> Kafka:
        # What is rejected would be read again, and rejected again. Kafka takes a.b and a_b for the same, too.
        topics = [*self.topics, self.rules, self.verdicts, self.audits]
        if len({name.replace(".", "_") for name in topics}) < len(topics):
            raise ValueError(
                "readings, windows, anomalies, incidents, bands, rejected, members, rules, verdicts and audits "
                "must be different topics"
            )
        return self

    @property
    def topics(self) -> list[str]:
        """Those of readings and results; each has `partitions`."""
        results = [self.windows, self.anomalies, self.incidents, self.bands, self.rejected]
        return [self.readings, *results, self.members]


class Cassandra(Section):
    """The online store."""

    hosts: Addresses
    """`host:port`, comma separated; one port for all."""
    keyspace: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,47}$")] = "oda"
    replication: Positive = 1
    ttl_days: Annotated[int, Field(gt=0, le=3650)] = 30
    """How long rows live; one keeps the life that it was written with. Cassandra refuses any beyond January 2038."""
    buckets: Annotated[int, Field(gt=0, le=10_000)] = 64
    """Series of a bucket share partitions, of 100 MB at most if there are as many as `oda plan` says.

    A keyspace keeps the number that it was made with.
    """
    timeout_ms: Positive = 20_000
    datacenter: Name | None = None
    """The one whose nodes are asked; by default that of the first host that answers."""
    security: CassandraSecurity = CassandraSecurity()

    @field_validator("hosts")
    @classmethod
    def _one_port(cls, value: str) -> str:
        if len({int(host.rpartition(":")[2]) for host in value.split(",")}) > 1:
            raise ValueError("must name one port for all hosts")
        return value

    @property
    def contact_points(self) -> list[str]:
        """Host names without the port."""
        return [host.rpartition(":")[0].strip("[]") for host in self.hosts.split(",")]

    @property
    def port(self) -> int:
        """The native protocol port of every host."""
        return int(self.hosts.rpartition(":")[2])


class Elasticsearch(Section):
    """The insights."""

    urls: Urls
    prefix: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,80}$")] = "oda"
    shards: Annotated[int, Field(gt=0, le=1024)] = 1
    replicas: NotNegative = 0
    refresh_ms: Positive = 5_000
    """How old what a search finds may be: as slow as a person looks. Each refresh makes a segment to be merged."""
    timeout_ms: Positive = 20_000
    security: ElasticsearchSecurity = ElasticsearchSecurity()

    @model_validator(mode="after")
    def _encrypted(self) -> Elasticsearch:
        schemes = {url.partition(":")[0] for url in self.urls.split(",")}
        if schemes != {"https" if self.security.ca else "http"}:
            raise ValueError("urls must be https://... with security.ca (which may be `system`), http://... without it")
        return self


class Storm(Section):
    """Storm's UI, which commands ask; where it is, config.json says as streamparse knows it."""

    security: StormSecurity = StormSecurity()


class Window(Section):
    """What a window is and when it closes, where rules say nothing else."""

    size_ms: Annotated[Duration, Field(gt=0)] = 2_000
    lateness_ms: Duration = 0
    idle_ms: Duration = 5_000
    """How long after its end the clock closes the window of a series that fell silent."""
    expire_ms: Annotated[Duration, Field(gt=0)] = 86_400_000
    """How long a series is silent until nothing is kept of it: one that comes again begins anew.

    As one run of the spout sees it: one that is started again counts anew.
    """


class Judge(Section):
    """When a reading is an anomaly, where rules name no detectors."""

    sigmas: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 4.0
    min_count: Positive = 2
    """A window with fewer readings is no baseline."""
    min_stddev: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0


class Ingestion(Section):
    """What is accepted, and how it is cut into batches."""

    max_ahead_ms: Duration = 86_400_000
    """How far a reading's time may be ahead of when the broker appended it.

    In a topic whose records carry their producers' time (Kafka's CreateTime): ahead of that, but a year at least.
    """
    max_batch: Annotated[int, Field(gt=0, le=20_000)] = 12_000
    """Most records in one batch of one partition. The archive writes 30 batches at once: Cassandra takes 16 MiB."""
    clock_ms: Positive = 500
    """How often the window bolts are told the time, to see which series are silent."""
    backlog: Positive = 500_000
    """Most un-acked readings of one spout: beyond it the backlog stays in Kafka, not in memory.

    With slow stores the spout itself stays below that, since what is on its way must be done before Storm's time-out.

    A large malformed message counts as many readings: one of 1 MiB as 14,000.
    """


class Snapshots(Section):
    """How often the states of windows and judgement are made durable."""

    interval_ms: Positive = 2_000


class Parallelism(Section):
    """Executors of each component."""

    readings: Positive = 1
    windows: Positive = 1
    anomalies: Positive = 1
    cassandra: Positive = 1
    elasticsearch: Positive = 1
    kafka: Positive = 1
    groups: NotNegative = 1
    """Of both spout and bolt of groups; 0 for a topology that has none, whatever its rules say."""


class Settings(Section):
    """All settings; the address of each server has no default, the rest does."""

    kafka: Kafka
    cassandra: Cassandra
    elasticsearch: Elasticsearch
    storm: Storm = Storm()
    window: Window = Window()
    judge: Judge = Judge()
    readings: Ingestion = Ingestion()
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
            group, _, key_of_group = key.partition(".")
            if key_of_group and isinstance(there := tree.setdefault(section, {}).setdefault(group, {}), dict):
                there[key_of_group] = value
            else:
                tree.setdefault(section, {})[key] = value
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            raise SettingsError(_explain(error)) from None


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        name = _shown(PREFIX + ".".join(str(part) for part in problem["loc"]))
        if problem["type"] == "extra_forbidden" and problem["loc"][-1] in ("password", "key_password"):
            lines.append(f"{name}: must not be among the options, since Storm shows them to anyone; {_SECRETS}")
        elif problem["type"] == "extra_forbidden":
            lines.append(f"{name}: there is no such setting")
        elif problem["type"] == "missing":
            lines.append(f"{name}: is missing")
        elif "security" in problem["loc"]:  # somebody may have put a secret there
            lines.append(f"{name}: {problem['msg']}")
        else:
            shown = _ACCOUNT.sub("//…@", repr(problem["input"]))
            lines.append(f"{name}: {problem['msg']} (it is {shorten(shown)})")
    fix = "Set it in config.json under envs.NAME.options, or with -o NAME=VALUE."
    return "\n".join([*lines, fix])


def _shown(name: str) -> str:
    return shorten(name if name.isprintable() else repr(name))


def load_options(config: Path, env: str) -> dict[str, Any]:
    """The options of one environment of a config.json.

    Raises:
        SettingsError: the file can't be read, is not JSON, or has no such environment.
    """
    try:
        options = json.loads(config.read_text("utf-8"))["envs"][env]["options"]
        if not isinstance(options, dict):
            raise TypeError
        return options
    except OSError as error:
        raise SettingsError(f"{config}: {error.strerror}; run from the repository's root, or name the file") from None
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(f"{config}: not JSON: {error}") from None
    except (KeyError, TypeError, AttributeError, ValueError):
        raise SettingsError(f"{config}: must have an object envs.{env}.options") from None


def load_settings(config: Path, env: str) -> Settings:
    """The checked settings of one environment of a config.json. Raises SettingsError."""
    return Settings.from_options(load_options(config, env))
