"""Properties: whatever happens on the way, the stores end up with what the reference says.

`test_any_cut` is about numbers: any cut of any log into batches gives the reference's windows and
anomalies. `World` is about failure: it plays Storm, Kafka and Cassandra around the core, delivers
late, twice, out of order or never, crashes spouts and bolts anywhere, has two of each at work on the
same partition, and then lets it settle.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from oda.audit import message
from oda.audit.reference import Reference
from oda.core import snapshot
from oda.core.baselines import Baselines, judge
from oda.core.batch import Batch, ClockMark, Readings
from oda.core.kinds import Anomaly, ClosedWindow
from oda.core.partition import Ack, Action, Fail, Load, Mark, OvertakenError, Partition, Save, Skip
from oda.core.progress import Progress
from oda.core.reading import Reading
from oda.core.windows import PartitionWindows
from oda.settings import Judge, Window

Row = ClosedWindow | Anomaly
Log = dict[int, Reading | ClockMark]  # by offset; an offset that is not there is a gap or was rejected

rules = st.builds(
    Window,
    size_ms=st.sampled_from([1, 10]),
    lateness_ms=st.sampled_from([0, 3, 25]),
    idle_ms=st.sampled_from([0, 5]),
    expire_ms=st.sampled_from([60, 1_000_000]),
)
judgements = st.builds(
    Judge,
    sigmas=st.sampled_from([0.5, 1.0, 4.0]),
    min_count=st.integers(1, 3),
    min_stddev=st.sampled_from([0.0, 0.5]),
)
values = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 1.5, 1e9, 1e9 + 1e-3, 1e100, -1e100]), st.floats(-1e100, 1e100), st.floats(-2, 2)
)
names = st.sampled_from("abc")
steps = st.lists(st.tuples(st.integers(0, 3), names, st.integers(-15, 12), values), max_size=30)
"""Readings to be: offsets that are skipped before it, series, step in time, value."""
clocks = st.lists(
    st.tuples(
        st.integers(0, 120),
        st.integers(0, 120),
        st.dictionaries(names, st.integers(0, 60)),
        st.lists(names, max_size=2),
    ),
    max_size=6,
)
"""Clock records to be: offset, position, the windows that they close, the series that they end."""


def extend(log: Log, end: int, now: int, added: list[tuple[int, str, int, float]]) -> tuple[int, int]:
    """Add readings to a log; returns its end and newest time."""
    for gap, series, step, value in added:
        now = max(0, now + step)
        log[end + gap] = Reading(series, now, value)
        end += gap + 1
    return end, now


def batch_of(log: Log, start: int, end: int, *, epoch: int = 1, committed: int = 0, clock: int = 0) -> Batch:
    part = {offset: log[offset] for offset in sorted(log) if start <= offset < end}
    readings = {offset: entry for offset, entry in part.items() if isinstance(entry, Reading)}
    marks = [entry for entry in part.values() if isinstance(entry, ClockMark)]
    columns = Readings.of(list(readings), list(readings.values()))
    batch = Batch(0, epoch, 0, start, end, committed, clock, columns, marks)
    return Batch.from_tuple(batch.to_tuple())


def reference_of(log: Log, window: Window, judgement: Judge) -> Reference:
    """One pass over the log."""
    reference = Reference(window, judgement)
    for offset in sorted(log):
        entry = log[offset]
        if isinstance(entry, Reading):
            reference.read(offset, entry)
        else:
            reference.read_clock(offset, message.ClockRecord("", entry.position, entry.through, tuple(entry.ended)))
    return reference


def by_place(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row.first_offset if isinstance(row, ClosedWindow) else row.offset)


@given(steps, clocks, st.lists(st.integers(0, 120), max_size=12), rules, judgements)
def test_any_cut(
    added: list[tuple[int, str, int, float]],
    records: list[tuple[int, int, dict[str, int], list[str]]],
    cuts: list[int],
    window: Window,
    judgement: Judge,
) -> None:
    log: Log = {}
    end, _ = extend(log, 0, 0, added)
    for offset, position, through, ended in records:
        log.setdefault(offset, ClockMark(offset, position, through, ended))
        end = max(end, offset + 1)
    ends = sorted({min(cut, end) for cut in cuts} | {end})
    machine = PartitionWindows(window)
    closed: list[ClosedWindow] = []
    anomalies: list[Anomaly] = []
    for start, stop in zip([0, *ends], ends, strict=False):
        batch = batch_of(log, start, stop)
        machine.apply(batch)
        closed += machine.closed_by(batch)
        anomalies += judge(batch.readings, machine.baselines(batch), judgement)
    reference = reference_of(log, window, judgement)
    assert by_place([*closed]) == by_place([*reference.windows])
    assert anomalies == reference.anomalies


def test_a_baseline_that_begins_after_the_last_reading_applies_to_none() -> None:
    """The clock may close a window at an offset behind a batch's last reading, among rejected messages."""
    readings = Readings.of([0, 3], [Reading("a", 0, 5.0), Reading("b", 0, 5.0)])

    def closed(series: str, at: int, mean: float) -> ClosedWindow:
        return ClosedWindow(series, 0, 10, 2, mean, 0.0, 0, 0, at, "clock", 0)

    baselines = Baselines.of([(0, 1, closed("a", 1, 5.0)), (0, 8, closed("a", 8, 5.0)), (1, 3, closed("b", 3, 1.0))])
    assert [anomaly.offset for anomaly in judge(readings, baselines, Judge())] == [3]


