"""Rule records: what they say comes back, and two implementations agree on what is one."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oda.audit.message import CLOCK_KEY, RULES_KEY, read_rule_record
from oda.core.reading import RejectedError
from oda.core.rulemark import KEY, RuleRecord, decode, encode

GOOD = {"group": "oda", "version": 7, "sha256": "0123456789abcdef" * 4}


@given(st.text(st.characters(codec="utf-8")), st.integers(1, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_both_implementations_read_what_was_written(group: str, version: int, digest: bytes) -> None:
    data = encode(group, version, digest.hex())
    assert decode(data) == RuleRecord(group, version, digest.hex())
    assert read_rule_record(data) == (group, version, digest.hex())


def test_the_key_is_no_series_and_no_clocks() -> None:
    assert KEY == RULES_KEY != CLOCK_KEY
    with pytest.raises(UnicodeDecodeError):
        KEY.decode()


BAD = {
    "nothing": None,
    "no JSON": b"{",
    "no object": b"[]",
    "not UTF-8": msgspec.json.encode(GOOD).replace(b"oda", b"\xff"),
    **{f"without {name}": msgspec.json.encode({k: v for k, v in GOOD.items() if k != name}) for name in GOOD},
    **{
        f"{name} {value!r}": msgspec.json.encode(GOOD | {name: value})
        for name, value in [
            ("group", 1),
            ("version", 0),
            ("version", -1),
            ("version", 2**63),
            ("version", 1.5),
            ("version", "7"),
            ("sha256", "0" * 63),
            ("sha256", "0" * 65),
            ("sha256", "0" * 63 + "A"),
            ("sha256", "0" * 64 + "\n"),
            ("sha256", None),
            ("more", [[]] * 600),
        ]
    },
}


@pytest.mark.parametrize("value", BAD.values(), ids=BAD.keys())
def test_what_is_no_rule_record(value: bytes | None) -> None:
    assert read_rule_record(value) is None
    with pytest.raises(RejectedError, match="not a rule record"):
        decode(value)
