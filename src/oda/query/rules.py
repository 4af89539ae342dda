"""Which rules hold where in the log, kept up to date for readers of results."""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from oda.core.rules.match import Rules, of_options
from oda.core.rules.parse import parse
from oda.errors import UserError
from oda.kafka.rules import RulesTopic
from oda.settings import Settings

_FRESH_SECONDS = 5.0
"""How long what was read is good enough."""


class Mark(NamedTuple):
    """From this offset on a partition follows a version of the rules, which was applied at `time`, epoch ms."""

    offset: int
    time: int
    rules: Rules


@dataclass(frozen=True)
class RulesInLog:
    """The rules of each partition along its log.

    Attributes:
        options: what holds before any: version 0.
        marks: by partition, in the order of the log.
    """

    options: Rules
    marks: Mapping[int, Sequence[Mark]] = field(default_factory=dict)

    def of(self, partition: int) -> Sequence[Mark]:
        """The marks of a partition."""
        return self.marks.get(partition, ())

    def newest(self) -> Rules:
        """The newest version that any partition follows."""
        newest = [marks[-1].rules for marks in self.marks.values() if marks]
        return max(newest, key=lambda rules: rules.version, default=self.options)

    def at(self, partition: int, offset: int) -> Rules:
        """What a record at this offset was judged by."""
        marks = self.of(partition)
        number = bisect_right(marks, offset, key=lambda mark: mark.offset)
        return marks[number - 1].rules if number else self.options


class RulesBook:
    """Reads the topic of rules again when what is known is some seconds old. Safe for threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topic = RulesTopic(settings.kafka)
        self._lock = threading.Lock()
        self._parsed: dict[int, Rules] = {}
        self._read_at = float("-inf")
        self._was_read = False
        self._known = RulesInLog(of_options(settings))

    def current(self) -> RulesInLog:
        """As of some seconds ago; older, while Kafka is away. Raises UserError: it has been away all the time."""
        with self._lock:
            if time.monotonic() > self._read_at + _FRESH_SECONDS:
                try:
                    self._known = self._read()
                    self._was_read = True
                except UserError:
                    if not self._was_read:
                        raise
                self._read_at = time.monotonic()
            return self._known

    def known(self) -> RulesInLog:
        """As they were read last; asks nobody."""
        return self._known

    def close(self) -> None:
        """Let go of the connection."""
        self._topic.close()

    def _read(self) -> RulesInLog:
        marks: dict[int, list[Mark]] = {}
        for version, offsets in sorted(self._topic.marks().items()):
            rules = self._rules(version)
            if rules is None:
                continue
            for partition, offset in offsets.items():
                there = marks.setdefault(partition, [])
                while there and there[-1].offset > offset:  # a lower version changes nothing behind a higher one
                    there.pop()
                there.append(Mark(offset, self._topic.time(version), rules))
        return RulesInLog(self._known.options, marks)

    def _rules(self, version: int) -> Rules | None:
        """None of what this version of ODA can't read: a detector of somebody's own that is not here."""
        if version not in self._parsed:
            try:
                self._parsed[version] = parse(self._topic.read(version), self._settings, version)
            except UserError:
                return None
        return self._parsed[version]