@dataclass
class Spout:
    """A run of the spout; each has a clock of its own machine."""

    epoch: int
    clock: int
    progress: Progress


@dataclass
class Bolt:
    """A process of the window bolt, the snapshot that it is saving, and clock records that it is writing."""

    partition: Partition
    owner: int = 0
    saving: Save | None = None
    records: list[Mark] = field(default_factory=list)


@dataclass
class Head:
    """Of the snapshots in Cassandra."""

    position: int
    parts: list[bytes]
    owner: int = 0


PROCESSES = 2
which = st.integers(0, PROCESSES - 1)


class World(RuleBasedStateMachine):
    """One partition, from the log to a store, with two spouts and two window bolts that are alive.

    Storm knows of one of each only; the others are zombies, or of a topology that was submitted twice. Which is which
    makes no difference: each spout's batches may get to either bolt.

    A tree is one emission of a batch with all that hangs on it: `trees` has for each what is still
    to be acknowledged ("bolt" and the numbers of outputs), as Storm's acker does. Trees that the
    spout has given up on stay around, since Storm does not take back what is under way.
    """

    @initialize(window=rules, judgement=judgements)
    def begin(self, window: Window, judgement: Judge) -> None:
        self.window, self.judgement = window, judgement
        # Kafka
        self.log: Log = {}
        self.end = self.now = self.committed = 0
        # Storm
        self.numbers = count(1)
        self.trees: dict[int, set[int | str]] = {}
        self.batch_of_tree: dict[int, tuple[int, int]] = {}
        self.queue: list[tuple[int, Batch]] = []
        self.outputs: dict[int, tuple[int, list[Row]]] = {}
        # Cassandra
        self.head = Head(0, [])
        self.store: dict[tuple[type[Row], int], Row] = {}
        # Spouts and bolts
        self.spouts = [self.new_spout(1_000) for _ in range(PROCESSES)]
        self.bolts = [self.new_bolt() for _ in range(PROCESSES)]

    def later(self) -> float:
        """Time, as a bolt knows it: more of it than any save waits for."""
        return 10.0 * next(self.numbers)

    def new_spout(self, clock: int) -> Spout:
        return Spout(next(self.numbers), clock, Progress(self.committed, timeout=0.0))

    def new_bolt(self) -> Bolt:
        return Bolt(Partition(self.window, 0.0))

    # -- what spouts do

    @rule(added=steps)
    def produce(self, added: list[tuple[int, str, int, float]]) -> None:
        self.end, self.now = extend(self.log, self.end, self.now, added)

    @rule(number=which, most=st.integers(1, 20))
    def read(self, number: int, most: int) -> None:
        spout = self.spouts[number]
        start = spout.progress.position
        if start < self.end:
            end = min(self.end, start + most)
            committed = spout.progress.committed
            batch = batch_of(self.log, start, end, epoch=spout.epoch, committed=committed, clock=spout.clock)
            self.emit(spout.progress, spout.progress.add(batch, []))

    @rule(number=which, bolt=which, later=st.sampled_from([0, 7, 40, 200]))
    def tick(self, number: int, bolt: int, later: int) -> None:
        """A clock tells of a moment at which all that the log held had been read."""
        spout = self.spouts[number]
        spout.clock += later
        if spout.progress.position == self.end:
            self.do(self.bolts[bolt], self.bolts[bolt].partition.clock(spout.epoch, self.end, spout.clock))

    @rule(number=which)
    def commit(self, number: int) -> None:
        progress = self.spouts[number].progress
        self.committed = progress.committed = progress.committable
        assert self.committed <= self.head.position, "what is committed must be in a snapshot"

    @rule(number=which, step=st.integers(-100, 100))
    def restart_spout(self, number: int, step: int) -> None:
        """Elsewhere, where the clock is another."""
        self.spouts[number] = self.new_spout(self.spouts[number].clock + step)

    def emit(self, progress: Progress, number: int) -> None:
        tree = next(self.numbers)
        batch = progress.emit(number, "readings", tree, 0.0).batch
        self.trees[tree] = {"bolt"}
        self.batch_of_tree[tree] = (batch.epoch, number)
        self.queue.append((tree, batch))

    # -- what Storm does

    @precondition(lambda self: self.trees)
    @rule(data=st.data())
    def time_out(self, data: st.DataObject) -> None:
        for tree in data.draw(st.lists(st.sampled_from(sorted(self.trees)), min_size=1, max_size=4, unique=True)):
            self.give_up(tree)

    def give_up(self, tree: int) -> None:
        epoch, number = self.batch_of_tree[tree]
        for spout in self.spouts:
            if spout.epoch == epoch:
                for again in spout.progress.fail(number, "readings", tree, 0.0):
                    self.emit(spout.progress, again)

    @precondition(lambda self: self.queue)
    @rule(data=st.data(), number=which, most=st.integers(1, 6), lose=st.booleans())
    def deliver(self, data: st.DataObject, number: int, most: int, lose: bool) -> None:
        """Batches of one run of the spout arrive in the order they were emitted in, if they arrive."""
        epoch = data.draw(st.sampled_from(sorted({batch.epoch for _, batch in self.queue})))
        for tree, batch in [item for item in self.queue if item[1].epoch == epoch][:most]:
            self.queue = [item for item in self.queue if item[0] != tree]
            if not lose:
                self.receive(number, batch, tree)

    def receive(self, number: int, batch: Batch, tree: int) -> None:
        bolt = self.bolts[number]
        try:
            self.do(bolt, bolt.partition.receive(batch, tree, self.later()))
        except OvertakenError:
            self.restart_bolt(number)

    @rule(spout=which, bolt=which, most=st.integers(1, 20))
    def flow(self, spout: int, bolt: int, most: int) -> None:
        """As it mostly goes: what a spout reads gets to a bolt, with all that it sent before."""
        self.read(spout, most)
        epoch = self.spouts[spout].epoch
        flowing = [item for item in self.queue if item[1].epoch == epoch]
        self.queue = [item for item in self.queue if item[1].epoch != epoch]
        for tree, batch in flowing:
            self.receive(bolt, batch, tree)

    @precondition(lambda self: self.outputs)
    @rule(data=st.data())
    def lose_outputs(self, data: st.DataObject) -> None:
        for output in data.draw(st.sets(st.sampled_from(sorted(self.outputs)), min_size=1)):
            del self.outputs[output]

    def acknowledge(self, tree: int, part: int | str) -> None:
        self.trees[tree].remove(part)
        if not self.trees[tree]:
            del self.trees[tree]
            epoch, number = self.batch_of_tree[tree]
            for spout in self.spouts:
                if spout.epoch == epoch:
                    spout.progress.ack(number, "readings")

    # -- what the bolts do

    def do(self, bolt: Bolt, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Load):
                bolt.owner = self.head.owner = next(self.numbers)
                self.do(bolt, bolt.partition.loaded(snapshot.decode(self.head.parts, self.window), self.later()))
                continue
            if isinstance(action, Save):
                bolt.saving = action
                continue
            if isinstance(action, Mark):
                bolt.records.append(action)
                continue
            assert not isinstance(action, Skip), "no snapshot reached what is committed"
            if isinstance(action, Fail):
                assert "bolt" in self.trees[action.handle], "what was acknowledged can't be failed"
                continue
            if isinstance(action, Ack):
                self.acknowledge(action.handle, "bolt")
                continue
            assert "bolt" in self.trees.get(action.handle, ()), "an output must not follow its tuple's ack"
            baselines = Baselines.from_text(action.baselines.to_text())
            anomalies = judge(action.batch.readings, baselines, self.judgement)
            for rows in ([*action.rows], [*anomalies]):
                output = next(self.numbers)
                self.trees[action.handle].add(output)
                self.outputs[output] = (action.handle, rows)

    @rule(number=which, written=st.integers(1, 2))
    def write_clock(self, number: int, written: int) -> None:
        """Once or, when the answer gets lost, twice."""
        records, self.bolts[number].records = self.bolts[number].records, []
        for mark in records * written:
            self.log[self.end] = ClockMark(self.end, *mark)
            self.end += 1

    @rule(number=which, crash=st.booleans())
    def end_save(self, number: int, crash: bool) -> None:
        bolt = self.bolts[number]
        if bolt.saving is None:
            return
        (position, data, is_whole), bolt.saving = bolt.saving, None
        fenced = self.head.owner != bolt.owner
        if not fenced:
            assert position >= self.head.position, "snapshots never go back"
            self.head = Head(position, [data] if is_whole else [*self.head.parts, data], bolt.owner)
        if fenced or crash:
            self.restart_bolt(number)
        else:
            self.do(bolt, bolt.partition.saved(position, self.later()))

    @rule(number=which)
    def save(self, number: int) -> None:
        """As it mostly goes."""
        self.end_save(number, crash=False)

    @rule(number=which, lost=st.integers(0, 5))
    def restart_bolt(self, number: int, lost: int = 0) -> None:
        """What had arrived is gone with the process."""
        self.queue = self.queue[lost:]
        self.bolts[number] = self.new_bolt()

    @precondition(lambda self: self.outputs)
    @rule(data=st.data(), lose_ack=st.booleans())
    def write(self, data: st.DataObject, lose_ack: bool) -> None:
        for output in data.draw(st.sets(st.sampled_from(sorted(self.outputs)), min_size=1)):
            self.write_output(output, lose_ack)

    @rule()
    def write_all(self) -> None:
        for output in sorted(self.outputs):
            self.write_output(output, lose_ack=False)

    def write_output(self, output: int, lose_ack: bool) -> None:
        tree, rows = self.outputs.pop(output)
        for row in rows:
            place = (type(row), row.first_offset if isinstance(row, ClosedWindow) else row.offset)
            assert self.store.setdefault(place, row) == row, "the same row was put out with other contents"
        if not lose_ack:
            self.acknowledge(tree, output)

    # -- in the end

    def teardown(self) -> None:
        """One of each is left, and everything works."""
        if not hasattr(self, "store"):
            return
        self.queue.clear()
        self.restart_spout(0, 0)
        self.restart_bolt(0)
        for _ in range(5):
            self.settle()
        progress = self.spouts[0].progress
        assert self.committed == self.end, "it must come to an end"
        assert progress.committable == progress.position
        closed = [row for row in self.store.values() if isinstance(row, ClosedWindow)]
        anomalies = [row for row in self.store.values() if isinstance(row, Anomaly)]
        reference = reference_of(self.log, self.window, self.judgement)
        assert by_place([*closed]) == by_place([*reference.windows])
        assert by_place([*anomalies]) == by_place([*reference.anomalies])

    def settle(self) -> None:
        """Let all that is under way arrive, and what was lost be given up."""
        while self.spouts[0].progress.position < self.end:
            self.read(0, 7)
        for tree, batch in self.queue:
            self.receive(0, batch, tree)
        self.queue.clear()
        self.save(0)
        self.write_all()
        self.commit(0)
        for tree in sorted(self.trees):
            self.give_up(tree)


