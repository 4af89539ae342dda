"""Values are packed as the driver would pack them."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

from cassandra.cqltypes import DateType, DoubleType, Int32Type, LongType, UserType, UTF8Type
from cassandra.query import PreparedStatement
from hypothesis import given
from hypothesis import strategies as st

from oda.stores.cells import PACK, bound, user_type

TYPES = {"int": Int32Type, "bigint": LongType, "timestamp": DateType, "double": DoubleType, "text": UTF8Type}

LONGS = st.integers(-(2**63), 2**63 - 1)
VALUES = {
    "int": st.integers(-(2**31), 2**31 - 1),
    "bigint": LONGS,
    "timestamp": st.integers(0, 2**44),
    "double": st.floats(),
    "text": st.text(max_size=300),
}

Column = namedtuple("Column", "keyspace_name table_name name type")


def test_each_type_has_its_own() -> None:
    assert PACK.keys() == TYPES.keys()


@given(st.data())
def test_a_statement_with_its_values_is_as_the_driver_binds_it(data: st.DataObject) -> None:
    values = {name: data.draw(VALUES[name]) for name in VALUES}
    fields = [data.draw(st.none() | VALUES[name]) for name in VALUES]
    type_: Any = UserType.make_udt_class("oda", "windows_fields", tuple(TYPES), tuple(TYPES.values()))
    columns = [Column("oda", "windows", name, of) for name, of in [*TYPES.items(), ("fields", type_)]]
    statement = PreparedStatement(columns, b"id", [0, 1], "INSERT", "oda", 5, None, None)
    packed = [PACK[name](value) for name, value in values.items()]
    ours = bound(statement, [*packed, user_type(PACK.values(), fields)])
    drivers = statement.bind((*values.values(), fields))
    assert ours.values == drivers.values
    assert ours.routing_key == drivers.routing_key
