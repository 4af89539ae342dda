"""Properties of what comes in: both implementations of the message format agree, whatever it is made of.

The same entrances are fuzzed with bytes in tests/fuzz; here they are built, so that most come close to being right.
"""

from __future__ import annotations

import csv
import json
from io import StringIO
from math import isfinite

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from malformed import MALFORMED
from oda.audit.message import read_message
from oda.collect.check import Check
from oda.collect.csvfile import Columns, read
from oda.collect.timeunit import TimeUnit
from oda.core.reading import (
    MAX_BRACKETS,
    MAX_REASON,
    MAX_TIME,
    MAX_VALUE,
    MIN_NUMBER,
    Reading,
    RejectedError,
    decode,
    encode,
)
from oda.settings import Settings, SettingsError

NOW = 1_800_000_000_000

numbers = st.one_of(
    st.integers().map(str),
    st.integers(0, 20).map(lambda n: str(10**n)),
    st.floats().map(repr),
    st.sampled_from(
        ["-0", "-0.0", "1e309", "1e-400", "1E+2", "01", "1.", ".5", "+1", "1e100", "1.0000000000000001e100"]
    ),
    st.integers(300, 5000).map(lambda n: "1" + "0" * n),
    st.from_regex(r"-?[0-9]{1,25}(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
)
times = st.from_regex(
    r"([0-9]{4}|19[67][0-9]|20[0-9]{2})-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-5][0-9]:([0-5][0-9]|60)"
    r"([.,][0-9]{0,10}|\.[0-9]{3}999[0-9]{0,3})?(Z|z|[+-][0-2][0-9]:?[0-6][0-9]|)",
    fullmatch=True,
).map(json.dumps)
escaped = st.lists(
    st.one_of(
        st.sampled_from(["\\ud83d", "\\ude00", "\\u0000", "\\n", "\\/", "\\x41", "\\u00", "\x00", "\t", "\x7f", '"']),
        st.characters(codec="utf-8"),
        st.sampled_from([124, 125, 249, 250]).map(lambda n: "\U0001f600" * n),
    ),
    max_size=4,
).map(lambda parts: f'"{"".join(parts)}"')
values = st.one_of(
    numbers,
    times,
    escaped,
    st.sampled_from(["null", "true", "[]", "{}", "[1,]", "NaN", "-Infinity", "", "[" * 300 + "]" * 300]),
    st.integers(MAX_BRACKETS - 5, MAX_BRACKETS + 1).map(lambda n: "[" * n + "]" * n),
)
names = st.one_of(st.sampled_from(["series", "time", "value", "Series", "\\u0076alue", "x", "\\ud800", ""]), st.text())
stamps = st.one_of(st.integers(0, NOW), st.sampled_from([MIN_NUMBER - 1, MIN_NUMBER])).map(str)
right = st.tuples(escaped, st.one_of(times, stamps), numbers)


def object_of(fields: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f'"{name}":{value}' for name, value in fields) + "}"


messages = st.builds(
    lambda given, more, before: object_of(before + list(zip(("series", "time", "value"), given, strict=True)) + more),
    right,
    st.lists(st.tuples(names, values), max_size=3),
    st.lists(st.tuples(names, values), max_size=1),
)
wrapped = st.one_of(
    messages.map(lambda text: text.encode("utf-8", "surrogatepass")),
    messages.map(lambda text: b"\xef\xbb\xbf" + text.encode("utf-8", "surrogatepass")),
    messages.map(lambda text: text.encode("utf-16", "surrogatepass")),
    st.binary(),
)


@given(wrapped, st.sampled_from([-1, 0, NOW, MAX_TIME]), st.booleans())
@example(b'{"series":"a","time":1732300000000,"value":1,"x":"\xff"}', NOW, True)
@example(b'{"series":"a","time":1732300000000,"value":1,"x":' + b"[" * 499 + b"]" * 499 + b"}", NOW, True)
@example(b'{"time":"x","series":"a","time":1732300000000,"value":1}', NOW, True)
@example(b'{"value":1e999,"series":"a","time":1732300000000,"value":1}', NOW, True)
@example(b'{"value":1e101,"series":"a","time":1732300000000,"value":1}', NOW, True)
@example(b'{"time":' + b"9" * 30 + b',"series":"a","time":1732300000000,"value":1}', NOW, True)
@example(b'{"time":' + b"9" * 4300 + b',"series":"a","time":1732300000000,"value":1}', NOW, True)
@example(b'{"time":-' + b"9" * 4300 + b',"series":"a","time":1732300000000,"value":1}', NOW, True)
@example(b'{"time":' + b"9" * 4301 + b',"series":"a","time":1732300000000,"value":1}', NOW, True)
@example(b'{"time":1,"series":"a","time":1732300000000,"value":1}', NOW, True)
@example(b'{"time":1732300000000,"series":"a","time":1,"value":1}', NOW, True)
@example(b'{"series":"a","time":"1970-01-01T00:00:00.001Z","value":1}', NOW, True)
@example(b'{"series":"a","time":' + b"1" * 4300 + b',"value":1}', NOW, True)
def test_both_implementations_read_the_same_in_every_message(data, timestamp, by_broker):
    want = read_message(data, timestamp, 86_400_000, by_broker)
    if want is None:
        with pytest.raises(RejectedError) as error:
            decode(data, timestamp, 86_400_000, by_broker)
        assert str(error.value).isprintable()
        assert 0 < len(str(error.value)) <= MAX_REASON
        return
    reading = decode(data, timestamp, 86_400_000, by_broker)
    assert reading == want
    assert isfinite(reading.value)
    assert decode(encode(reading), timestamp, 86_400_000, by_broker) == reading


@given(wrapped, st.sampled_from(TimeUnit))
def test_with_a_unit_too_a_message_is_a_reading_or_rejected(data, unit):
    readings, rejected = Check(0, unit).all([(1, data)], MAX_TIME)
    assert len(readings) + len(rejected) == 1
    assert all(0 < len(reason) <= MAX_REASON for _, reason in rejected)
    assert all(read_message(encode(reading), MAX_TIME, 0) == reading for reading in readings)


@given(st.integers(MIN_NUMBER, MAX_TIME), numbers)
def test_numbers_that_are_said_to_be_milliseconds_are_what_they_are_anyway(time, value):
    data = f'{{"series":"a","time":{time},"value":{value}}}'.encode()
    want = read_message(data, MAX_TIME, 0)
    if want is None:
        with pytest.raises(RejectedError):
            Check(0, TimeUnit.MS).one(data, MAX_TIME)
    else:
        assert Check(0, TimeUnit.MS).one(data, MAX_TIME) == want


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_message_is_rejected_by_both_with_the_reason_that_names_its_fault(name):
    data, reason = MALFORMED[name]
    assert read_message(data, NOW, 0) is None
    with pytest.raises(RejectedError) as error:
        decode(data, NOW, 0)
    assert reason in str(error.value)


@pytest.mark.parametrize("time", [0, 1, 999, MIN_NUMBER - 1, MIN_NUMBER, NOW])
def test_a_reading_of_any_time_can_be_written(time):
    reading = Reading("pump-7", time, 3.25)
    assert decode(encode(reading), NOW, 0) == read_message(encode(reading), NOW, 0) == reading


@pytest.mark.parametrize(("begin", "end"), [(b"[", b"]"), (b'{"\\u0061":', b"}")])
def test_whether_a_message_is_accepted_does_not_depend_on_the_stack(begin, end):
    data = b'{"series":"a","time":1732300000000,"value":1,"x":' + begin * 499 + b"1" + end * 499 + b"}"

    def deeper(levels: int) -> Reading:
        return deeper(levels - 1) if levels else decode(data, NOW, 0)

    assert deeper(0) == deeper(300) == read_message(data, NOW, 0)


cells = st.one_of(
    st.text(st.characters(codec="utf-8")),
    st.sampled_from(['a,"b"', "\n", "\r\n", "'", " ", ";", "\x00", "\ufeff", "="]),
)
rows = st.lists(
    st.tuples(
        cells.filter(lambda name: 0 < len(name) < 250),
        st.integers(MIN_NUMBER, MAX_TIME),
        st.floats(-MAX_VALUE, MAX_VALUE),
        cells,
    ),
    max_size=10,
)


@given(rows, st.sampled_from(["excel", "unix"]))  # quotes where it must, and everywhere
def test_readings_come_out_of_a_csv_file_as_they_went_in_whatever_the_quoting(given, dialect):
    file = StringIO(newline="")
    writer = csv.writer(file, dialect)
    writer.writerow(["series", "t", "v", "more"])
    writer.writerows(given)
    file.seek(0)
    bad: list[object] = []
    columns = Columns("t", "v", "", "series")
    found = list(read(file, columns, lambda row: Check(0).one(row, MAX_TIME), lambda *report: bad.append(report)))
    assert bad == []
    assert found == [Reading(series, time, value) for series, time, value, _ in given]


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.integers(2**31, 2**100)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=5,
)
settings_names = st.one_of(
    st.sampled_from(
        [
            f"oda.{section}.{name}"
            for section, of in Settings.model_fields.items()
            for name in of.annotation.model_fields
        ]
    ),
    st.sampled_from(["oda.", "oda.window", "oda..", "oda.window.size_ms.x"]),
    st.text().map("oda.".__add__),
)
MAY_BE_NONE = {
    f"oda.{section}.{name}"
    for section, of in Settings.model_fields.items()
    for name, field in of.annotation.model_fields.items()
    if field.default is None
}
NEEDED = {"oda.kafka.brokers": "a:1", "oda.cassandra.hosts": "a:1", "oda.elasticsearch.urls": "http://a:1"}


@given(st.dictionaries(settings_names, json_values, max_size=3))
@example({"oda.cassandra.datacenter": None})
def test_settings_of_any_type_are_taken_or_named(options):
    try:
        found = Settings.from_options({**NEEDED, **options})
    except SettingsError as error:
        text = str(error)
    else:
        assert not any(isinstance(value, bool) for value in options.values())
        assert {name for name, value in options.items() if value is None} <= MAY_BE_NONE
        assert Settings.model_validate(found.model_dump()) == found
        return
    lines = text.splitlines()[:-1]
    assert lines
    assert all(line.isprintable() and line.lstrip("\"'").startswith("oda") for line in lines)
