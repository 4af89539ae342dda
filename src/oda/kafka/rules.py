"""The topic of rules: what was applied, each version at its place, and where in the readings it was brought forward.

A version is its record's offset + 1, so that 0 is what holds without any: the topology's options. Beside the texts the
topic has reports: of which group, and at which offsets of the readings, the rule records of a version are (see
`oda.core.rulemark`), so that nobody needs to look through the readings for them.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from logging import Logger
from typing import Any, NamedTuple

import msgspec
import tenacity
from kafka import TopicPartition
from kafka.errors import KafkaError, TopicAuthorizationFailedError

from oda.core.rulemark import KEY, encode
from oda.core.rules.match import digest
from oda.errors import UserError
from oda.kafka import client, leaders
from oda.kafka.reader import partitions, read_to_end
from oda.kafka.topics import create_topics
from oda.settings import Kafka

_RULES, _REPORT = b"rules", b"marked"
"""Keys of the two kinds of records; what has another one is none of ODA's."""

_HEAD = re.compile(r"\A# Applied at \S+, number [0-9a-f]+\.\n")


class Version(NamedTuple):
    """A version of the rules; `time` is when it was written, epoch ms."""

    version: int
    time: int
    text: str


class Report(msgspec.Struct, frozen=True):
    """The rule records of a version are in the readings at these offsets, by partition."""

    group: str
    version: int
    offsets: dict[int, int]


class Applied(NamedTuple):
    """What `apply` did; `offsets` has where each partition's rule record is."""

    version: int
    is_new: bool
    offsets: dict[int, int]