TestWorld = World.TestCase
TestWorld.settings = settings(max_examples=500, stateful_step_count=60, deadline=None)


class Script(World):
    """The same world, told what happens; windows of 10 ms, and the clock closes them as they end."""

    def __init__(self) -> None:
        super().__init__()
        self.begin(Window(size_ms=10, idle_ms=0), Judge())

    def arrive(self, number: int) -> None:
        """What is on its way gets to a bolt."""
        for tree, batch in self.queue:
            self.receive(number, batch, tree)
        self.queue.clear()


def test_a_zombie_that_reads_on_puts_out_what_its_successor_does() -> None:
    """One has the clock close a window, the other one gets to read more of it: the window has one content."""
    world = Script()
    world.produce([(0, "a", 0, 1.0), (0, "a", 1, 2.0)])
    for process in (0, 1):
        world.read(process, 2)
        world.arrive(process)
    world.tick(1, 1, 100)
    world.produce([(0, "a", 1, 3.0), (0, "a", 50, 1.0)])
    world.write_clock(1, 1)
    for process in (0, 1):
        world.read(process, 9)
        world.arrive(process)
    world.write_all()
    assert [(row.count, row.closed_by) for row in world.store.values() if isinstance(row, ClosedWindow)] == [
        (3, "data")
    ]
    world.teardown()


