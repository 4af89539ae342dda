"""Properties: whatever happens on the way, the stores end up with what the reference says.

`test_any_cut` is about numbers: any cut of any log into batches gives the reference's windows and
anomalies. `World` is about failure: it plays Storm, Kafka and Cassandra around the core, delivers
late, twice, out of order or never, crashes the spout and the bolt anywhere, and then lets it settle.
"""

from __future__ import annotations

from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from oda.audit.reference import Reference
from oda.core import snapshot
from oda.core.baselines import Baselines, judge
from oda.core.batch import Batch, Readings
from oda.core.partition import Ack, Action, Emit, Fail, Partition
from oda.core.progress import Progress
from oda.core.reading import Reading
from oda.core.rows import Anomaly, ClosedWindow
from oda.core.windows import PartitionWindows
from oda.settings import Judge, Window

Row = ClosedWindow | Anomaly
Log = dict[int, Reading]  # by offset; an offset that is not there is a gap or was rejected

rules = st.builds(
    Window, size_ms=st.sampled_from([1, 10]), lateness_ms=st.sampled_from([0, 3, 25]), idle_ms=st.sampled_from([0, 5])
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
steps = st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abc"), st.integers(-15, 12), values), max_size=30)


def extend(log: Log, end: int, now: int, added: list[tuple[int, str, int, float]]) -> tuple[int, int]:
    """Add records to a log: (gap before it, series, step in time, value); returns its end and newest time."""
    for gap, series, step, value in added:
        now = max(0, now + step)
        log[end + gap] = Reading(series, now, value)
        end += gap + 1
    return end, now


def batch_of(log: Log, start: int, end: int, *, epoch: int = 1, committed: int = 0, clock: int = 0) -> Batch:
    offsets = [offset for offset in log if start <= offset < end]
    return Batch(0, epoch, 0, start, end, committed, clock, Readings.of(offsets, [log[offset] for offset in offsets]))


def reference_of(log: Log, window: Window, judgement: Judge, closed: list[ClosedWindow]) -> Reference:
    """One pass over the log, given which of the closed windows the clock closed."""
    reference = Reference(window, judgement)
    pending = sorted((row.closed_at, row.start, row.series) for row in closed if row.closed_by == "clock")
    for offset, reading in log.items():
        while pending and pending[0][0] <= offset:
            closed_at, start, series = pending.pop(0)
            reference.clock_close(series, start, closed_at)
        reference.read(offset, reading)
    for closed_at, start, series in pending:
        reference.clock_close(series, start, closed_at)
    return reference


def by_place(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row.first_offset if isinstance(row, ClosedWindow) else row.offset)


@given(steps, st.lists(st.integers(0, 120), max_size=12), rules, judgements)
def test_any_cut(added: list[tuple[int, str, int, float]], cuts: list[int], window: Window, judgement: Judge) -> None:
    log: Log = {}
    end, _ = extend(log, 0, 0, added)
    ends = sorted({min(cut, end) for cut in cuts} | {end})
    machine = PartitionWindows(window)
    closed: list[ClosedWindow] = []
    anomalies: list[Anomaly] = []
    for start, stop in zip([0, *ends], ends, strict=False):
        batch = batch_of(log, start, stop)
        machine.apply(batch)
        closed += machine.closed_by(batch)
        anomalies += judge(batch.readings, machine.baselines(batch), judgement)
    reference = reference_of(log, window, judgement, [])
    assert by_place([*closed]) == by_place([*reference.windows])
    assert anomalies == reference.anomalies


def test_a_baseline_that_begins_after_the_last_reading_applies_to_none() -> None:
    """The clock may close a window at an offset behind a batch's last reading, among rejected messages."""
    readings = Readings.of([0, 3], [Reading("a", 0, 5.0), Reading("b", 0, 5.0)])

    def closed(series: str, at: int, mean: float) -> ClosedWindow:
        return ClosedWindow(series, 0, 10, 2, mean, 0.0, 0, 0, at, "clock", 0)

    baselines = Baselines.of([(0, 1, closed("a", 1, 5.0)), (0, 8, closed("a", 8, 5.0)), (1, 3, closed("b", 3, 1.0))])
    assert [anomaly.offset for anomaly in judge(readings, baselines, Judge())] == [3]


def test_a_replay_is_not_acknowledged_before_its_outputs_that_wait_for_a_snapshot() -> None:
    partition = Partition(PartitionWindows(Window(size_ms=10, idle_ms=0)))
    log = {0: Reading("a", 0, 1.0)}
    first = batch_of(log, 0, 1)
    partition.receive(first, "first")
    partition.saved(partition.windows.version)
    partition.receive(batch_of(log, 1, 1, clock=1_000), "clock")
    assert partition.receive(first, "replay") == []
    released = [(type(action), action.handle) for action in partition.saved(partition.windows.version)]
    assert released.index((Emit, "replay")) < released.index((Ack, "replay"))


class World(RuleBasedStateMachine):
    """One partition, from the log to a store.

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
        self.numbers = count()
        self.trees: dict[int, set[int | str]] = {}
        self.batch_of_tree: dict[int, tuple[int, int]] = {}
        self.queue: list[tuple[int, Batch]] = []
        self.outputs: dict[int, tuple[int, list[Row]]] = {}
        # The spout and the bolt
        self.clock, self.epoch = 1_000, 0
        self.saved = snapshot.encode(PartitionWindows(window))
        self.saving: tuple[int, bytes] | None = None
        self.restart_spout()
        self.restart_bolt()
        # The store
        self.store: dict[tuple[type[Row], int], Row] = {}

    # -- what the spout does

    @rule(added=steps)
    def produce(self, added: list[tuple[int, str, int, float]]) -> None:
        self.end, self.now = extend(self.log, self.end, self.now, added)

    @rule(most=st.integers(1, 20))
    def read(self, most: int) -> None:
        start = self.progress.position
        if start < self.end:
            self.emit_new(start, min(self.end, start + most))

    @precondition(lambda self: self.progress.position == self.end)
    @rule(later=st.integers(0, 40))
    def tick(self, later: int) -> None:
        """A clock batch tells of a moment at which all that the log held had been read."""
        self.clock += later
        self.emit_new(self.progress.position, self.progress.position)

    @rule()
    def commit(self) -> None:
        self.committed = self.progress.committed = self.progress.committable

    @rule()
    def restart_spout(self) -> None:
        self.epoch += 1
        self.progress = Progress(self.committed)

    def emit_new(self, start: int, end: int) -> None:
        batch = batch_of(self.log, start, end, epoch=self.epoch, committed=self.progress.committed, clock=self.clock)
        self.emit(self.progress.add(batch, []), batch)

    def emit(self, number: int, batch: Batch) -> None:
        tree = next(self.numbers)
        self.trees[tree] = {"bolt"}
        self.batch_of_tree[tree] = (self.epoch, number)
        self.queue.append((tree, batch))

    # -- what Storm does

    @precondition(lambda self: self.trees)
    @rule(data=st.data())
    def time_out(self, data: st.DataObject) -> None:
        for tree in data.draw(st.lists(st.sampled_from(sorted(self.trees)), min_size=1, max_size=4, unique=True)):
            self.give_up(tree)

    def give_up(self, tree: int) -> None:
        epoch, number = self.batch_of_tree[tree]
        if epoch == self.epoch and (sent := self.progress.fail(number)) is not None:
            self.emit(number, sent.batch)

    @precondition(lambda self: self.queue)
    @rule(data=st.data(), most=st.integers(1, 6), lose=st.booleans())
    def deliver(self, data: st.DataObject, most: int, lose: bool) -> None:
        """Batches of one run of the spout arrive in the order they were emitted in, if they arrive."""
        epoch = data.draw(st.sampled_from(sorted({batch.epoch for _, batch in self.queue})))
        for tree, batch in [item for item in self.queue if item[1].epoch == epoch][:most]:
            self.queue = [item for item in self.queue if item[0] != tree]
            if not lose:
                self.do(self.bolt.receive(batch, tree))

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
            if epoch == self.epoch:
                self.progress.ack(number, "readings")

    # -- what the bolts do

    def do(self, actions: list[Action]) -> None:
        for action in actions:
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

    @precondition(lambda self: self.saving is None)
    @rule()
    def begin_save(self) -> None:
        self.saving = (self.bolt.windows.version, snapshot.encode(self.bolt.windows))

    @precondition(lambda self: self.saving is not None)
    @rule(crash=st.booleans())
    def end_save(self, crash: bool) -> None:
        (version, self.saved), self.saving = self.saving, None
        if crash:
            self.restart_bolt()
        else:
            self.do(self.bolt.saved(version))

    @rule(arrived=st.integers(0, 5))
    def restart_bolt(self, arrived: int = 0) -> None:
        """What had arrived is gone with the process, and all that an earlier run of the spout had sent."""
        self.queue = [(tree, batch) for tree, batch in self.queue if batch.epoch == self.epoch][arrived:]
        self.saving = None
        self.bolt = Partition(snapshot.decode(self.saved, self.window))

    @precondition(lambda self: self.outputs)
    @rule(data=st.data(), lose_ack=st.booleans())
    def write(self, data: st.DataObject, lose_ack: bool) -> None:
        for output in data.draw(st.sets(st.sampled_from(sorted(self.outputs)), min_size=1)):
            self.write_output(output, lose_ack)

    def write_output(self, output: int, lose_ack: bool) -> None:
        tree, rows = self.outputs.pop(output)
        for row in rows:
            place = (type(row), row.first_offset if isinstance(row, ClosedWindow) else row.offset)
            assert self.store.setdefault(place, row) == row, "the same row was put out with other contents"
        if not lose_ack:
            self.acknowledge(tree, output)

    # -- in the end

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        for _ in range(5):
            self.settle()
        assert self.committed == self.end, "it must come to an end"
        assert self.progress.committable == self.progress.position
        closed = [row for row in self.store.values() if isinstance(row, ClosedWindow)]
        anomalies = [row for row in self.store.values() if isinstance(row, Anomaly)]
        reference = reference_of(self.log, self.window, self.judgement, closed)
        assert by_place([*closed]) == by_place([*reference.windows])
        assert by_place([*anomalies]) == by_place([*reference.anomalies])

    def settle(self) -> None:
        """Let all that is under way arrive, and what was lost be given up."""
        while self.progress.position < self.end:
            self.read(7)
        self.tick(0)
        for tree, batch in self.queue:
            self.do(self.bolt.receive(batch, tree))
        self.queue.clear()
        if self.saving is None:
            self.begin_save()
        self.end_save(crash=False)
        for output in sorted(self.outputs):
            self.write_output(output, lose_ack=False)
        self.commit()
        for tree in sorted(self.trees):
            self.give_up(tree)


TestWorld = World.TestCase
TestWorld.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)


class Script(World):
    """The same world, told what happens; windows of 10 ms, and the clock closes them as they end."""

    def __init__(self) -> None:
        super().__init__()
        self.begin(Window(size_ms=10, idle_ms=0), Judge())

    def arrive(self) -> None:
        for tree, batch in self.queue:
            self.do(self.bolt.receive(batch, tree))
        self.queue.clear()

    def save(self) -> None:
        self.begin_save()
        self.end_save(crash=False)

    def write_all(self) -> None:
        for output in sorted(self.outputs):
            self.write_output(output, lose_ack=False)


def test_what_the_clock_closed_is_not_lost_with_a_run_of_the_spout_and_the_next_ones_first_batch() -> None:
    world = Script()
    world.produce([(0, "a", 0, 1.0), (0, "a", 1, 2.0)])
    world.read(2)
    world.arrive()
    world.save()
    world.write_all()
    world.commit()
    world.tick(100)
    world.arrive()
    world.save()
    world.outputs.clear()
    world.restart_spout()
    world.clock += 500
    world.produce([(0, "a", 50, 1.0)])
    world.read(1)
    world.arrive()
    world.save()
    world.outputs.clear()
    world.teardown()


def test_a_clock_batch_that_its_replay_puts_behind_readings_does_not_change_their_results() -> None:
    world = Script()
    world.produce([(0, "a", 0, 1.0)])
    world.read(1)
    world.arrive()
    world.save()
    world.write_all()
    world.tick(100)
    clock = max(world.trees)
    world.produce([(0, "a", 1, 2.0), (0, "a", 50, 1.0)])
    world.read(2)
    readings = max(world.trees)
    world.queue.clear()
    world.give_up(readings)
    world.arrive()
    world.write_all()
    world.restart_bolt()
    world.give_up(clock)
    world.arrive()
    world.save()
    world.teardown()
