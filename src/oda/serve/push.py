"""Live viewers: each says which series it watches, and is sent what is new of them, and all incidents.

What several watch is encoded once, and joined once for those that watch the same. A viewer has a queue of bounded size;
one that is too slow is told of a gap instead of what would not fit, and holds nothing up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
import numpy as np
from aiohttp import WSCloseCode, WSMsgType, web
from msgspec.json import encode

from oda.core.batch import Readings

TICK_SECONDS = 0.05
"""How often viewers are sent what is new."""

QUEUE_BYTES = 2**20
"""Of a viewer: what it has not taken yet."""

MOST_WATCHED = 100
"""Series of one viewer."""

MOST_VIEWERS = 1_000

HEARTBEAT_SECONDS = 20.0
"""A viewer that answers no ping for that long is let go."""

_MOST_READINGS = 20_000
"""Of one series in one tick; beyond it there is a gap."""

_MOST_MESSAGE = 64 * 1024
"""Bytes of a message from a viewer: a hundred names."""

_GAP = b'{"gap":true}'

_LOG = logging.getLogger(__name__)


class Connection(Protocol):
    """What is needed of a web socket."""

    async def send_frame(self, message: bytes, opcode: WSMsgType) -> None:
        """Returns when there is room for more."""

    async def close(self, *, code: int) -> Any:
        """Say so, and end it."""


class Viewer:
    """One web socket.

    Attributes:
        watched: names of series.
        dropped: how often it was too slow.
    """

    def __init__(self, connection: Connection) -> None:
        self.watched: frozenset[str] = frozenset()
        self.dropped = 0
        self._connection = connection
        self._queue: deque[bytes] = deque()
        self._size = 0
        self._news = asyncio.Event()

    async def end(self) -> None:
        """The server ends."""
        await self._connection.close(code=WSCloseCode.GOING_AWAY)

    def offer(self, message: bytes) -> None:
        """Send it when there is room; else tell of a gap, once."""
        if self._size + len(message) > QUEUE_BYTES:
            self.dropped += 1
            self._queue.clear()
            self._queue.append(_GAP)
            self._size = len(_GAP)
        else:
            self._queue.append(message)
            self._size += len(message)
        self._news.set()

    async def send(self) -> None:
        """Send what is offered; does not return."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._queue:
                message = self._queue.popleft()
                self._size -= len(message)
                await self._connection.send_frame(message, WSMsgType.TEXT)


