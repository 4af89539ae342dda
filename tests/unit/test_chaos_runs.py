"""A run of `oda chaos`: which faults a seed means, and how it is ended."""

import signal
import time
from collections.abc import Iterator
from math import inf
from types import SimpleNamespace
from typing import Any

import pytest

from oda.chaos import runner
from oda.chaos.recovery import Recovery
from oda.chaos.signals import deferred, end_at_sigterm
from oda.errors import UserError


@pytest.fixture(autouse=True)
def handlers() -> Any:
    """What a test does to the handlers of signals ends with it."""
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


class Harmless:
    outlived = None

    def __init__(self, name: str, happened: list[str]) -> None:
        self.name = name
        self._happened = happened

    def strike(self, system: Any) -> None:  # noqa: ARG002 - a fault's signature
        self._happened.append(self.name)

    def heal(self, system: Any) -> None:
        pass


@pytest.fixture
def service() -> SimpleNamespace:
    """Stands in for the load, and for what changes the rules."""
    return SimpleNamespace(stop=lambda: None, applied=0, acknowledged=0, error=None)


@pytest.fixture
def struck(monkeypatch: pytest.MonkeyPatch, service: SimpleNamespace) -> list[str]:
    """The names of the faults that were struck."""
    happened: list[str] = []
    observer = SimpleNamespace(begin=lambda: None, expect=lambda _: None, wait=lambda _: Recovery(0, 0, 0, 0))
    for name, replaced in {
        "TrackedLoad": lambda *_, **__: service,
        "RuleChanges": lambda *_: service,
        "Observer": lambda _: observer,
        "count_in_log": lambda _: 0,
    }.items():
        monkeypatch.setattr(runner, name, replaced)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    return happened


def run(struck: list[str], seed: int, first: int, count: int) -> None:
    system: Any = SimpleNamespace(settings=None)
    faults: list[Any] = [Harmless(f"fault {number}", struck) for number in range(50)]
    runner.Run(system, lambda _: None, 200).strike(faults, seed, first, lambda so_far: so_far == count)


def test_a_run_is_resumed_by_its_seed_and_a_number(struck: list[str]) -> None:
    run(struck, 1, 1, 10)
    whole = struck.copy()
    struck.clear()
    run(struck, 1, 1, 4)
    run(struck, 1, 5, 6)
    assert struck == whole
    struck.clear()
    run(struck, 2, 1, 10)
    assert struck != whole


def test_a_load_that_failed_ends_the_run(struck: list[str], service: SimpleNamespace) -> None:
    service.error = UserError("Kafka refused a message")
    with pytest.raises(UserError, match="the load failed"):
        run(struck, 1, 1, 3)


def test_series_that_are_not_judged_in_time_are_named(struck: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = iter([Recovery(0, 0, 0, 0), Recovery(0, inf, inf, inf)])  # before the fault, and after it
    nothing = {"begin": lambda: None, "expect": lambda _: None}
    observer = SimpleNamespace(wait=lambda _: next(found), unjudged=["chaos-3", "chaos-14"], **nothing)
    monkeypatch.setattr(runner, "Observer", lambda _: observer)
    told: list[str] = []
    system: Any = SimpleNamespace(settings=None)
    one = runner.Run(system, told.append, 200)
    one.strike([Harmless("fault", struck)], 1, 1, lambda so_far: so_far == 3)
    assert struck == ["fault"]
    assert not one.timeline.clean
    assert told[-1].endswith("not judged in time: chaos-3, chaos-14")


@pytest.fixture
def hears_ctrl_c() -> Iterator[None]:
    """A shell that runs the tests in the background has made them deaf to it."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)])
@pytest.mark.usefixtures("hears_ctrl_c")
def test_a_signal_waits_until_what_was_struck_is_healed(number: int, raised: type[BaseException]) -> None:
    end_at_sigterm()
    healed = []

    def heal() -> None:
        with deferred():
            signal.raise_signal(number)
            healed.append("all of it")

    with pytest.raises(raised) as found:
        heal()
    assert healed
    assert number == signal.SIGINT or found.value.args == (143,)
