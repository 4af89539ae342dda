"""Readings that a Socket.IO server emits. What it wants acknowledged is, when it is durable."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from aiohttp import ClientSession, TCPConnector

from oda.collect.connection import Connection
from oda.collect.intake import Intake
from oda.collect.spool import SpoolError
from oda.collect.together import Together
from oda.collect.upstream import Upstream
from oda.say import say
from oda.stopping import until_stopped

FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
"""From one try to connect to the next, seconds: doubled each time, and spread by half."""

ROOM = 0.9
"""Once the spool was full, it is connected to again when it is no fuller than this."""

RETRY = 0.5
"""How often a full spool is looked at, seconds."""


MOST_WAITING = 50_000
"""Messages that came and are not on their way to the disk yet: with more it disconnects."""


class Subscriber:
    """Stays connected to a server and takes what it emits as one event: a reading, or a list of them.

    A bare number is a reading of `series`, if that is given, at the time when it came.

    Socket.IO has no way to slow a server down. So when the spool is full, or its disk too slow, it disconnects; what
    had come by then is kept and appended, in order, before it connects again.
    """

    def __init__(self, intake: Intake, upstream: Upstream, event: str, series: str | None = None) -> None:
        self._intake = intake
        self._upstream = upstream
        self._event = event
        self._series = series
        self._together = Together(self._append)
        self._connection: Connection | None = None

    async def run(self) -> None:
        """Connect, and again whenever the connection ends; until cancelled."""
        url, delay, said = self._upstream.url, FIRST_DELAY, ""
        async with ClientSession(connector=TCPConnector(ssl=self._upstream.context() or True)) as session:
            try:
                while True:
                    self._connection = Connection(session, self._event, self._received)
                    problem = await self._connection.open(self._upstream)
                    if problem is None:
                        say(f"connected to {url}")
                        await self._connection.ended()
                        say(f"disconnected from {url}")
                        await self._together.idle()
                        delay, said = FIRST_DELAY, ""
                        continue
                    if problem != said:
                        say(f"can't connect to {url}: {problem}; trying on")
                    said = problem
                    await asyncio.sleep(delay * random.uniform(0.5, 1.5))
                    delay = min(2 * delay, LONGEST_DELAY)
            finally:
                await self._disconnect()

    async def _disconnect(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def _received(self, *payload: Any) -> dict[str, Any]:
        """Called for each event; what it returns is the acknowledgement."""
        elements = [element for part in payload for element in (part if isinstance(part, list) else [part])]
        checked = self._intake.check(enumerate(map(self._encoded, elements), 1))
        for rejection in checked.rejected:
            say(f"event {self._event}, element {rejection.number}: rejected: {rejection.reason}")
        if checked.readings:
            if self._together.waiting > MOST_WAITING:
                await self._disconnect()
            await self._together.append(checked.messages)
        rejected = [rejection._asdict() for rejection in checked.rejected]
        return {"accepted": len(checked.readings), "rejected": rejected}

    def _encoded(self, element: Any) -> bytes:
        """The element's JSON; of what has none, such as bytes, a text, which is no reading."""
        if self._series is not None and isinstance(element, int | float) and not isinstance(element, bool):
            # As RFC 3339, which means the same whatever unit times that are numbers have.
            element = {"series": self._series, "time": datetime.now(UTC).isoformat(), "value": element}
        return json.dumps(element, default=repr).encode()

    async def _append(self, messages: Sequence[bytes]) -> None:
        while True:
            try:
                return await asyncio.to_thread(self._intake.append, messages)
            except SpoolError:
                await self._disconnect()
                await asyncio.sleep(RETRY)
                while self._intake.spool.fill > ROOM:
                    await asyncio.sleep(RETRY)


async def subscribe(intake: Intake, upstream: Upstream, event: str, series: str | None = None) -> None:
    """Take what a server emits, until Ctrl-C or SIGTERM; for arguments see `Subscriber`."""
    running = asyncio.create_task(Subscriber(intake, upstream, event, series).run())
    stopped = asyncio.create_task(until_stopped())
    await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
