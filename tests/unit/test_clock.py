"""Clock records: what they say comes back, and two implementations agree on what is one."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oda.audit.message import CLOCK_KEY, read_clock_record
from oda.core.clock import KEY, MOST_SERIES, ClockRecord, decode, encode
from oda.core.reading import MAX_TIME, RejectedError

GOOD = {"group": "oda", "position": 7, "through": {"a": 2000}}
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=249)


@given(
    st.text(st.characters(codec="utf-8")),
    st.integers(0, 2**63 - 1),
    st.dictionaries(names, st.integers(0, MAX_TIME)),
    st.lists(names),
)
def test_both_implementations_read_what_was_written(
    group: str, position: int, through: dict[str, int], ended: list[str]
) -> None:
    found = [decode(value) for value in encode(group, position, through, ended)]
    assert [read_clock_record(value) for value in encode(group, position, through, ended)] == [
        (one.group, one.position, one.through, tuple(one.ended)) for one in found
    ]
    assert all((one.group, one.position) == (group, position) for one in found)
    assert {name: start for one in found for name, start in one.through.items()} == through
    assert [name for one in found for name in one.ended] == ended


def test_a_record_of_a_version_that_ended_no_series_is_read() -> None:
    data = msgspec.json.encode(GOOD)
    assert decode(data) == ClockRecord("oda", 7, {"a": 2000}, [])
    assert read_clock_record(data) == ("oda", 7, {"a": 2000}, ())


def test_many_series_are_told_in_records_that_kafka_takes() -> None:
    through = {"\x01" * 240 + f"{number:09}": MAX_TIME for number in range(1201)}
    values = list(encode("g" * 200, 2**62, through))
    assert max(map(len, values)) < 2**20
    found = [decode(value).through for value in values]
    assert [len(some) for some in found] == [MOST_SERIES, MOST_SERIES, 201]
    assert {name: start for some in found for name, start in some.items()} == through


def test_the_key_is_no_series() -> None:
    assert KEY == CLOCK_KEY
    with pytest.raises(UnicodeDecodeError):
        KEY.decode()


BAD = {
    "nothing": None,
    "no JSON": b"{",
    "no object": b"[]",
    "not UTF-8": b'{"group": "\xff", "position": 7, "through": {}}',
    "half a surrogate pair": b'{"group": "\\ud800", "position": 7, "through": {}}',
    **{f"without {name}": msgspec.json.encode({k: v for k, v in GOOD.items() if k != name}) for name in GOOD},
    **{
        f"{name} {value!r}": msgspec.json.encode(GOOD | {name: value})
        for name, value in [
            ("group", 1),
            ("position", -1),
            ("position", 2**63),
            ("position", 1.5),
            ("position", "7"),
            ("through", None),
            ("through", ["a"]),
            ("through", {"": 0}),
            ("through", {"a": -1}),
            ("through", {"a": MAX_TIME + 1}),
            ("through", {"a" * 250: 0}),
            ("more", [[]] * 600),
        ]
    },
}


@pytest.mark.parametrize("value", BAD.values(), ids=BAD.keys())
def test_what_is_no_clock_record(value: bytes | None) -> None:
    assert read_clock_record(value) is None
    with pytest.raises(RejectedError, match="not a clock record"):
        decode(value)
