"""Readings that a Socket.IO server emits. What it wants acknowledged is, when it is durable."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import socketio  # type: ignore[import-untyped]

from oda.collect.intake import Intake, say
from oda.collect.spool import SpoolError
from oda.collect.stopping import until_stopped
from oda.collect.together import Together

FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
"""From one try to connect to the next, seconds: doubled each time, and spread by half."""

CONNECT = 10.0
"""How long the server may take to let us in, seconds."""

ROOM = 0.9
"""Once the spool was full, it is connected to again when it is no fuller than this."""

RETRY = 0.5
"""How often a full spool is looked at, seconds."""


class Subscriber:
    """Stays connected to a server and takes what it emits as one event: a reading, or a list of them.

    A bare number is a reading of `series`, if that is given, at the time when it came.

    Socket.IO has no way to slow a server down. So when the spool is full it disconnects; what had come by then
    is kept and appended, in order, before it connects again.
    """

    def __init__(self, intake: Intake, url: str, event: str, series: str | None = None) -> None:
        self._intake = intake
        self._url = url
        self._event = event
        self._series = series
        self._together = Together(self._append)
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._client = self._new_client()

    def _new_client(self) -> Any:
        """One for each connection: acknowledgements are numbered per connection, and a late one must not be misread."""
        client = socketio.AsyncClient(reconnection=False, handle_sigint=False)
        client.on(self._event, self._received)
        return client

    async def run(self) -> None:
        """Connect, and again whenever the connection ends; until cancelled."""
        delay, said = FIRST_DELAY, False
        while True:
            try:
                await self._client.connect(self._url, wait_timeout=CONNECT)
            except socketio.exceptions.ConnectionError as error:
                if not said:
                    say(f"can't connect to {self._url}: {error}; trying on")
                said = True
                await asyncio.sleep(delay * random.uniform(0.5, 1.5))
                delay = min(2 * delay, LONGEST_DELAY)
            else:
                say(f"connected to {self._url}")
                delay, said = FIRST_DELAY, False
                await asyncio.shield(self._client.wait())  # or to cancel us would end the connection's own tasks
                say(f"disconnected from {self._url}")
                await self._has_room.wait()
            self._client = self._new_client()

    async def close(self) -> None:
        await self._client.disconnect()

    async def _received(self, *payload: Any) -> dict[str, Any]:
        """Called for each event; what it returns is the acknowledgement."""
        elements = [element for part in payload for element in (part if isinstance(part, list) else [part])]
        checked = self._intake.check(enumerate(map(self._encoded, elements), 1))
        for rejection in checked.rejected:
            say(f"event {self._event}, element {rejection.number}: rejected: {rejection.reason}")
        if checked.readings:
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
                await asyncio.to_thread(self._intake.append, messages)
            except SpoolError:
                self._has_room.clear()
                await self._client.disconnect()
                await asyncio.sleep(RETRY)
                while self._intake.spool.fill > ROOM:
                    await asyncio.sleep(RETRY)
            else:
                self._has_room.set()
                return


async def subscribe(intake: Intake, url: str, event: str, series: str | None = None) -> None:
    """Take what a server emits, until Ctrl-C or SIGTERM; for arguments see `Subscriber`."""
    subscriber = Subscriber(intake, url, event, series)
    running = asyncio.create_task(subscriber.run())
    stopped = asyncio.create_task(until_stopped())
    await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await subscriber.close()