def test_of_two_that_loaded_the_same_snapshot_the_first_can_not_save() -> None:
    world = Script()
    world.produce([(0, "a", 0, 1.0)])
    for process in (0, 1):
        world.read(process, 1)
        world.arrive(process)
    first = world.bolts[0]
    world.save(0)
    assert world.bolts[0] is not first, "it has lost its partition, and has ended"
    assert world.head.position == 0
    world.teardown()


def test_one_that_was_overtaken_does_not_take_itself_for_one_whose_snapshot_is_lost() -> None:
    world = Script()
    world.produce([(0, "a", 0, 1.0)])
    world.read(0, 1)
    world.arrive(0)
    world.restart_bolt(1)
    world.produce([(0, "a", 1, 2.0), (0, "a", 50, 3.0)])
    world.read(1, 9)
    world.arrive(1)
    world.save(1)
    world.write_all()
    world.commit(1)
    world.restart_spout(0, 0)
    world.produce([(0, "a", 50, 1.0)])
    world.read(0, 9)
    world.arrive(0)  # applied up to 1, of which 3 are committed
    world.teardown()


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_clock_record_says_nothing_of_a_series_that_its_writer_had_not_heard(position: int) -> None:
    log: Log = {0: Reading("a", 0, 1.0), 1: Reading("a", 1, 2.0), 5: ClockMark(5, position, {"a": 0})}
    machine = PartitionWindows(Window(size_ms=10))
    batch = batch_of(log, 0, 6)
    machine.apply(batch)
    assert [row.closed_at for row in machine.closed_by(batch)] == ([5] if position == 2 else [])
