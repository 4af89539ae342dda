"""All series at a glance, without servers."""

import numpy as np
import pytest

from oda.core.batch import Readings
from oda.core.kinds import Anomaly, ClosedWindow
from oda.core.reading import Reading
from oda.query.series import SeriesTable

NOW = 1_790_000_000_000


def readings(*rows: tuple[str, float], time: int = NOW) -> Readings:
    return Readings.of(
        range(len(rows)), [Reading(name, time + number, value) for number, (name, value) in enumerate(rows)]
    )


def anomaly(series: str, time: int = NOW, score: float = 50.0) -> Anomaly:
    return Anomaly(series, time, 0, 9.0, 1.0, 1.0, 2, 0, "sigma/1", score, 1.0, 0.0, 2.0, 0, 0)


def names(table: SeriesTable, *, search="", sort="name", descending=False, offset=0, limit=100, now=NOW):
    total, page = table.page(search, sort, descending, offset, limit, now)
    return total, [known.name for known in page]


def test_the_last_reading_in_the_log_is_the_newest():
    table = SeriesTable()
    table.take_readings(3, readings(("a", 1.0), ("b", 2.0), ("a", 5.0)), NOW, NOW)
    known = table.get("a", NOW)
    assert (known.partition, known.last_time, known.last_value, known.rate) == (3, NOW + 2, 5.0, round(2 / 60, 3))
    assert table.get("c", NOW) is None


def test_a_rate_is_of_the_last_minute():
    table = SeriesTable()
    for second in range(0, 180, 5):
        now = NOW + 1000 * second
        table.take_readings(0, readings(("a", 1.0), ("a", 1.0)), now, now)
        assert table.get("a", now).rate <= 2 * 13 / 60
    assert table.get("a", now).rate >= 2 * 10 / 60
    assert round(table.rate(now), 3) == table.get("a", now).rate
    assert table.get("a", now + 61_000).rate == 0


def test_what_was_read_of_long_ago_has_no_rate():
    table = SeriesTable()
    table.take_readings(0, readings(("a", 1.0)), NOW - 3_600_000, NOW)
    assert table.get("a", NOW).rate == 0
    assert table.get("a", NOW).heard == NOW - 3_600_000


def test_a_clock_of_a_broker_that_is_ahead_counts_as_now():
    table = SeriesTable()
    table.take_readings(0, readings(("a", 1.0)), NOW + 3_600_000, NOW)
    assert table.get("a", NOW).rate == round(1 / 60, 3)


def test_series_are_searched_and_sorted():
    table = SeriesTable()
    table.take_readings(0, readings(("Pump-2", 1.0), ("pump-1", 1.0), ("tank", 1.0), ("tank", 1.0)), NOW, NOW)
    table.take_anomaly(0, anomaly("tank", NOW + 5, 20.0))
    table.take_anomaly(0, anomaly("pump-1", NOW + 9, 10.0))
    assert names(table, search="PUMP") == (2, ["Pump-2", "pump-1"])
    assert names(table, search="pump-1", sort="rate") == (1, ["pump-1"])
    assert names(table) == (3, ["Pump-2", "pump-1", "tank"])
    assert names(table, descending=True) == (3, ["tank", "pump-1", "Pump-2"])
    assert names(table, sort="score", descending=True)[1] == ["tank", "pump-1", "Pump-2"]
    assert names(table, sort="anomaly", descending=True)[1] == ["pump-1", "tank", "Pump-2"]
    assert names(table, sort="rate", descending=True)[1][0] == "tank"
    assert names(table, sort="rate", descending=True, offset=1, limit=1)[1] == ["Pump-2"]


def test_the_series_that_is_called_so_comes_first():
    table = SeriesTable()
    table.take_readings(0, readings(("a-pump", 1.0), ("pump", 1.0), ("pump-1", 1.0)), NOW, NOW)
    assert names(table, search="pump") == (3, ["pump", "a-pump", "pump-1"])
    assert names(table, search="pump", descending=True, offset=1) == (3, ["pump-1", "a-pump"])


def test_a_series_that_comes_later_is_in_its_place():
    table = SeriesTable()
    table.take_readings(0, readings(("b", 1.0), ("d", 1.0)), NOW, NOW)
    assert names(table)[1] == ["b", "d"]
    table.take_readings(0, readings(("c", 1.0), ("a", 1.0)), NOW, NOW)
    assert names(table, now=NOW + 1_001)[1] == ["a", "b", "c", "d"]


def test_many_who_ask_the_same_are_told_what_was_found_a_second_ago():
    table = SeriesTable()
    table.take_readings(0, readings(("a", 1.0)), NOW, NOW)
    assert names(table) == (1, ["a"])
    table.take_readings(0, readings(("b", 1.0)), NOW, NOW)
    assert names(table, now=NOW + 999) == (1, ["a"])
    assert names(table, now=NOW + 1_000) == (2, ["a", "b"])


def test_beyond_its_bound_those_that_were_silent_for_longest_are_forgotten():
    table = SeriesTable(most=100)
    for number in range(250):
        now = NOW + number
        table.take_readings(0, readings(("steady", float(number)), (f"s-{number}", 1.0)), now, now)
        assert len(table) <= 101
    assert table.get("steady", now).last_value == 249.0
    assert table.get("s-249", now) is not None
    assert table.get("s-0", now) is None
    total, found = names(table, limit=1000, now=now + 1_000)
    assert total == len(found) == len(set(found)) == len(table)


def test_results_alone_make_a_series_known():
    table = SeriesTable()
    table.take_window(2, ClosedWindow("w", 0, 2000, 7, 1.0, 0.0, 0, 6, 7, "data", 0))
    known = table.get("w", NOW)
    assert (known.partition, known.last_time, known.last_value, known.window, known.heard) == (2, None, None, 7, 0)
    table.take_anomaly(2, anomaly("w"))
    assert table.get("w", NOW).last_anomaly == (NOW, 50.0, "sigma/1")


@pytest.mark.parametrize("count", [1, 1_023, 1_024, 1_025, 5_000])
def test_columns_grow(count):
    table = SeriesTable()
    batch = Readings(
        [f"s{number}" for number in range(count)],
        np.arange(count, dtype=np.int32),
        np.arange(count),
        np.full(count, NOW),
        np.arange(count, dtype=float),
    )
    table.take_readings(1, batch, NOW, NOW)
    assert [table.get(f"s{number}", NOW).last_value for number in (0, count - 1)] == [0.0, count - 1.0]
    assert table.page("", "name", False, 0, 1, NOW)[0] == count
