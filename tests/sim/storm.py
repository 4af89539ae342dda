"""A simulated Storm around the real spout and bolts: routes, losses, acknowledgements, time-outs, processes that die.

What is simulated is Storm's side of the multilang protocol: a component is told commands and tuples through pystorm,
and what it sends is taken from it as messages. Whatever makes Storm's ShellBolt throw breaks a promise here, too.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from pystorm.component import Tuple

from oda.core.machine import OvertakenError
from oda.stores.background import BackgroundWriter, FatalError
from oda.world import World
from sim.events import START, Events
from sim.stores import BrokenPromiseError

Options = dict[str, Any]
Wire = Callable[[Any], None]
"""Gives a component what it takes from outside."""


@dataclass(frozen=True)
class Component:
    """One component of the graph.

    Attributes:
        inputs: (component, stream), each grouped by its first field, the partition.
    """

    name: str
    make: Any
    inputs: frozenset[tuple[str, str]]
    executors: int
    ticks: bool

    @property
    def is_spout(self) -> bool:
        return not self.inputs


@dataclass
class Tree:
    """One emission of the spout, with all that hangs on it and is not acknowledged."""

    id: str
    spout: Process
    edges: set[int] = field(default_factory=set)


class Log:
    """A component's logger: warnings go to the timeline."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def warning(self, message: str, *values: Any) -> None:
        text = message % values
        self._process.note(text)
        if "no snapshot" in text:
            raise BrokenPromiseError(text)

    error = warning

    def info(self, *_: Any) -> None:
        """Of no interest."""


class Thread:
    """A component's background writer, step by step; its process may die, or sleep, between any two."""

    def __init__(self, process: Process, writer: BackgroundWriter[Any]) -> None:
        self._process, self._writer = process, writer
        self._is_open = False
        self._then(self._attempt)

    def _then(self, step: Callable[[], None], most: float = 0.1) -> None:
        self._process.soon(most, step)

    def _look(self) -> None:
        if self._writer.take():
            self._then(self._attempt)
        else:
            self._then(self._look, 0.5)

    def _attempt(self) -> None:
        try:
            self._writer.attempt()
        except BrokenPromiseError:
            raise
        except FatalError as error:
            self._process.die(f"ends: {error}")
        except Exception as error:
            self._process.note(str(error))
            self._then(self._attempt, 2.0)
        else:
            self._then(self._finish if self._is_open else self._look, self._process.topology.slow)
            self._is_open = True

    def _finish(self) -> None:
        self._process.call(self._writer.finish)
        self._then(self._look)


