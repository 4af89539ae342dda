"""What all notifications have in common: each tells of one change of one incident."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, Literal, NamedTuple, Protocol
from urllib.parse import quote

from oda.shown import plain

_AROUND_MS = 600_000
"""What a link shows before and after an incident."""


class Notification(Protocol):
    """One change of an incident, or of a standstill. What is costly is made only when it is asked for.

    Attributes:
        place: of the incident: the same for all its changes, and for nothing else.
        number: of the change, from 0 on. Place and number tell a repetition.
        alert: what Alertmanager calls it.
    """

    alert: str

    @property
    def place(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def change(self) -> Literal["opened", "escalated", "resolved"]: ...
    @property
    def severity(self) -> str: ...

    @property
    def names(self) -> Mapping[str, str]:
        """What it is about, as labels."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Those by which it is routed."""

    @property
    def since(self) -> int:
        """Epoch ms."""

    @property
    def until(self) -> int | None:
        """Epoch ms; None while it lasts."""

    @property
    def headline(self) -> str:
        """What is wrong, in a few words."""

    def facts(self, look: Look) -> Sequence[tuple[str, str]]:
        """What people need to know, each with its name."""

    def link(self, look: Look) -> str:
        """Where the page shows it; "" if it is not known where that is."""

    def numbers(self) -> Mapping[str, Any]:
        """What programs need to know besides."""


@dataclass(frozen=True)
class Look:
    """How notifications look: the page's base URL, and the time zone of times in texts."""

    page: str
    zone: tzinfo

    def time(self, ms: int) -> str:
        """Epoch ms.

        >>> from datetime import UTC
        >>> Look("", UTC).time(1732300000123)
        '2024-11-22 18:26:40.123 UTC'
        """
        time = datetime.fromtimestamp(ms / 1000, self.zone)
        name = time.tzname() or ""
        return f"{time.replace(tzinfo=None).isoformat(' ', 'milliseconds')} {name if name.isalpha() else 'UTC' + name}"

    def series(self, name: str, since: int, until: int) -> str:
        """Where the page shows a series at a time, and a little around it."""
        if not self.page:
            return ""
        query = f"name={quote(name, safe='')}&since={max(0, since - _AROUND_MS)}&until={until + _AROUND_MS}"
        return f"{self.page.rstrip('/')}/#/series?{query}"

    def pipeline(self) -> str:
        """Where the page shows how far ODA is."""
        return f"{self.page.rstrip('/')}/#/pipeline" if self.page else ""


class Due(NamedTuple):
    """A notification for one receiver, and what that was told of the same incident before, as far as is known."""

    now: Notification
    before: Notification | None = None

    @property
    def id(self) -> str:
        """The same for each repetition."""
        return f"{self.now.place}:{self.now.number}"


def title(due: Due) -> str:
    """In one line. What is the first that somebody hears of an incident says that it has opened, too."""
    is_first = due.before is None and due.now.change != "opened"
    change = f"opened and {due.now.change}" if is_first else due.now.change
    return f"[{plain(due.now.severity)}] {change}: {due.now.headline}"


def text(due: Due, look: Look) -> str:
    """In some lines, the title first."""
    labels = ", ".join(f"{name}={plain(value)}" for name, value in sorted(due.now.labels.items()))
    facts = [*due.now.facts(look), ("labels", labels), ("page", due.now.link(look)), ("id", plain(due.id))]
    return "\n".join([title(due), *(f"  {name:<10}{fact}" for name, fact in facts if fact)])


def document(due: Due, look: Look) -> dict[str, Any]:
    """For programs; times are epoch ms."""
    now = due.now
    return {
        "id": due.id,
        "incident": now.place,
        "number": now.number,
        "change": now.change,
        "told_before": due.before.change if due.before else None,
        "severity": now.severity,
        "labels": dict(now.labels),
        "since": now.since,
        "until": now.until,
        **now.names,
        **now.numbers(),
        "link": now.link(look),
        "text": text(due, look),
    }
