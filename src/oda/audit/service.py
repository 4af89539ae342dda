"""Audits again and again, each from where the one before ended: it costs what is new; retention may take the rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec

from oda.audit import checkpoint
from oda.audit.audit import Report, Track, audit
from oda.audit.checkpoint import Checkpoint
from oda.audit.record import AuditRecord
from oda.audit.sources import Log
from oda.errors import UserError
from oda.kafka import client
from oda.kafka.topics import create_topics
from oda.settings import Settings

_EXAMPLES = 20


class Auditing:
    """A service of audits.

    Args:
        settings: of the topology.
        path: of the file that has its checkpoint.
        clock: the wall clock, seconds.
    """

    def __init__(self, settings: Settings, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._path = path
        self._clock = clock
        self._newest: AuditRecord | None = None

    def tell(self, problem: str) -> None:
        """That an audit could not be done, for whoever shows the newest. Raises UserError: Kafka does not take it."""
        last = self._newest or AuditRecord(self._settings.kafka.group, 0, 0.0, {}, {}, 0)
        at = int(self._clock() * 1000)
        publish(self._settings, msgspec.structs.replace(last, at=at, problem=problem[:2_000]))

    def step(self, track: Track) -> tuple[Report, AuditRecord]:
        """One audit, of what was committed since the one before: its record is in Kafka, its checkpoint in the file.

        Raises:
            UserError: a server can't be reached, the log is another one, or retention has taken some of it.
        """
        began = self._clock()
        with closing(Log(self._settings.kafka)) as log:
            log_id, rules = str(log.id()), log.rules()
        found = checkpoint.load(self._path, self._settings, rules) or Checkpoint(log_id, self._settings.kafka.group)
        if (found.log, found.group) != (log_id, self._settings.kafka.group):
            raise UserError(
                f"--checkpoint {self._path}: is of group {found.group} and the log {found.log}; this one is {log_id}. "
                "Move it away, and the audit begins anew at the log's beginning"
            )
        report = audit(self._settings, track, found.known)
        found.differences += report.faults
        checkpoint.save(self._path, found)
        ended = self._clock()
        record = AuditRecord(
            self._settings.kafka.group,
            int(ended * 1000),
            round(ended - began, 3),
            {partition: report.starts.get(partition, 0) for partition in report.positions.committed},
            report.positions.committed,
            found.differences,
            examples(report)[:_EXAMPLES],
        )
        self._newest = record
        publish(self._settings, record)
        return report, record


def examples(report: Report) -> list[str]:
    """Some of what is wrong, in words."""
    return [
        f"{fault} {result.store} {result.rows}: {one}"[:500]
        for result in report.comparisons
        for fault, found in result.examples.items()
        for one in found
    ]


def publish(settings: Settings, record: AuditRecord) -> None:
    """Write a record to the topic of audits. Raises UserError: Kafka does not take it."""
    create_topics(settings.kafka)
    with client.explained(settings.kafka), closing(client.producer(settings.kafka)) as producer:
        key, value = record.group.encode(), msgspec.json.encode(record)
        producer.send(settings.kafka.audits, value, key=key, partition=0).get(timeout=30)
