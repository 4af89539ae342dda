"""Looks from outside at how far the topology is, again and again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing

from kafka.errors import KafkaError

from oda.errors import UserError
from oda.kafka.group import Group
from oda.notify.standstill import Found, Part, Progress
from oda.settings import Kafka

_MOST_SECONDS = 5.0
"""From one look to the next."""

_LOOKS = 5
"""In the time after which it stands still."""


class Watch:
    """One for all receivers; safe for threads."""

    def __init__(self, settings: Kafka, after_ms: int, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._say = say
        self._every = min(_MOST_SECONDS, after_ms / 1000 / _LOOKS)
        self._lock = threading.Lock()
        self._progress = Progress(after_ms / 1000, time.monotonic())

    def found(self) -> Found | None:
        """What stands still."""
        with self._lock:
            return self._progress.standstill(time.monotonic())

    @property
    def is_known(self) -> bool:
        """Whether nothing found means that nothing stands still."""
        return self._progress.is_known

    def start(self) -> None:
        """Look for as long as the process lives: kafka-python may wait for a broker that is away."""
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def _run(self) -> None:
        said = ""
        while True:
            try:
                with closing(Group(self._settings)) as group:
                    while True:
                        self._look(group)
                        said = ""
                        time.sleep(self._every)
            except (UserError, KafkaError) as error:
                if str(error) != said:
                    said = str(error)
                    self._say(f"how far ODA is can't be seen: {error}")
            time.sleep(self._every)

    def _look(self, group: Group) -> None:
        # In this order: what is committed meanwhile is not taken for what waits.
        ends, committed = group.ends(), group.committed()
        parts = {part.partition: Part(committed.get(part, 0), end) for part, end in ends.items()}
        with self._lock:
            self._progress.look(parts, time.monotonic())