class Process:
    """One process of one component.

    Attributes:
        held: by id the tuples that were delivered to it and are neither acknowledged nor failed, with their trees.
    """

    def __init__(self, topology: Topology, component: Component, index: int, worker: int, routes: Routes) -> None:
        self.topology, self.component, self.index, self.worker, self.routes = topology, component, index, worker, routes
        self.events = topology.events
        self.name = f"{topology.name}.{component.name}-{index}#{next(topology.numbers)}"
        self.is_alive = True
        self.sleeps_until = 0.0
        self.held: dict[str, tuple[int, list[Tree]]] = {}
        self.pending = 0
        drift = self.events.random.choice((0.0, 0.0, -300.0, 300.0))
        self._links: dict[tuple[str, str], float] = {}
        self.code = code = component.make(input_stream=io.BytesIO(), output_stream=io.BytesIO())
        code.logger, code.send_message = Log(self), self._sent
        code.world = World(
            monotonic=lambda: self.events.now,
            wall=lambda: START + self.events.now + drift,
            sleep=lambda _: None,
            start=lambda writer: Thread(self, writer),
            draw=lambda: self.events.random.getrandbits(62),
        )
        topology.wire(code)
        self.call(lambda: code.initialize(topology.options, topology.context(component, index)))
        self.soon(0.2, self._next if component.is_spout else self._tick)

    def note(self, text: str) -> None:
        self.events.note(f"{self.name}: {text}")

    def soon(self, most: float, step: Callable[[], None]) -> None:
        """Let this process do something, if it is alive then, and when it is awake."""
        self.events.soon(most, lambda: self._when_awake(step))

    def _when_awake(self, step: Callable[[], None]) -> None:
        if self.is_alive and self.events.now < self.sleeps_until:
            self.events.after(self.sleeps_until - self.events.now, lambda: self._when_awake(step))
        elif self.is_alive:
            step()

    def call(self, step: Callable[[], None]) -> None:
        """Run the component's own code; its errors end the process, as pystorm's loop does."""
        try:
            step()
        except OvertakenError as error:
            self.die(f"ends: {error}")

    def die(self, why: str) -> None:
        """This process is gone with all that it held; Storm starts another one."""
        if self.is_alive:
            self.note(why)
            self.is_alive = False
            self.topology.died(self)

    def command(self, **command: Any) -> None:
        """To a spout."""
        self.code.read_command = lambda: command
        self.call(self.code._run)

    def _next(self) -> None:
        if self.pending < self.topology.options["topology.max.spout.pending"]:
            self.command(command="next")
        self.soon(0.5, self._next)

    def _tick(self) -> None:
        if self.component.ticks:
            self._run(Tuple(self._held([]), "__system", "__tick", -1, (1,)))
            self.soon(2.0, self._tick)

    def deliver(self, source: Process, stream: str, values: tuple[Any, ...], edges: list[tuple[Tree, int]]) -> None:
        """A tuple arrives behind those that came before it from there, on the same stream."""
        last = self._links.get((source.name, stream), 0.0)
        due = max(last, self.events.now + self.events.random.random() * self.topology.delay)
        self._links[source.name, stream] = due
        trees = [tree for tree, _ in edges]
        number = edges[0][1]

        def arrive() -> None:
            name = source.component.name
            self._run(Tuple(self._held(trees, number), name, stream, source.index, values))

        self.events.after(due - self.events.now, lambda: self._when_awake(arrive))

    def _held(self, trees: list[Tree], number: int | None = None) -> str:
        number = next(self.topology.numbers) if number is None else number
        self.held[str(number)] = number, trees
        return str(number)

    def _run(self, tup: Tuple) -> None:
        self.code.read_tuple = lambda: tup
        self.call(self.code._run)

    # -- what it sends

    def _sent(self, message: Mapping[str, Any]) -> None:
        if not self.is_alive:
            return
        match message["command"]:
            case "emit":
                self._emitted(message)
            case "ack":
                number, trees = self._let_go(message["id"])
                for tree in trees:
                    self.topology.done(tree, number)
            case "fail":
                for tree in self._let_go(message["id"])[1]:
                    self.topology.failed(tree)
            case "error":
                self.note(f"tells: {message['msg']}")

    def _let_go(self, id: str) -> tuple[int, list[Tree]]:
        if id not in self.held:
            raise BrokenPromiseError(f"{self.name}: acknowledges or fails {id}, which it does not hold")
        return self.held.pop(id)

    def _emitted(self, message: Mapping[str, Any]) -> None:
        stream, values = message["stream"], tuple(message["tuple"])
        if self.component.is_spout:
            trees = [self.topology.planted(self, message["id"])]
        else:
            gone = [anchor for anchor in message["anchors"] if anchor not in self.held]
            if gone:
                raise BrokenPromiseError(f"{self.name}: anchors onto {gone}, which it does not hold")
            held = (self.held[anchor][1] for anchor in message["anchors"])
            trees = list({id(tree): tree for some in held for tree in some}.values())
        for target in self.routes.targets(self, stream, values[0]):
            edge = next(self.topology.numbers)
            for tree in trees:
                tree.edges.add(edge)
            if not self.events.chance(self.topology.loss):
                target.deliver(self, stream, values, [(tree, edge) for tree in trees])


