"""The keyspace: its tables derive from the kinds, and what can't be made is told with the statement."""

from __future__ import annotations

import re
from typing import Any

import pytest
from cassandra import InvalidRequest, Unauthorized

from oda.core.kinds import OF_SERIES, Kind
from oda.errors import Refused
from oda.settings import Cassandra
from oda.stores import keyspace

SETTINGS = Cassandra(hosts="127.0.0.1:9042", buckets=16)
STATEMENTS = list(keyspace.statements(SETTINGS))


def statement(what: str) -> str:
    (found,) = [one for one in STATEMENTS if f"{what} IF NOT EXISTS" in one or f"{what} (" in one]
    return found


@pytest.mark.parametrize("kind", OF_SERIES)
def test_each_field_of_a_kind_has_its_place_once(kind: Kind[Any]) -> None:
    table, type_ = statement(f"oda.{kind.name}"), statement(f"oda.{kind.name}_fields")
    for field in kind.fields:
        assert len(re.findall(rf'"{field.name}" [a-z]', table + type_)) == 1


def test_a_window_is_a_row_of_its_series_bucket() -> None:
    table = statement("oda.windows")
    assert 'PRIMARY KEY (("bucket", "slot"), "series", "start", "partition", "first_offset")' in table
    assert "comment = 'bucket = crc32(series) mod 16, slot = start div 600000 ms'" in table
    assert "TimeWindowCompactionStrategy" in table


def test_a_change_of_an_incident_is_found_by_its_detector_and_number() -> None:
    table = statement("oda.incidents")
    key = '"series", "time", "partition", "offset", "detector", "number"'
    assert f'PRIMARY KEY (("bucket", "slot"), {key})' in table
    assert '"detector" text, "number" bigint, "fields" frozen<oda.incidents_fields>' in table
    assert '"labels" text' in statement("oda.incidents_fields")


class Session:
    """Refuses whatever it is told."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def execute(self, _: str) -> None:
        raise self.error


def test_an_account_that_may_not_alter_is_told_the_statement_to_run() -> None:
    session: Any = Session(Unauthorized("User x has no ALTER permission"))
    with pytest.raises(Refused, match=r"may not alter the keyspace; let one that may do: ALTER TYPE oda\.a ADD b int"):
        keyspace._alter(session, "ALTER TYPE oda.a ADD b int")


def test_what_cassandra_will_not_do_is_told_with_the_statement() -> None:
    session: Any = Session(InvalidRequest("no such type"))
    with pytest.raises(Refused, match=r"no such type; it was to do: ALTER TYPE oda\.a ADD b int"):
        keyspace._alter(session, "ALTER TYPE oda.a ADD b int")
