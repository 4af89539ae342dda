"""One run from one seed: load and faults for a while, then peace, and in the end what the stores should hold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from zlib import crc32

from oda.core import clock, rulemark
from oda.core.rules.match import digest
from oda.settings import Settings
from oda.stores.catalogue import STORES
from sim.events import START, Events
from sim.expected import Expected
from sim.graph import components
from sim.members import DerivedWriter, KafkaClient
from sim.rules import changed, some_rules
from sim.stores import BrokenPromiseError, Client, Heads, Kept, Snapshots
from sim.storm import Process, Topology
from sim.topic import ClockWriter, Rules, Source, Topic

PEACE = 400.0
"""Seconds until which all must be done when nothing fails any more."""


class Simulation:
    """The whole system under one seed.

    Attributes:
        events: with the timeline.
    """

    def __init__(self, seed: int) -> None:
        self.events = events = Events(seed)
        random = events.random
        self.options: dict[str, Any] = {
            "oda.kafka.brokers": "a:1",
            "oda.cassandra.hosts": "a:1",
            "oda.elasticsearch.urls": "http://a:1",
            "oda.window.size_ms": random.choice((500, 2000)),
            "oda.window.lateness_ms": random.choice((0, 0, 300, 1500)),
            "oda.window.idle_ms": random.choice((0, 1000)),
            "oda.window.expire_ms": random.choice((4000, 86_400_000)),
            "oda.judge.sigmas": random.choice((1.0, 2.0)),
            "oda.readings.backlog": random.choice((50, 100_000)),
            "oda.snapshots.interval_ms": random.choice((300, 1000)),
            "topology.message.timeout.secs": random.choice((4, 10)),
            "topology.max.spout.pending": random.choice((5, 100)),
        }
        self.settings = Settings.from_options(self.options)
        self.topic = Topic(events, random.randint(1, 3))
        self.members = Topic(events, random.randint(1, 2))
        self.heads = Heads(events)
        self.stores = {store.name: Kept(events, store.name) for store in STORES}
        self.workers = random.choice((1, 2))
        executors = {"readings": random.choice((1, 2)), "windows": random.choice((1, 2))}
        self.components = [replace(one, executors=executors.get(one.name, 1)) for one in components()]
        self.topology = self._new_topology("t")
        self.others: list[Topology] = []
        self.zombies: list[Process] = []
        self.is_peace = False
        self.was_shared = False
        self.series = [f"s{number}" for number in range(random.randint(1, 6))]
        self.burst = random.choice((3, 12))

    def _new_topology(self, name: str) -> Topology:
        return Topology(self.events, name, self.components, self.workers, self.options, self._wire)

    def _wire(self, code: Any) -> None:
        """What a component takes from outside is simulated."""
        kind = type(code).__name__
        if kind == "ReadingsSpout":
            most = self.events.random.choice((2, 20))
            code.open_source = lambda _settings, _topic, task, tasks, _log: Source(self.topic, task, tasks, most)
            code.open_rules = lambda *_: Rules(self.topic, self.settings)
        elif kind == "MembersSpout":
            most = self.events.random.choice((2, 20))
            code.open_source = lambda _settings, _topic, task, tasks, _log: Source(self.members, task, tasks, most)
        elif kind in ("WindowBolt", "AnomalyBolt", "GroupsBolt"):
            code.open_snapshots = lambda _, machine: Snapshots(self.heads, machine)
            code.open_clock = lambda _: ClockWriter(self.topic, self.settings)
            code.open_derived = lambda _: DerivedWriter(self.topic, self.settings)
        elif kind == "kafka":
            code.open = partial(KafkaClient, self.stores[kind], self.settings, self.topic, self.members)
        elif kind in self.stores:
            code.open = partial(Client, self.stores[kind])

    def run(self) -> None:
        """Raises BrokenPromiseError when something happens that must not, or too little."""
        self.topic.committing = partial(self._check_commit, ("windows", "judgement"))
        self.members.committing = partial(self._check_commit, ("groups",))
        until = self.events.random.uniform(8, 22)
        if self.events.chance(0.5):
            self._apply_rules()
        self._produce()
        self._strike()
        self.events.run(until)
        self._make_peace()
        while self.events.now < until + PEACE:
            self.events.run(self.events.now + 5)
            if expected := self._expected():
                self._check(expected)
                return
        told = f"{self.members.committed} of {self.members.ends} of the log of members"
        raise BrokenPromiseError(f"not done: committed {self.topic.committed} of {self.topic.ends}, {told}")

    # -- load

    def _produce(self) -> None:
        random = self.events.random
        if self.is_peace:
            return
        for _ in range(random.randint(1, self.burst)):
            name = random.choice(self.series)
            partition = crc32(name.encode()) % len(self.topic.records)
            gap = random.choice((0, 0, 0, 0, 1, 3))
            if random.random() < 0.05:
                self.topic.append(partition, *self._not_a_reading(), gap=gap)
                continue
            ahead = 3600 if random.random() < 0.01 else 0.0
            time = int((START + self.events.now - random.expovariate(2) + ahead) * 1000)
            value = random.choice((random.gauss(5, 1), 5.0, 100.0 * random.random()))
            message = {"series": name, "time": time, "value": value}
            self.topic.append(partition, name.encode(), json.dumps(message).encode(), gap=gap)
        if random.random() < 0.04:  # one falls silent, or comes, perhaps again
            name = f"s{random.randrange(8)}"
            if name not in self.series:
                self.series.append(name)
            elif len(self.series) > 1:
                self.series.remove(name)
        self.events.soon(0.8, self._produce)

    def _not_a_reading(self) -> tuple[bytes | None, bytes | None]:
        now = int((START + self.events.now) * 1000)
        others = next(clock.encode("another group", 0, {"s0": now}))
        return self.events.random.choice(((None, b"?"), (b"k", None), (clock.KEY, others), (clock.KEY, b"{}")))

    # -- faults

    def _strike(self) -> None:
        if self.is_peace:
            return
        faults = (
            self._kill, self._kill_worker, self._pause, self._split, self._submit_twice, self._away, self._refuse,
            self._slow, self._lose, self._set_back, self._add_partition, self._apply_rules,
        )  # fmt: skip
        self.events.random.choice(faults)()
        self.events.soon(6.0, self._strike)

    def _some_process(self) -> Process | None:
        alive = [process for topology in (self.topology, *self.others) for process in topology.processes]
        return self.events.random.choice(alive) if alive else None

    def _kill(self) -> None:
        if process := self._some_process():
            process.die("is killed")

    def _kill_worker(self) -> None:
        if process := self._some_process():
            for other in list(process.topology.processes):
                if other.worker == process.worker and other.routes is process.routes:
                    other.die("is killed with its worker")

    def _pause(self) -> None:
        if process := self._some_process():
            process.note("sleeps")
            process.sleeps_until = self.events.now + self.events.random.uniform(0.1, 15)

    def _split(self) -> None:
        worker = self.events.random.randrange(self.workers)
        zombies = self.topology.split(worker)
        self.events.note(f"worker {worker} is taken for dead, and is not")
        sleep = self.events.random.choice((0.0, 0.0, 5.0))
        for zombie in zombies:
            zombie.sleeps_until = self.events.now + sleep
        self.zombies += zombies
        self.was_shared = True
        self.events.soon(20.0, lambda: self._bury(zombies))

    def _bury(self, zombies: list[Process]) -> None:
        for zombie in zombies:
            zombie.die("dies at last")

    def _submit_twice(self) -> None:
        if not self.others:
            self.events.note("the topology is submitted a second time")
            self.others.append(self._new_topology("second"))
            self.was_shared = True
            self.events.soon(15.0, self._kill_others)

    def _kill_others(self) -> None:
        for other in self.others:
            other.kill()
        self.others.clear()

    def _away(self) -> None:
        server = self.events.random.choice((self.topic, self.members, self.heads, *self.stores.values()))
        server.away_until = self.events.now + self.events.random.uniform(0.5, 15)
        self.events.note(f"{getattr(server, 'name', type(server).__name__)} is away until {server.away_until:.1f}")

    def _refuse(self) -> None:
        store = self.events.random.choice(list(self.stores.values()))
        store.mended_at = self.events.now + self.events.random.uniform(0.5, 15)
        self.events.note(f"{store.name} refuses what it is given until {store.mended_at:.1f}")

    def _slow(self) -> None:
        self.topology.slow = self.events.random.choice((0.1, 3.0))

    def _lose(self) -> None:
        self.topology.loss = self.events.random.choice((0.0, 0.02, 0.2))
        self.topology.delay = self.events.random.choice((0.05, 1.0, 12.0))
        self.events.note(f"tuples take up to {self.topology.delay} s, {self.topology.loss} of them get lost")

    def _set_back(self) -> None:
        """By somebody who has ended the spouts for it: one that runs knows what it has committed."""
        topic = self.events.random.choice((self.topic, self.members))
        partition = self.events.random.choice(list(topic.committed))
        topic.committed[partition] = self.events.random.randint(0, topic.committed[partition])
        self.events.note(f"partition {partition}: committed is set back to {topic.committed[partition]}")
        for topology in (self.topology, *self.others):
            for process in list(topology.processes):
                if process.component.is_spout:
                    process.die("is ended")

    def _add_partition(self) -> None:
        if len(self.topic.records) < 4:
            self.topic.add_partition()
            self.events.note("there is a partition more")

    def _apply_rules(self) -> None:
        """By somebody who dies on the way, is slow, or brings former ones forward again."""
        random, rules = self.events.random, self.topic.rules
        former = max(rules, default=0)
        version = former + random.randint(1, 3)
        rules[version] = changed(random, rules[former]) if rules and random.random() < 0.5 else some_rules(random, 8)
        self.events.note(f"rules of version {version} are applied")
        for partition in self.topic.records:
            delay = random.choice((0.0, 0.0, 0.0, 3.0, 30.0))
            self.events.soon(delay, partial(self._mark, partition, version))

    def _mark(self, partition: int, version: int) -> None:
        rules = self.topic.rules
        for one in (version, self.events.random.choice(list(rules))):
            if self.events.random.random() < 0.9:
                value = rulemark.encode(self.settings.kafka.group, one, digest(rules[one]))
                self.topic.append(partition, rulemark.KEY, value)

    def _make_peace(self) -> None:
        """Everything works, one of each is left; a spout that does not know what a zombie has committed starts anew."""
        self.events.note("nothing fails from now on")
        self.is_peace = True
        self._kill_others()
        self._bury(self.zombies)
        self.topology.loss, self.topology.delay, self.topology.slow = 0.0, 0.05, 0.1
        self.topic.most = self.members.most = 20  # what is left is soon done
        if rules := self.topic.rules:  # groups wait for partitions that do not know of them
            for partition in self.topic.records:
                value = rulemark.encode(self.settings.kafka.group, max(rules), digest(rules[max(rules)]))
                self.topic.append(partition, rulemark.KEY, value)
        for server in (self.topic, self.members, self.heads, *self.stores.values()):
            server.away_until = 0.0
        for store in self.stores.values():
            store.mended_at = min(store.mended_at, self.events.now)
        for process in list(self.topology.processes):
            process.sleeps_until = 0.0
            if process.component.is_spout and self.was_shared:
                process.die("is ended")

    # -- what must hold

    def _check_commit(self, machines: Sequence[str], offsets: dict[int, int]) -> None:
        for partition, offset in offsets.items():
            if offset > self.heads.position(partition, machines):
                raise BrokenPromiseError(f"partition {partition}: {offset} is committed, no snapshot reaches it")

    def _expected(self) -> Expected | None:
        """What is to be stored, once all is committed, and all windows of silent series, and of groups, have closed."""
        if any(topic.committed != topic.ends for topic in (self.topic, self.members)):
            return None
        expected = Expected(self.settings, self.topic.records, self.topic.rules, self.members.records)
        return expected if expected.is_closed else None

    def _check(self, expected: Expected) -> None:
        expected.compare_groups()
        for store in STORES:
            expected.compare(store.name, set(store.streams), self.stores[store.name].rows)