class Routes:
    """Which process is which task's, as a worker knows."""

    def __init__(self, components: list[Component]) -> None:
        self._components = components
        self.processes: dict[tuple[str, int], Process] = {}

    def targets(self, source: Process, stream: str, partition: int) -> Iterator[Process]:
        """As Storm's fields grouping chooses."""
        for component in self._components:
            if (source.component.name, stream) in component.inputs:
                yield self.processes[component.name, (31 + partition) % component.executors]

    def copy(self) -> Routes:
        routes = Routes(self._components)
        routes.processes = dict(self.processes)
        return routes


class Topology:
    """A topology that runs: its processes, those that should be dead included, and its acker.

    Attributes:
        delay, loss: seconds that a tuple takes at most, and how probable it is that it gets lost.
        slow: seconds that a store takes at most for a write.
    """

    def __init__(
        self, events: Events, name: str, components: list[Component], workers: int, options: Options, wire: Wire
    ) -> None:
        self.events, self.name, self.options, self.wire = events, name, options, wire
        self.numbers = count()
        self.delay, self.loss, self.slow = 0.05, 0.0, 0.1
        self.is_up = True
        self._components, self._workers = components, workers
        self._timeout = options["topology.message.timeout.secs"]
        self._tasks = {
            (component.name, index): None for component in components for index in range(component.executors)
        }
        self.routes = Routes(components)
        self.processes: list[Process] = []
        for component in components:
            for index in range(component.executors):
                self._start(component, index)

    def context(self, component: Component, index: int) -> dict[str, Any]:
        numbers = {task: number for number, task in enumerate(self._tasks)}
        return {
            "task->component": {str(number): name for (name, _), number in numbers.items()},
            "componentid": component.name,
            "taskid": numbers[component.name, index],
        }

    def _start(self, component: Component, index: int) -> None:
        worker = index % self._workers
        process = Process(self, component, index, worker, self.routes)
        self.routes.processes[component.name, index] = process
        self.processes.append(process)

    def died(self, process: Process) -> None:
        """Storm starts another process, unless this one was not its own any more."""
        self.processes.remove(process)
        if self.routes.processes[process.component.name, process.index] is process:
            self.events.after(
                0.5 + self.events.random.random() * 2, lambda: self._start_again(process.component, process.index)
            )

    def _start_again(self, component: Component, index: int) -> None:
        if self.is_up and not self.routes.processes[component.name, index].is_alive:
            self._start(component, index)

    def kill(self) -> None:
        """All of it, for good."""
        self.is_up = False
        for process in list(self.processes):
            process.die("killed")

    def split(self, worker: int) -> list[Process]:
        """Storm takes a worker for dead, which is not, and starts it elsewhere; returns the zombies."""
        zombies = [
            process for process in self.routes.processes.values() if process.worker == worker and process.is_alive
        ]
        routes = self.routes.copy()
        for process in zombies:
            process.routes = routes
            self._start(process.component, process.index)
        return zombies

    # -- the acker

    def planted(self, spout: Process, id: str) -> Tree:
        tree = Tree(id, spout)
        spout.pending += 1
        # Storm looks once in a time-out for what has been under way for longer.
        self.events.after(self._timeout * (1 + self.events.random.random()), lambda: self.failed(tree))
        return tree

    def done(self, tree: Tree, edge: int) -> None:
        """A tuple is acknowledged; what it has led to is in the tree by now."""
        tree.edges.discard(edge)
        if not tree.edges:
            self._end(tree, "ack")

    def failed(self, tree: Tree) -> None:
        self._end(tree, "fail")

    def _end(self, tree: Tree, command: str) -> None:
        if tree.id:
            id, tree.id = tree.id, ""
            tree.spout.pending -= 1
            tree.spout.soon(self.delay, lambda: tree.spout.command(command=command, id=id))
