"""The background writer: nothing dropped, nothing written that Storm has given up."""

import logging
import threading

from oda.stores.background import BackgroundWriter

LOG = logging.getLogger("test")


def test_a_store_that_fails_is_asked_again_until_it_does_not():
    attempts, finished = [], threading.Event()

    def write(items):
        attempts.append(items)
        if items and attempts.count(items) < 3:
            raise ConnectionError("down")

    writer = BackgroundWriter(write, lambda _: finished.set(), 30, 0.0, LOG)
    writer.put("a")
    assert finished.wait(20)
    assert attempts == [[], ["a"], ["a"], ["a"]]


def test_the_store_is_connected_to_before_there_is_work():
    called, calls = threading.Event(), []

    def write(items):
        calls.append(items)
        called.set()

    BackgroundWriter(write, lambda _: None, 30, 0.0, LOG)
    assert called.wait(20)
    assert calls == [[]]


def test_what_waits_is_written_together_and_in_order():
    gate, seen, finished = threading.Event(), [], threading.Event()

    def write(items):
        gate.wait(20)
        if items:
            seen.append(items)

    def done(items):
        if items[-1] == 9:
            finished.set()

    writer = BackgroundWriter(write, done, 30, 0.0, LOG)
    for number in range(10):
        writer.put(number)
    gate.set()
    assert finished.wait(20)
    assert [number for items in seen for number in items] == list(range(10))
    assert len(seen) == 1


def test_the_first_of_many_that_wait_are_done_before_the_last_are_written():
    gate, events, finished = threading.Event(), [], threading.Event()

    def write(items):
        gate.wait(20)
        if items:
            events.append(("written", items[-1]))

    def done(items):
        events.append(("done", items[-1]))
        if items[-1] == 299:
            finished.set()

    writer = BackgroundWriter(write, done, 30, 0.0, LOG)
    for number in range(300):
        writer.put(number)
    gate.set()
    assert finished.wait(20)
    assert len(events) >= 2 * 300 / 96
    assert [what for what, _ in events] == ["written", "done"] * (len(events) // 2)


def test_what_storm_has_given_up_is_let_go():
    gate, seen, finished = threading.Event(), [], threading.Event()
    entered = threading.Event()

    def write(items):
        if items:
            entered.set()
            gate.wait(20)
        seen.extend(items)

    writer = BackgroundWriter(write, lambda _: "new" in seen and finished.set(), 0, 0.0, LOG)
    writer.put("being written")
    assert entered.wait(20)
    assert writer.put("old") == []
    assert writer.put("new") == ["old"]
    gate.set()
    assert finished.wait(20)
    assert seen == ["being written", "new"]
