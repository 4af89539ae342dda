"""Prometheus' Alertmanager: an alert for each incident that lasts, again and again, and its end.

Labels are what Alertmanager knows an alert by. The severity is one, so one that escalates is another alert, and the
former one ends. An end is said with `endsAt`; without it Alertmanager ends an alert by itself when it hears no more of
it (its `resolve_timeout`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from oda.notify.channels.post import Post
from oda.notify.file import Alertmanager
from oda.notify.notification import Due, Look, Notification, text, title

_PATH = "/api/v2/alerts"


class AlertmanagerChannel:
    """See `oda.notify.channels.contract.Channel`."""

    pause = 0.0
    resends = True

    def __init__(self, settings: Alertmanager, look: Look) -> None:
        self._url = settings.url.rstrip("/") + _PATH
        self._look = look
        self._post = Post(settings)

    def deliver(self, due: Sequence[Due]) -> str:
        now = datetime.now(UTC)
        self._post(self._url, [alert for one in due for alert in alerts(one, self._look, now)])
        return ""

    def close(self) -> None:
        self._post.close()


def alerts(due: Due, look: Look, now: datetime) -> Iterator[dict[str, Any]]:
    """The alerts that say it, the end of a former severity's first."""
    if due.before and due.before.severity != due.now.severity:
        yield _alert(Due(due.before), look, now, ends=True)
    yield _alert(due, look, now, ends=due.now.until is not None)


def _alert(due: Due, look: Look, now: datetime, ends: bool) -> dict[str, Any]:
    """Times are not beyond now: readings may be ahead, and what ends later has not ended."""
    this = due.now
    end = now if this.until is None else min(now, _time(this.until))
    alert: dict[str, Any] = {
        "labels": _labels(this),
        "annotations": {"summary": title(due), "description": text(due, look), "id": due.id},
        "startsAt": min(end, _time(this.since)).isoformat(),
    }
    if ends:
        alert["endsAt"] = end.isoformat()
    if link := this.link(look):
        alert["generatorURL"] = link
    return alert


def _labels(this: Notification) -> Mapping[str, str]:
    """Those of the rule, and ODA's own, which win."""
    return {**this.labels, **this.names, "alertname": this.alert, "severity": this.severity}


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
