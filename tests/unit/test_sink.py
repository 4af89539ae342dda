"""The sink bolt: what it hands to its store, and what it does when that fails or refuses."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from bolts.sinks import SINKS
from oda.core.batch import Batch, Readings
from oda.core.kinds import REJECTED, WINDOWS, ClosedWindow, Rejected
from oda.core.reading import Reading
from oda.core.text import to_text
from oda.errors import Refused
from oda.stores.contract import Item, Rows

WINDOW = ClosedWindow("a", 0, 1000, 5, 1.0, 0.5, 0, 4, 5, "data", 0)


class Store:
    """Fails with what it is given, once."""

    notes = ("a note",)

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.written: list[Item] = []
        self.calls: list[str] = []

    def migrate(self) -> None:
        self.calls.append("migrate")

    def write(self, items: list[Item]) -> None:
        if self.failures:
            raise self.failures.pop()
        self.written += items

    def close(self) -> None:
        self.calls.append("close")


def sink_of(*stores: Store) -> Any:
    opened = iter(stores)
    sink: Any = object.__new__(SINKS["kafka"])
    sink.store, sink.settings, sink.logger = None, None, logging.getLogger("test")
    sink.description = SimpleNamespace(open=lambda _: next(opened))
    return sink


def tuple_of(stream: str, *values: object) -> SimpleNamespace:
    return SimpleNamespace(stream=stream, values=list(values))


def test_tuples_of_each_stream_become_what_a_store_takes() -> None:
    store, batch = Store(), Batch(3, 1, 1, 7, 8, 0, 99, Readings.of([7], [Reading("a", 1, 1.0)]))
    rejected = Rejected(8, "not JSON", None, b"{")
    sink_of(store).write(
        [
            tuple_of("readings", *batch.to_tuple()),
            tuple_of("windows", 3, 99, to_text([WINDOW])),
            tuple_of("rejected", 3, 99, to_text([rejected])),
        ]
    )
    readings, *rows = store.written
    assert isinstance(readings, Batch)
    assert readings.readings.offsets.tolist() == [7]
    assert rows == [Rows(WINDOWS, 3, 99, [WINDOW]), Rows(REJECTED, 3, 99, [rejected])]


def test_the_store_is_brought_up_to_date_before_anything_is_written() -> None:
    store = Store()
    sink_of(store).write([])
    assert store.calls == ["migrate"]


def test_a_store_that_can_not_be_brought_up_to_date_is_closed() -> None:
    store = Store()
    store.migrate = lambda: (_ for _ in ()).throw(Refused("of a former version"))  # type: ignore[method-assign]
    with pytest.raises(Refused):
        sink_of(store).write([])
    assert store.calls == ["close"]


def test_a_store_that_was_away_is_asked_again_and_one_that_refused_is_opened_anew() -> None:
    first, second = Store(Refused("no such column"), ConnectionError("away")), Store()
    sink = sink_of(first, second)
    with pytest.raises(ConnectionError):
        sink.write([])
    assert sink.store is first
    with pytest.raises(Refused):
        sink.write([])
    sink.write([])
    assert sink.store is second
    assert (first.calls, second.calls) == (["migrate", "close"], ["migrate"])
