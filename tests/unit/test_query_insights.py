"""Insights, the rules of a reader, and what is written of verdicts: Elasticsearch and Kafka are stand-ins."""

from __future__ import annotations

import threading
from typing import Any

import elastic_transport
import msgspec
import pytest
from test_verdicts import verdict

from made import settings
from oda.core.rules.parse import parse
from oda.errors import UserError
from oda.kafka import verdicts
from oda.kafka.verdicts import VerdictWriter
from oda.query import rules as rules_module
from oda.query.insights import Insights
from oda.query.rules import RulesBook
from oda.stores.contract import Part
from oda.stores.place import SLOT_MS
from oda.verdicts import Verdict

SETTINGS = settings()
RULES = parse(
    "rules:\n  - {series: 'n-*', labels: {site: north, kind: pump}, detectors: [{use: sigma}]}\n"
    "  - {series: 's-*', labels: {site: south}, detectors: [{use: sigma}]}\n",
    SETTINGS,
    1,
)


class Client:
    """Answers as Elasticsearch does; keeps what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.asked: list[dict] = []
        self._answers = list(answers)

    def search(self, **question: Any) -> dict:
        self.asked.append(question)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return {"aggregations": answer} if answer is not None else {}

    def close(self) -> None:
        pass


def insights(*answers: Any) -> tuple[Insights, Client]:
    found, client = Insights(SETTINGS), Client(*answers)
    found.close()
    found._client = client
    return found, client


def buckets(**counts: int) -> dict:
    return {"buckets": [{"key": name.replace("_", "-"), "doc_count": count} for name, count in counts.items()]}


def test_anomalies_are_counted_by_series_time_score_and_label():
    ranked = {
        "buckets": [
            {
                "key": "n-1",
                "doc_count": 7,
                "worst": {"value": 99.0},
                "times": {"buckets": [{"key": 1_000, "doc_count": 5}, {"key": 1_030, "doc_count": 2}]},
            }
        ]
    }
    answer = {
        "all": buckets(n_1=7, n_2=1, s_1=2, x=5),
        "series": ranked,
        "scores": {"buckets": [{"key": 0.0, "doc_count": 3}, {"key": 10.0, "doc_count": 4}]},
    }
    found, client = insights(answer)
    said = found.anomalies(1_005, 2_200, "", RULES)
    assert said["heat"]["step"] == 10
    assert said["heat"]["times"][:4] == [1_000, 1_010, 1_020, 1_030]
    assert len(said["heat"]["times"]) <= 121
    assert said["heat"]["counts"][0][:4] == [5, 0, 0, 2]
    assert said["ranked"] == [{"series": "n-1", "anomalies": 7, "worst": 99.0}]
    assert said["scores"][1] == {"from": 10.0, "to": 20.0, "count": 4}
    assert said["by_label"] == [
        {"label": "kind=pump", "anomalies": 8},
        {"label": "site=north", "anomalies": 8},
        {"label": "site=south", "anomalies": 2},
    ]
    request = said["request"]
    assert (request["method"], request["url"]) == ("POST", "http://a:1/oda-anomalies-*/_search")
    assert client.asked[0]["body"] == request["body"]
    filters = request["body"]["query"]["bool"]["filter"]
    assert {"range": {"time": {"gte": 1_005, "lt": 2_200}}} in filters
    assert {"term": {"topic": "readings"}} in filters


def test_a_label_leaves_the_series_whose_rule_has_it():
    found, client = insights({"all": buckets(n_1=7, s_1=2, s_2=1)}, {})
    said = found.anomalies(0, 1_000, "site=south", RULES)
    assert {"terms": {"series": ["s-1", "s-2"]}} in client.asked[1]["body"]["query"]["bool"]["filter"]
    assert said["ranked"] == []


def test_without_an_index_there_is_nothing_and_a_server_that_is_away_is_told():
    found, _ = insights(None)
    said = found.anomalies(0, 1, "", RULES)
    assert (said["heat"]["series"], said["ranked"], said["by_label"]) == ([], [], [])
    found, _ = insights(elastic_transport.ConnectionError("refused"))
    with pytest.raises(UserError, match=r"oda\.elasticsearch\.urls = http://a:1: no answer"):
        found.anomalies(0, 1, "", RULES)


class Topic:
    """Stands for the topic of rules: versions, and where their marks are."""

    def __init__(self, *_: object) -> None:
        self.texts = {1: RULES.text, 5: RULES.text, 9: "rules: [{series: '*', detectors: [{use: mine/1}]}]"}
        self.at = {1: {0: 10, 1: 30}, 5: {0: 20, 1: 25}, 9: {0: 40}}
        self.is_away = False
        self.reads = 0

    def marks(self) -> dict[int, dict[int, int]]:
        self.reads += 1
        if self.is_away:
            raise UserError("no answer from Kafka")
        return self.at

    def read(self, version: int) -> str:
        return self.texts[version]

    def time(self, version: int) -> int:
        return 1_000 * version

    def close(self) -> None:
        pass


@pytest.fixture
def book(monkeypatch) -> RulesBook:
    monkeypatch.setattr(rules_module, "RulesTopic", Topic)
    return RulesBook(SETTINGS)


def test_rules_hold_from_their_marks_on_and_a_lower_version_behind_a_higher_one_does_not(book):
    found = book.current()
    assert [(mark.offset, mark.time, mark.rules.version) for mark in found.of(0)] == [(10, 1_000, 1), (20, 5_000, 5)]
    assert [(mark.offset, mark.rules.version) for mark in found.of(1)] == [(25, 5)]
    assert found.newest().version == 5  # 9 names a detector that is not here
    assert book.current() is book.known()
    assert book._topic.reads == 1  # some seconds have not passed


def test_rules_that_were_read_hold_while_kafka_is_away(book):
    book._topic.is_away = True
    with pytest.raises(UserError, match="no answer"):
        book.current()
    book._topic.is_away = False
    assert book.current().newest().version == 5
    book._topic.is_away = True
    book._read_at = float("-inf")
    assert book.current().newest().version == 5


class Producer:
    """Stands for Kafka's."""

    def __init__(self) -> None:
        self.sent: list[tuple] = []
        self.lock = threading.Lock()

    def send(self, topic: str, value: bytes, key: bytes, partition: int):
        self.sent.append((topic, key, value, partition))
        return self

    def get(self, timeout: float) -> None:
        assert timeout > 0

    def close(self, timeout: float) -> None:
        pass


def test_a_verdict_is_written_by_its_incident_s_place(monkeypatch):
    producer = Producer()
    monkeypatch.setattr(verdicts.client, "producer", lambda _: producer)
    writer = VerdictWriter(SETTINGS.kafka)
    said = verdict(verdict="false alarm", comment="x")
    writer.write(said)
    writer.write(said)
    writer.close()
    (topic, key, value, partition), _ = producer.sent
    assert (topic, key, partition) == ("oda.verdicts", said.place.encode(), 0)
    assert msgspec.json.decode(value, type=Verdict) == said


@pytest.mark.parametrize(
    ("slots", "spans"),
    [
        (set(), []),
        ({7}, [(7 * SLOT_MS, 8 * SLOT_MS)]),
        ({3, 1, 2, 9}, [(SLOT_MS, 4 * SLOT_MS), (9 * SLOT_MS, 10 * SLOT_MS)]),
    ],
)
def test_a_part_s_slots_are_as_few_spans_as_can_be(slots, spans):
    assert Part(frozenset(slots), 0).spans() == spans