class RulesTopic:
    """Reads the topic of rules; what it has read it keeps. Not safe for threads.

    Each method may raise UserError or kafka.errors.KafkaError: the topic can't be read.
    """

    def __init__(self, settings: Kafka) -> None:
        self._settings = settings
        self._part = TopicPartition(settings.rules, 0)
        self._consumer: Any = None
        self._end = 0
        self._versions: dict[int, Version] = {}
        self._reports: list[Report] = []

    def read(self, version: int) -> str:
        """The text of a version. Raises LookupError if there is none."""
        if version > self._end:
            self._catch_up()
        if version > self._end:
            self._catch_up(surely=True)
        return self._versions[version].text

    def time(self, version: int) -> int:
        """When a version was written, epoch ms. Raises LookupError if there is none."""
        return self._versions[version].time

    def newest(self) -> Version | None:
        """The newest version of all; None if there is none."""
        return max(self.history(), default=None)

    def history(self) -> list[Version]:
        """All versions, oldest first."""
        self._catch_up()
        return list(self._versions.values())

    def marks(self, surely: bool = False) -> dict[int, dict[int, int]]:
        """Where our group's rule records are: by version the offset in each partition of the readings.

        As far as it was reported: who applied a version may have died before. `surely` asks until nothing that was
        reported before can be missing.
        """
        self._catch_up(surely)
        found: dict[int, dict[int, int]] = {}
        for report in self._reports:
            if report.group == self._settings.group and report.version in self._versions:
                found[report.version] = report.offsets | found.get(report.version, {})
        return found

    def behind(self) -> list[int]:
        """The partitions of the readings that have no rule record of the newest version that our group has in any."""
        marks = self.marks()
        return sorted(self.partitions() - marks[max(marks)].keys()) if marks else []

    def partitions(self) -> set[int]:
        """Those of the readings."""
        return {part.partition for part in partitions(self._open(), self._settings.readings)}

    def close(self) -> None:
        """Let go of the connection."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close()

    def _open(self) -> Any:
        if self._consumer is None:
            self._consumer = client.consumer(self._settings, auto_offset_reset="earliest")
            partitions(self._consumer, self._settings.rules)
            self._consumer.assign([self._part])
            self._consumer.seek(self._part, self._end)
        return self._consumer

    def _catch_up(self, surely: bool = False) -> None:
        try:
            with client.explained(self._settings):
                consumer = self._open()
                if surely:
                    leaders.ask_replicas(consumer, self._part)
                for _, records in read_to_end(consumer):
                    for record in records:
                        self._take(record)
                self._end = consumer.position(self._part)
        except BaseException:
            self.close()
            raise

    def _take(self, record: Any) -> None:
        try:
            if record.key == _RULES:
                version = record.offset + 1
                self._versions[version] = Version(version, record.timestamp, (record.value or b"").decode())
            elif record.key == _REPORT:
                self._reports.append(msgspec.json.decode(record.value or b"", type=Report))
        except ValueError:  # somebody else's
            return


class PatientRules:
    """The rules as the spout asks for them: it must not pass over a rule record because Kafka does not answer."""

    def __init__(self, settings: Kafka, log: Logger) -> None:
        self._settings, self._log = settings, log
        self._topic = RulesTopic(settings)
        self._again = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((KafkaError, UserError)),
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=5),
            before_sleep=tenacity.before_sleep_log(log, logging.WARNING),
        )

    def read(self, version: int) -> str:
        """The text of a version, however long that takes. Raises LookupError if there is none."""
        return self._again(self._topic.read, version)

    def repeat(self, partitions: Iterable[int]) -> None:
        """Have partitions of the readings follow our group's newest rules, however long that takes.

        They may be new, retention may have taken their rule record, or their snapshots are lost. Where they follow
        these rules already, another rule record changes nothing.
        """
        self._again(self._repeat, list(partitions))

    def _repeat(self, partitions: list[int]) -> None:
        marks = self._topic.marks(surely=True)
        if not marks:
            return
        version = max(marks)
        producer = client.producer(self._settings)
        try:
            offsets = _mark(producer, self._settings, version, self._topic.read(version), partitions)
            if new := {number: offset for number, offset in offsets.items() if number not in marks[version]}:
                _report(producer, self._settings, version, new)
        except TopicAuthorizationFailedError as error:
            self._log.warning("rules could not be repeated, or not reported: say `oda rules apply`: %r", error)
        finally:
            producer.close()


def apply(settings: Kafka, text: str) -> Applied:
    """Write rules, unless they are the newest, then a rule record into every partition of the readings.

    May be repeated, as when it failed half-way, or the topic of readings has got more partitions.

    Args:
        settings: of the topics, which are made if missing, and of the group that is to follow the rules.
        text: see `oda.core.rules.match.Rules`.

    Raises:
        UserError: Kafka can't be reached, or does not take it.
    """
    create_topics(settings)
    topic, producer = RulesTopic(settings), client.producer(settings)
    try:
        newest = topic.newest()
        with client.explained(settings):
            is_new = newest is None or _HEAD.sub("", newest.text) != _HEAD.sub("", text)
            if newest is None or is_new:
                newest = _write(producer, settings, _headed(text))
            offsets = _mark(producer, settings, newest.version, newest.text, topic.partitions())
            _report(producer, settings, newest.version, offsets)
        return Applied(newest.version, is_new, offsets)
    finally:
        topic.close()
        producer.close()


def _write(producer: Any, settings: Kafka, text: str) -> Version:
    written = producer.send(settings.rules, text.encode(), key=_RULES, partition=0).get()
    return Version(written.offset + 1, written.timestamp, text)


def _mark(producer: Any, settings: Kafka, version: int, text: str, partitions: Iterable[int]) -> dict[int, int]:
    """Write rule records; returns their offsets by partition."""
    value = encode(settings.group, version, digest(text))
    sent = {number: producer.send(settings.readings, value, key=KEY, partition=number) for number in partitions}
    return {number: int(future.get().offset) for number, future in sent.items()}


def _report(producer: Any, settings: Kafka, version: int, offsets: dict[int, int]) -> None:
    report = msgspec.json.encode(Report(settings.group, version, offsets))
    producer.send(settings.rules, report, key=_REPORT, partition=0).get()


def _headed(text: str) -> str:
    """The text with when it was applied, and a number that nobody knew before.

    So its hash is not known before it is written. Else a rule record could be there before the rules that it names,
    and mean something later that it did not mean when it was read first.
    """
    text = _HEAD.sub("", text.removeprefix("\ufeff"))
    return f"# Applied at {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}, number {secrets.token_hex(8)}.\n{text}"
