"""The faults of machines, on machines that only note what is done to them."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from oda.chaos import machines
from oda.chaos.faults import Fault
from oda.chaos.machines import Clock, Joining, Loss, RollingRestart, machine_faults
from oda.chaos.recovery import Recovery
from oda.chaos.runner import struck
from oda.cluster.layout import Machine

MACHINES = tuple(Machine(f"m{number}", f"127.1.0.1{number}", f"oda-m{number}") for number in (1, 2, 3, 4))


class Noted:
    """A system of three machines and the one of people, and what was done to it."""

    def __init__(self, folder: Path) -> None:
        self.done: list[str] = []
        self.machines = MACHINES[:3]
        self.network: Any = SimpleNamespace(
            machines=MACHINES,
            **{name: self._noting(name) for name in ("kill", "cut", "mend", "separate", "unite")},
        )
        self.cluster = SimpleNamespace(down=lambda names: self.done.append(f"down {' '.join(names)}"))
        self._folder = folder

    def _noting(self, name: str) -> Any:
        return lambda *of: self.done.append(f"{name} {' '.join(machine.name for machine in of)}")

    def servers_of(self, machine: Machine) -> list[Any]:
        number = machine.name[1:]
        return [SimpleNamespace(name=f"{kind}-{number}", folder=self._folder / kind) for kind in ("kafka", "cassandra")]

    def mend(self) -> None:
        self.done.append(f"all serve, FAKETIME {os.environ.get('FAKETIME')}")


@pytest.fixture
def system(tmp_path: Path) -> Any:
    return Noted(tmp_path)


def test_each_has_a_name_of_its_own_and_spares_the_machine_of_people(system: Any) -> None:
    names = [fault.name for fault in machine_faults(system)]
    assert len(set(names)) == len(names)
    assert not [name for name in names if "m4" in name]


def test_a_disk_is_emptied_while_nothing_runs_on_it(system: Any, tmp_path: Path) -> None:
    for kind in ("kafka", "cassandra"):
        (tmp_path / kind / "data").mkdir(parents=True)
    fault = Loss(MACHINES[1])
    fault.strike(system)
    assert (tmp_path / "kafka" / "data").exists()
    fault.heal(system)
    assert list(tmp_path.iterdir()) == []
    assert system.done == ["kill m2", "all serve, FAKETIME None"]


def test_a_wrong_clock_is_that_of_one_machine_alone(system: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "_faketime", lambda: Path("/lib/faketime.so"))
    fault = Clock(MACHINES[0], -5)
    fault.strike(system)
    fault.heal(system)
    down = "down kafka-1 cassandra-1"
    assert system.done == [down, "all serve, FAKETIME -300", down, "all serve, FAKETIME None"]
    assert "LD_PRELOAD" not in os.environ


def test_one_that_joins_goes_again(system: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines.joining, "add", lambda *of: system.done.append(f"add {of[1]}"))
    monkeypatch.setattr(machines.joining, "remove", lambda *of: system.done.append(f"remove {of[1]}"))
    (fault,) = [fault for fault in machine_faults(system) if isinstance(fault, Joining)]
    fault.strike(system)
    fault.heal(system)
    assert system.done == ["add m5", "remove m5", "all serve, FAKETIME None"]


def test_all_are_restarted_one_after_the_other_and_zookeepers_leader_last(
    system: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machines, "_leads", lambda _, machine: machine.name == "m2")
    RollingRestart().strike(system)
    assert [line for line in system.done if line.startswith("down")] == [
        f"down kafka-{number} cassandra-{number}" for number in (1, 3, 4, 2)
    ]
    assert all(line.startswith("all serve") for line in system.done[1::2])


def test_what_is_outlived_is_healed_only_when_the_rest_works_without_it(system: Any) -> None:
    class Away(Fault):
        name, outlived = "away", 0.0

        def strike(self, system: Any) -> None:
            system.done.append("strike")

        def heal(self, system: Any) -> None:
            system.done.append("heal")

    def waited(_: float) -> Recovery:
        system.done.append("wait")
        return Recovery(0, 7, 9, float(len(system.done)))

    observer: Any = SimpleNamespace(begin=lambda: None, expect=lambda _: None, wait=waited)
    found = struck(Away(), system, observer)
    assert system.done == ["strike", "wait", "heal", "wait"]
    assert (found.judged, found.stored, found.behind) == (7, 9, 4)
