"""Results are decoded, and each is told once."""

import json

import pytest

from oda.core.kinds import WINDOWS, Anomaly, ClosedWindow, Incident, Located
from oda.results import AnyResult, Results
from oda.settings import Kafka

KAFKA = Kafka(brokers="a:1")

WINDOW = {
    "topic": "readings", "partition": 1, "series": "pump-7", "start": 1732300000000, "end": 1732300002000,
    "count": 200, "mean": 3.25, "stddev": 0.5, "first_offset": 10, "last_offset": 400, "closed_at": 401,
    "closed_by": "data", "late": 0,
}  # fmt: skip
ANOMALY = {
    "topic": "readings", "partition": 1, "series": "pump-7", "time": 1732300002123, "offset": 410, "value": 9.25,
    "mean": 3.25, "stddev": 0.5, "count": 200, "window_start": 1732300000000, "detector": "sigma/1", "score": 100.0,
    "expected": 3.25, "low": 1.25, "high": 5.25, "found_at": 410, "rules": 0,
}  # fmt: skip
INCIDENT = {
    "topic": "readings", "partition": 1, "series": "pump-7", "time": 1732300002123, "offset": 410,
    "detector": "sigma/1", "number": 0, "change": "opened", "cause": "data", "severity": "warning",
    "changed": 1732300002456, "found_at": 412, "count": 3, "last_time": 1732300002456, "worst_time": 1732300002123,
    "worst_value": 9.25, "worst_score": 100.0, "expected": 3.25, "low": 1.25, "high": 5.25, "labels": "{}", "rules": 7,
}  # fmt: skip


def window(results: Results, **changed: object) -> AnyResult | None:
    return results.take(KAFKA.windows, json.dumps({**WINDOW, **changed}).encode())


def anomaly(results: Results, **changed: object) -> AnyResult | None:
    return results.take(KAFKA.anomalies, json.dumps({**ANOMALY, **changed}).encode())


def incident(results: Results, **changed: object) -> AnyResult | None:
    return results.take(KAFKA.incidents, json.dumps({**INCIDENT, **changed}).encode())


def test_a_result_is_its_row_and_whose_it_is():
    results = Results(KAFKA)
    row = ClosedWindow("pump-7", 1732300000000, 1732300002000, 200, 3.25, 0.5, 10, 400, 401, "data", 0)
    assert window(results) == Located("readings", 1, row)
    row = Anomaly(
        "pump-7", 1732300002123, 410, 9.25, 3.25, 0.5, 200, 1732300000000,
        "sigma/1", 100.0, 3.25, 1.25, 5.25, found_at=410, rules=0,
    )  # fmt: skip
    assert anomaly(results) == Located("readings", 1, row)
    row = Incident(**{name: value for name, value in INCIDENT.items() if name not in ("topic", "partition")})
    assert incident(results) == Located("readings", 1, row)


def test_a_repeated_result_is_told_once():
    results = Results(KAFKA)
    told = []
    for _ in range(3):
        told.append(window(results))
        told.append(anomaly(results, offset=10))  # a window of the same place is another thing
    told.append(window(results, partition=2))
    told.append(window(results, topic="other"))
    assert [type(result.row) for result in told if result] == [ClosedWindow, Anomaly, ClosedWindow, ClosedWindow]


def test_what_differs_in_any_part_of_its_identity_is_another_result():
    results = Results(KAFKA)
    told = [anomaly(results), anomaly(results, detector="other/1"), anomaly(results, detector="other/1", score=9.0)]
    told += [incident(results), incident(results, number=1), incident(results, detector="other/1"), incident(results)]
    assert [result is not None for result in told] == [True, True, False, True, True, True, False]


def test_only_the_wanted_series():
    results = Results(KAFKA, ["pump-8", "pump-9"])
    assert window(results) is None
    assert window(results, series="pump-9") is not None
    assert results.unreadable == 0


@pytest.mark.parametrize(
    "data",
    [
        None,
        b"",
        b"{}",
        b"\xff",
        b"[1]",
        b"[" * 2000,
        *(
            json.dumps({**WINDOW, **wrong}).encode()
            for wrong in ({"start": 10**18}, {"start": -1}, {"count": 0}, {"mean": "3"}, {"partition": None})
        ),
    ],
)
def test_what_is_no_result_is_counted(data: bytes | None):
    results = Results(KAFKA)
    assert results.take(KAFKA.windows, data) is None
    assert results.unreadable == 1
    with pytest.raises(ValueError, match=r"."):
        WINDOWS.located(data)
