"""A backup of the stores is put back while Kafka lived on, in the way of docs/operations.md: nothing is missing."""

from __future__ import annotations

import pytest

from sim.simulation import Simulation
from sim.stores import BrokenPromiseError

SEEDS = range(20)


class Restored(Simulation):
    """Before the load ends, the stores lose all that came since a backup.

    Args:
        offsets: whether the committed offsets of the backup, of both logs, are put back, too.
    """

    def __init__(self, seed: int, offsets: bool = True) -> None:
        super().__init__(seed)
        self._offsets = offsets
        self.events.after(4.0, self._back_up)
        self.events.after(7.5, self._restore)

    def _end_topology(self) -> None:
        self._kill_others()
        self._bury(self.zombies)
        self.topology.kill()

    def _back_up(self) -> None:
        self._end_topology()
        self._committed = [dict(log.committed) for log in (self.topic, self.members)]
        self._heads = dict(self.heads.heads)
        self._rows = {name: dict(store.rows) for name, store in self.stores.items()}
        self.events.note("a backup is taken")
        self.topology = self._new_topology("t")

    def _restore(self) -> None:
        self._end_topology()
        self.heads.heads = dict(self._heads)
        for name, rows in self._rows.items():
            self.stores[name].rows = dict(rows)
        if self._offsets:
            for log, committed in zip((self.topic, self.members), self._committed, strict=True):
                log.committed = {partition: committed.get(partition, 0) for partition in log.records}
        self.events.note("the backup is put back")
        self.topology = self._new_topology("t")


@pytest.mark.parametrize("seed", SEEDS)
def test_with_the_offsets_of_the_backup_nothing_is_missing(seed: int) -> None:
    Restored(seed).run()


def test_without_them_something_is() -> None:
    def is_clean(seed: int) -> bool:
        try:
            Restored(seed, offsets=False).run()
        except (BrokenPromiseError, AssertionError):
            return False
        return True

    assert not all(map(is_clean, SEEDS))
