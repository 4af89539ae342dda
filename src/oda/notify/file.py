"""What a file of receivers and routes may say: its fields, their types and bounds, and its JSON schema."""

from __future__ import annotations

from datetime import UTC, tzinfo
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from oda.core.duration import Duration, LongerThanNone
from oda.core.rules.file import Label, Part, Severity, Value
from oda.core.rules.pattern import Glob
from oda.notify.secret import Secret

PORTS = {"starttls": 587, "tls": 465, "none": 25}
"""Where a mail server listens, by how the connection is secured."""


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return text
    except ValueError:
        pass
    raise ValueError("must be http://... or https://...")


def _address(text: str) -> str:
    if not text.isprintable() or " " in text or not all(text.rpartition("@")[::2]):
        raise ValueError("must be a mail address, name@host")
    return text


def _zone(name: str) -> str:
    if name != "UTC":
        try:
            ZoneInfo(name)
        except (LookupError, ValueError, OSError):
            raise ValueError(
                "must be a time zone that this machine knows, such as Europe/Zurich (Debian: package tzdata)"
            ) from None
    return name


Url = Annotated[str, Field(pattern="^https?://", max_length=2000), AfterValidator(_url)]
Address = Annotated[str, Field(max_length=320), AfterValidator(_address)]
ReceiverName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=63)]


class Http(Part):
    """What is asked by HTTP."""

    authorization: Secret | None = Field(default=None, description="the header Authorization, such as `Bearer ...`")
    ca: str | None = Field(default=None, description="a file of certificates to trust instead of the machine's own")
    timeout: LongerThanNone = Field(default=10_000, description="for the connection, and for the answer")


class Webhook(Http):
    """A POST of JSON for every few notifications; see docs/notify.md for its form."""

    url: Url | None = None
    url_from: Secret | None = Field(default=None, description="instead, where it is a secret itself")

    @model_validator(mode="after")
    def _one(self) -> Webhook:
        if (self.url is None) == (self.url_from is None):
            raise ValueError("must say either url or url_from")
        return self


class Alertmanager(Http):
    """Prometheus' Alertmanager: its base URL. Of several that form a cluster let each be a receiver."""

    url: Url


class Mail(Part):
    """A mail server."""

    host: Annotated[str, Field(min_length=1, max_length=253)]
    port: Annotated[int, Field(gt=0, lt=2**16)] | None = Field(default=None, description="587, with tls 465, none 25")
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: Annotated[str, Field(min_length=1)] | None = None
    password: Secret | None = None
    ca: str | None = Field(default=None, description="a file of certificates to trust instead of the machine's own")
    timeout: LongerThanNone = Field(default=30_000, description="for each answer of the server")
    from_: Address = Field(alias="from")
    to: Annotated[list[Address], Field(min_length=1, max_length=100)]

    @model_validator(mode="after")
    def _safe(self) -> Mail:
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password go together")
        if self.password and self.security == "none":
            raise ValueError("a password is not sent without starttls or tls: everyone on the way could read it")
        return self


class Receiver(Part):
    """Who is told. `name` is part of the consumer group that remembers what it was told."""

    name: ReceiverName
    webhook: Webhook | None = None
    alertmanager: Alertmanager | None = None
    mail: Mail | None = None

    @model_validator(mode="after")
    def _one(self) -> Receiver:
        if sum(way is not None for way in (self.webhook, self.alertmanager, self.mail)) != 1:
            raise ValueError("must say one of webhook, alertmanager and mail")
        return self


class Route(Part):
    """The first one that matches says who is told; after one with `continue` the next ones are asked, too."""

    severity: Severity | None = Field(default=None, description="this one or worse; default any")
    labels: Annotated[dict[Label, Glob], Field(max_length=32)] = Field(
        default={}, description="all of these, each value a glob such as north-*"
    )
    to: Annotated[list[ReceiverName], Field(min_length=1)]
    continue_: bool = Field(default=False, alias="continue")


class Standstill(Part):
    """When readings wait and ODA comes no further, that is told like an incident, by the same routes."""

    after: LongerThanNone = Field(default=60_000, description="so long without progress")
    severity: Severity = "critical"
    labels: Annotated[dict[Label, Value], Field(max_length=32)] = Field(default={})


class Suppression(Part):
    """What incidents of groups suppress (docs/groups.md) is not told."""

    wait: Duration | None = Field(
        default=None,
        description="how long a member's incident waits for its group's; default its window, the lateness, and 10 s",
    )


class File(Part):
    """All of it."""

    page: Url | None = Field(default=None, description="where oda serve is for its readers, for links")
    time_zone: Annotated[str, AfterValidator(_zone)] = Field(default="UTC", description="of times in texts")
    receivers: Annotated[list[Receiver], Field(min_length=1, max_length=50)]
    routes: Annotated[list[Route], Field(min_length=1, max_length=1000)]
    standstill: Standstill = Standstill()
    suppression: Suppression = Suppression()

    @property
    def secrets(self) -> list[Secret]:
        """All that it refers to."""
        ways = [way for one in self.receivers for way in (one.webhook, one.alertmanager, one.mail) if way]
        return [value for way in ways for _, value in way if isinstance(value, Secret)]

    @property
    def zone(self) -> tzinfo:
        """That of `time_zone`."""
        return UTC if self.time_zone == "UTC" else ZoneInfo(self.time_zone)


def schema() -> dict[str, Any]:
    """The JSON schema of a file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **File.model_json_schema()}
