"""Rules that become others under load: what readings wait for, shows in the latency of their anomalies."""

from __future__ import annotations

import json
import threading
from itertools import count

from oda.core.rules.parse import parse
from oda.kafka.rules import apply
from oda.settings import Settings


class RuleChanges:
    """In a `with` statement: applies another version every `seconds`, by which all is judged as before; None: never.

    Attributes:
        applied: how many.
    """

    def __init__(self, settings: Settings, seconds: float | None) -> None:
        self.applied = 0
        self._settings = settings
        self._seconds = seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> RuleChanges:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        for number in count():
            if self._over.wait(self._seconds):
                return
            labels = {"version": str(number)}
            text = json.dumps({"rules": [{"series": "*", "labels": labels, "detectors": [{"use": "sigma"}]}]})
            apply(self._settings.kafka, parse(text, self._settings).text)
            self.applied += 1
