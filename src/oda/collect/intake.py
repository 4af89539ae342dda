"""Where every push source hands its readings in: checked, counted, and durable in the spool when it is told so."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from oda.collect.check import Check, Checked
from oda.collect.run import progress
from oda.collect.sender import Sender
from oda.collect.spool import Spool, SpoolError
from oda.collect.timeunit import TimeUnit
from oda.say import say
from oda.settings import Settings


class Intake:
    """Takes readings for a spool, and says on stderr when it is full and when there is room again.

    Attributes:
        spool: where they are until Kafka has them.
        sender: takes them there.
        accepted: readings that became durable.
        rejected: elements that are no readings.
    """

    def __init__(self, spool: Spool, sender: Sender, check: Check) -> None:
        self.spool = spool
        self.sender = sender
        self.accepted = 0
        self.rejected = 0
        self._check = check
        self._refuses = False

    def check(self, elements: Iterable[tuple[int, bytes]]) -> Checked:
        """Check numbered elements against the clock; those that are no readings are counted."""
        checked = self._check.all(elements, int(time.time() * 1000))
        self.rejected += len(checked.rejected)
        return checked

    def require_room(self, size: int) -> None:
        """Raises SpoolError when there is none for messages of so many bytes in all."""
        with self._saying():
            self.spool.require_room(size)

    def append(self, messages: Sequence[bytes]) -> None:
        """Take messages; they are durable when this returns. Raises SpoolError: none was taken."""
        with self._saying():
            self.spool.append(messages)
        if self._refuses:
            say(f"the spool {self.spool.folder} has room again")
        self._refuses = False
        self.accepted += len(messages)

    @contextmanager
    def _saying(self) -> Iterator[None]:
        try:
            yield
        except SpoolError as error:
            if not self._refuses:
                say(f"{error}; nothing more is taken until there is room")
            self._refuses = True
            raise

    def __str__(self) -> str:
        waiting = f"{len(self.spool)} wait for Kafka in {self.spool.folder}"
        return f"{self.accepted} readings accepted, {self.rejected} rejected; {waiting}"


@contextmanager
def intake(settings: Settings, folder: Path, max_bytes: int, unit: TimeUnit | None) -> Iterator[Intake]:
    """An intake whose spool is sent on meanwhile; progress on stderr, and at the end the sums on stdout.

    Args:
        settings: where Kafka is, and how far readings may be ahead.
        folder: the spool's.
        max_bytes: the spool's bound.
        unit: of times that are numbers, as `Check` has it.

    Raises:
        UserError: the spool can't be opened.
    """
    with Spool(folder, settings.kafka.readings, max_bytes) as spool:
        sender = Sender(spool, settings.kafka, say)
        taken = Intake(spool, sender, Check(settings.readings.max_ahead_ms, unit))
        try:
            with progress(lambda: str(taken)), sender:
                yield taken
        finally:
            print(taken, flush=True)
