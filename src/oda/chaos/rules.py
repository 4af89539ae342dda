"""Rules that are drawn by chance, and change while faults strike."""

from __future__ import annotations

import json
import threading
import time
from random import Random
from typing import Any

from kafka.errors import KafkaError

from oda.core.rules.match import Rules
from oda.core.rules.parse import parse
from oda.errors import UserError
from oda.kafka.rules import apply
from oda.settings import Settings

_WATCHED = {"use": "sigma", "as": "level", "min_count": 1}
"""By what it finds `oda.chaos.recovery` sees that readings are judged; so every rule has it, and however short a rule's
windows are, and few the readings, each series has anomalies. By default a window of one reading is no baseline."""

_BESIDES: tuple[dict[str, Any], ...] = (
    {"use": "student", "sigmas": 3},
    {"use": "robust", "windows": 5, "min_windows": 3},
    {"use": "seasonal", "period": "8s", "phases": 4, "min_periods": 1},
    {"use": "silent"},
    {"use": "stuck", "readings": 3},
    {"use": "level", "recent": 2, "before": 6, "min_before": 3},
    {"use": "rate", "windows": 6, "min_windows": 3},
    {"use": "d1"},
    {"use": "d5"},
)

_PATTERNS = ("chaos-quiet-*", "chaos-[0-4]", "chaos-1*", "*")

_GROUPS = (("{number}", "chaos-{number}"), ("quiet", "chaos-quiet-*"), ("all", "chaos-*"), ("top", "group:?"))


class RuleChanges:
    """Applies other rules now and then until `stop`, whatever fault strikes meanwhile.

    Attributes:
        applied: how often that worked.
        failed: how often it did not, or only in some partitions.
    """

    def __init__(self, settings: Settings, seed: str) -> None:
        self.applied = self.failed = 0
        self._settings = settings
        self._random = Random(seed)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it, with rules that are in all partitions."""
        self._over.set()
        self._thread.join()
        while not self._apply():
            time.sleep(1)

    def _run(self) -> None:
        while not self._over.wait(self._random.uniform(2, 20)):
            self._apply()

    def _apply(self) -> bool:
        try:
            apply(self._settings.kafka, drawn(self._random, self._settings).text)
        except (UserError, KafkaError):
            self.failed += 1
            return False
        self.applied += 1
        return True


def drawn(random: Random, settings: Settings) -> Rules:
    """Rules and groups for the load's series."""
    rules = [_rule(random, pattern) for pattern in _PATTERNS]
    groups = [_group(random, name, members) for name, members in _GROUPS]
    return parse(json.dumps({"rules": rules, "groups": groups}, indent=1), settings)  # which is YAML, too


def _group(random: Random, name: str, members: str) -> dict[str, Any]:
    return {
        "name": name,
        "members": members,
        "aggregate": random.choice(("mean", "sum", "stddev", "anomalous", "late", {"quantile": 0.9})),
        "window": {"size": random.choice(("1s", "2s", "5s")), "lateness": random.choice(("0s", "5s", "15s"))},
        "least": random.choice((1, 1, 3)),
    }


def _rule(random: Random, pattern: str) -> dict[str, Any]:
    besides = random.sample(_BESIDES, random.randint(0, 3))
    rule: dict[str, Any] = {
        "series": pattern,
        "window": {"size": random.choice(("500ms", "1s", "2s")), "lateness": random.choice((0, 500))},
        "detectors": [_WATCHED, *besides],
        "labels": {"run": f"{random.random():.6f}"},
    }
    if random.random() < 0.7:
        rule["incident"] = {
            "open": {"anomalies": random.choice((1, 3)), "of": 3},
            "quiet": random.choice(("1s", "5s", "30s")),
            "rest": {"readings": random.choice((5, 50))},
            "escalate": {"anomalies": 20, "to": "critical"},
        }
    return rule
