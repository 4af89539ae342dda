"""Live viewers, without a network."""

import asyncio
import json

from oda.core.batch import Readings
from oda.core.reading import Reading
from oda.serve import push
from oda.serve.push import Hub, Viewer


class Connection:
    """Keeps what is sent; while it is closed nobody takes anything."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.open = asyncio.Event()
        self.open.set()

    async def send_frame(self, message: bytes, _) -> None:
        await self.open.wait()
        self.sent.append(message)

    async def close(self, *, code: int) -> None:
        self.closed = code

    def said(self) -> list[dict]:
        return [json.loads(message) for message in self.sent]


def readings(*rows: tuple[str, float]) -> Readings:
    return Readings.of(range(len(rows)), [Reading(name, 1000 + at, value) for at, (name, value) in enumerate(rows)])


def run(scene) -> None:
    """A scene with a hub, and a way to let viewers come: it is given both."""

    async def play() -> None:
        hub, tasks = Hub(), []

        def come(*names: str) -> tuple[Viewer, Connection]:
            connection = Connection()
            viewer = Viewer(connection)
            hub.add(viewer)
            hub.watch(viewer, frozenset(names))
            tasks.append(asyncio.create_task(viewer.send()))
            return viewer, connection

        await scene(hub, come)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(play())


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_a_viewer_is_sent_what_it_watches_and_all_incidents():
    async def scene(hub, come):
        _, one = come("a")
        _, other = come("b", "c")
        hub.take_readings(3, readings(("a", 1.5), ("b", 2.5), ("a", 3.5), ("d", 0.0)))
        hub.take("windows", "b", {"series": "b"})
        hub.take("anomalies", "d", {"series": "d"})
        hub.take_incident({"series": "d"})
        hub.tick()
        await settle()
        assert one.said() == [
            {"readings": {"a": [[1000, 1.5, 3, 0], [1002, 3.5, 3, 2]]}, "incidents": [{"series": "d"}]}
        ]
        assert other.said() == [
            {"readings": {"b": [[1001, 2.5, 3, 1]]}, "windows": [{"series": "b"}], "incidents": [{"series": "d"}]}
        ]
        hub.tick()
        await settle()
        assert len(one.sent) == len(other.sent) == 1  # nothing new, nothing said

    run(scene)


def test_what_several_watch_is_joined_once():
    async def scene(hub, come):
        viewers = [come("a", "b") for _ in range(3)]
        hub.take_readings(0, readings(("a", 1.0), ("b", 2.0)))
        hub.tick()
        await settle()
        sent = [connection.sent[0] for _, connection in viewers]
        assert sent[0] is sent[1] is sent[2]

    run(scene)


def test_a_hostile_name_stays_a_text():
    name = '</script><img src=x onerror=alert(1)>"\\\u2028'

    async def scene(hub, come):
        _, one = come(name)
        hub.take_readings(0, readings((name, 1.0)))
        hub.tick()
        await settle()
        assert one.said() == [{"readings": {name: [[1000, 1.0, 0, 0]]}}]

    run(scene)


def test_a_slow_viewer_is_told_of_one_gap_and_holds_nobody_up(monkeypatch):
    monkeypatch.setattr(push, "QUEUE_BYTES", 1_000)

    async def scene(hub, come):
        slow, stuck = come("a")
        _, quick = come("a")
        stuck.open.clear()
        for number in range(100):
            hub.take_readings(0, readings(("a", float(number))))
            hub.tick()
            await settle()
        assert len(quick.sent) == 100
        assert slow._size <= 1_000
        assert slow.dropped > 0
        stuck.open.set()
        await settle()
        said = stuck.said()
        assert said[0] == {"readings": {"a": [[1000, 0.0, 0, 0]]}}  # was on its way
        assert said.count({"gap": True}) == 1
        assert said[1] == {"gap": True}
        assert said[-1] == {"readings": {"a": [[1000, 99.0, 0, 0]]}}

    run(scene)


def test_too_many_readings_in_one_tick_are_a_gap(monkeypatch):
    monkeypatch.setattr(push, "_MOST_READINGS", 3)

    async def scene(hub, come):
        _, one = come("a")
        _, other = come("b")
        hub.take_readings(0, readings(*[("a", 1.0)] * 4, ("b", 1.0)))
        hub.tick()
        await settle()
        assert one.said() == [{"gap": True}]
        assert "readings" in other.said()[0]

    run(scene)


def test_who_went_or_watches_something_else_is_sent_nothing_more():
    async def scene(hub, come):
        viewer, one = come("a")
        hub.watch(viewer, frozenset({"b"}))
        assert not hub.is_watched("a")
        hub.take_readings(0, readings(("a", 1.0), ("b", 2.0)))
        hub.tick()
        await settle()
        assert one.said() == [{"readings": {"b": [[1001, 2.0, 0, 1]]}}]
        hub.remove(viewer)
        assert not hub.is_watched("b")
        assert not hub.viewers

    run(scene)