class Hub:
    """What is new, until the next tick, and who is to be told.

    Attributes:
        viewers: those that are there.
        dropped: how often those that went were too slow.
    """

    def __init__(self) -> None:
        self.viewers: set[Viewer] = set()
        self._watchers: dict[str, int] = {}
        self._readings: dict[str, list[tuple[int, float, int, int]]] = {}
        self._rows: dict[str, dict[str, list[bytes]]] = {"windows": {}, "bands": {}, "anomalies": {}}
        self._incidents: list[bytes] = []
        self._gaps: set[str] = set()
        self.dropped = 0

    # -- viewers --------------------------------------------------------------------------------

    def add(self, viewer: Viewer) -> None:
        """One that came."""
        self.viewers.add(viewer)

    def remove(self, viewer: Viewer) -> None:
        """One that went."""
        self.watch(viewer, frozenset())
        self.viewers.discard(viewer)
        self.dropped += viewer.dropped

    async def end(self, _: web.Application) -> None:
        """The server ends: tell all, who else would be waited for."""
        await asyncio.gather(*(viewer.end() for viewer in self.viewers), return_exceptions=True)

    def watch(self, viewer: Viewer, names: frozenset[str]) -> None:
        """From now on it watches these."""
        for name in viewer.watched:
            self._watchers[name] -= 1
            if not self._watchers[name]:
                del self._watchers[name]
        for name in names:
            self._watchers[name] = self._watchers.get(name, 0) + 1
        viewer.watched = names

    def all_dropped(self) -> int:
        """How often any was too slow."""
        return self.dropped + sum(viewer.dropped for viewer in self.viewers)

    def is_watched(self, name: str) -> bool:
        """Whether anybody watches a series."""
        return name in self._watchers

    # -- what is new ----------------------------------------------------------------------------

    def take_readings(self, partition: int, readings: Readings) -> None:
        """Readings of one partition."""
        for number, name in enumerate(readings.names):
            if name not in self._watchers:
                continue
            there = np.flatnonzero(readings.series == number)
            queue = self._readings.setdefault(name, [])
            if len(queue) + len(there) > _MOST_READINGS:
                self._gaps.add(name)
                continue
            columns = (
                readings.times[there].tolist(),
                readings.values[there].tolist(),
                readings.offsets[there].tolist(),
            )
            queue += ((time, value, partition, offset) for time, value, offset in zip(*columns, strict=True))

    def take(self, kind: str, series: str, document: Mapping[str, Any]) -> None:
        """A window, a band or an anomaly."""
        if series in self._watchers:
            self._rows[kind].setdefault(series, []).append(encode(document))

    def take_incident(self, document: Mapping[str, Any]) -> None:
        """A change of an incident, or what somebody said of it."""
        if self.viewers:
            self._incidents.append(encode(document))

    # -- telling --------------------------------------------------------------------------------

    def tick(self) -> None:
        """Offer every viewer what is new for it."""
        readings = {name: encode(name) + b":" + encode(rows) for name, rows in self._readings.items() if rows}
        rows = {kind: {name: b",".join(parts) for name, parts in found.items()} for kind, found in self._rows.items()}
        incidents = b",".join(self._incidents)
        if readings or incidents or self._gaps or any(rows.values()):
            messages: dict[frozenset[str], bytes] = {}
            for viewer in self.viewers:
                message = messages.get(viewer.watched)
                if message is None:
                    message = messages[viewer.watched] = self._message(viewer.watched, readings, rows, incidents)
                if message:
                    viewer.offer(message)
        self._readings, self._incidents = {}, []
        self._rows = {kind: {} for kind in self._rows}
        self._gaps = set()

    def _message(
        self,
        watched: frozenset[str],
        readings: Mapping[str, bytes],
        rows: Mapping[str, Mapping[str, bytes]],
        incidents: bytes,
    ) -> bytes:
        """Of parts that are encoded already; empty if there is nothing new."""
        if not self._gaps.isdisjoint(watched):
            return _GAP
        parts = []
        if own := _of(watched, readings):
            parts.append(b'"readings":{' + b",".join(own) + b"}")
        for kind, found in rows.items():
            if own := _of(watched, found):
                parts.append(encode(kind) + b":[" + b",".join(own) + b"]")
        if incidents:
            parts.append(b'"incidents":[' + incidents + b"]")
        return b"{" + b",".join(parts) + b"}" if parts else b""

    async def run(self) -> None:
        """Tick; does not return."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.tick()


def _of(watched: frozenset[str], parts: Mapping[str, bytes]) -> list[bytes]:
    """The parts of those that are watched; of the two the smaller is gone through."""
    if len(parts) < len(watched):
        return [part for name, part in parts.items() if name in watched]
    return [parts[name] for name in watched if name in parts]


class _Said(msgspec.Struct):
    """What a viewer says."""

    watch: list[str]


_said = msgspec.json.Decoder(_Said)


async def serve_viewer(hub: Hub, request: web.Request) -> web.StreamResponse:
    """One viewer from its coming to its going."""
    if len(hub.viewers) >= MOST_VIEWERS:
        raise web.HTTPServiceUnavailable(reason=f"there are {MOST_VIEWERS} viewers already")
    socket = web.WebSocketResponse(timeout=2.0, heartbeat=HEARTBEAT_SECONDS, compress=False, max_msg_size=_MOST_MESSAGE)
    await socket.prepare(request)
    viewer = Viewer(socket)
    hub.add(viewer)
    sending = asyncio.create_task(viewer.send())
    sending.add_done_callback(lambda task: task.cancelled() or task.exception())  # it went: no news
    try:
        async for message in socket:
            if message.type is not WSMsgType.TEXT or not _listen(hub, viewer, message.data):
                await socket.close(code=1008, message=b'say {"watch": [names]}')
    finally:
        hub.remove(viewer)
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await sending
    return socket


def _listen(hub: Hub, viewer: Viewer, text: str) -> bool:
    """Whether it was understood."""
    try:
        names = _said.decode(text).watch
    except (msgspec.DecodeError, UnicodeEncodeError):
        return False
    if len(names) > MOST_WATCHED:
        return False
    hub.watch(viewer, frozenset(names))
    return True
