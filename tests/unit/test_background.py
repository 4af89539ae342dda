"""The background writer: nothing dropped, nothing written that Storm has given up."""

import logging
import threading

import tenacity

from oda.errors import Refused
from oda.stores import background
from oda.stores.background import BackgroundWriter
from support import HANG_SECONDS

LOG = logging.getLogger("test")


def ignore(_: str) -> None:
    """Of failures that last another test tells."""


def test_a_store_that_fails_is_asked_again_until_it_does_not():
    attempts, finished = [], threading.Event()

    def write(items):
        attempts.append(items)
        if items and attempts.count(items) < 3:
            raise ConnectionError("down")

    writer = BackgroundWriter(write, lambda _: finished.set(), 30, 0.0, LOG, ignore)
    writer.put("a")
    assert finished.wait(HANG_SECONDS)
    assert attempts == [[], ["a"], ["a"], ["a"]]


def test_the_store_is_connected_to_before_there_is_work():
    called, calls = threading.Event(), []

    def write(items):
        calls.append(items)
        called.set()

    BackgroundWriter(write, lambda _: None, 30, 0.0, LOG, ignore)
    assert called.wait(HANG_SECONDS)
    assert calls == [[]]


def test_what_waits_is_written_together_and_in_order():
    gate, seen, finished = threading.Event(), [], threading.Event()

    def write(items):
        gate.wait(HANG_SECONDS)
        if items:
            seen.append(items)

    def done(items):
        if items[-1] == 9:
            finished.set()

    writer = BackgroundWriter(write, done, 30, 0.0, LOG, ignore)
    for number in range(10):
        writer.put(number)
    gate.set()
    assert finished.wait(HANG_SECONDS)
    assert [number for items in seen for number in items] == list(range(10))
    assert len(seen) == 1


def test_the_first_of_many_that_wait_are_done_before_the_last_are_written():
    gate, events, finished = threading.Event(), [], threading.Event()

    def write(items):
        gate.wait(HANG_SECONDS)
        if items:
            events.append(("written", items[-1]))

    def done(items):
        events.append(("done", items[-1]))
        if items[-1] == 299:
            finished.set()

    writer = BackgroundWriter(write, done, 30, 0.0, LOG, ignore)
    for number in range(300):
        writer.put(number)
    gate.set()
    assert finished.wait(HANG_SECONDS)
    assert len(events) >= 2 * 300 / 96
    assert [what for what, _ in events] == ["written", "done"] * (len(events) // 2)


def test_what_storm_has_given_up_is_let_go():
    gate, seen, finished = threading.Event(), [], threading.Event()
    entered = threading.Event()

    def write(items):
        if items:
            entered.set()
            gate.wait(HANG_SECONDS)
        seen.extend(items)

    writer = BackgroundWriter(write, lambda _: "new" in seen and finished.set(), 0, 0.0, LOG, ignore)
    writer.put("being written")
    assert entered.wait(HANG_SECONDS)
    assert writer.put("old") == []
    assert writer.put("new") == ["old"]
    gate.set()
    assert finished.wait(HANG_SECONDS)
    assert seen == ["being written", "new"]


def failing(monkeypatch, attempts: int, lasting: float, every: float = 0.0) -> tuple[list[str], list[int]]:
    """What is told of a store that fails so many times in words of its own, and then works."""
    monkeypatch.setattr(background, "_LASTING_SECONDS", lasting)
    monkeypatch.setattr(background, "_TELL_SECONDS", every)
    told, calls, finished = [], [], threading.Event()

    def write(items):
        if items:
            calls.append(1)
            if len(calls) <= attempts:
                raise ConnectionError("403: another team's index")

    BackgroundWriter(write, lambda _: finished.set(), 30, 0.0, LOG, told.append).put("a")
    assert finished.wait(HANG_SECONDS)
    return told, calls


def test_a_failure_that_lasts_is_told_in_the_stores_own_words_and_tried_again(monkeypatch):
    told, calls = failing(monkeypatch, attempts=3, lasting=0.0)
    assert len(calls) == 4
    assert len(told) == 3
    for problem in told:
        assert problem.startswith("failing for ")
        assert problem.endswith("ConnectionError: 403: another team's index")


def test_it_is_not_told_again_and_again(monkeypatch):
    told, _ = failing(monkeypatch, attempts=3, lasting=0.0, every=3600.0)
    assert len(told) == 1


def test_a_failure_that_passes_is_not_told(monkeypatch):
    told, _ = failing(monkeypatch, attempts=2, lasting=3600.0)
    assert told == []


def test_a_refusal_is_told_at_once_and_tried_again_until_it_is_mended(monkeypatch):
    monkeypatch.setattr(background, "_REFUSED_SECONDS", 0.0)
    told, calls, finished = [], [], threading.Event()

    def write(items):
        if items:
            calls.append(1)
            if len(calls) <= 3:
                raise Refused("Cassandra: Undefined column name median")

    BackgroundWriter(write, lambda _: finished.set(), 30, 0.0, LOG, told.append).put("a")
    assert finished.wait(HANG_SECONDS)
    assert len(calls) == 4
    assert told == ["refused, and tried again until it works: Refused: Cassandra: Undefined column name median"]


def test_a_refusal_is_told_also_when_an_outage_was_told_before(monkeypatch):
    monkeypatch.setattr(background, "_REFUSED_SECONDS", 0.0)
    monkeypatch.setattr(background, "_LASTING_SECONDS", 0.0)
    told, errors, finished = [], [Refused("no"), ConnectionError("down"), ConnectionError("down")], threading.Event()

    def write(items):
        if items and errors:
            raise errors.pop()

    BackgroundWriter(write, lambda _: finished.set(), 30, 0.0, LOG, told.append).put("a")
    assert finished.wait(HANG_SECONDS)
    assert [problem.partition(",")[0] for problem in told] == ["failing for 0 s", "refused"]


def test_after_a_refusal_there_is_time_to_mend_what_is_wrong():
    def pause_after(error):
        state = tenacity.RetryCallState(None, None, (), {})
        state.set_exception((type(error), error, None))
        return background._pause(state)

    assert pause_after(Refused("no")) == background._REFUSED_SECONDS
    assert pause_after(ConnectionError("down")) <= 5
