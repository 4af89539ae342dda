"""One fsync for many: what coroutines append while one is on its way shares the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from oda.collect.spool import SpoolError


class Together:
    """Appends for many coroutines at once, in the order of their calls.

    Args:
        append: makes messages durable, or raises SpoolError for all of them.

    Attributes:
        waiting: messages that share the next fsync.
    """

    def __init__(self, append: Callable[[Sequence[bytes]], Awaitable[None]]) -> None:
        self._append = append
        self.waiting = 0
        self._waiting: list[tuple[Sequence[bytes], asyncio.Future[None]]] = []
        self._committing: asyncio.Task[None] | None = None

    async def append(self, messages: Sequence[bytes]) -> None:
        """Return when the messages are durable. Raises SpoolError when they are not and will not be."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((messages, done))
        self.waiting += len(messages)
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit())
        await done

    async def idle(self) -> None:
        """Return when nothing waits."""
        while self._committing is not None:
            await asyncio.wait({self._committing})

    async def _commit(self) -> None:
        while self._waiting:
            group, self._waiting, self.waiting = self._waiting, [], 0
            try:
                await self._append([message for messages, _ in group for message in messages])
            except SpoolError as error:
                for _, done in group:
                    if not done.cancelled():
                        done.set_exception(SpoolError(*error.args))
            else:
                for _, done in group:
                    if not done.cancelled():
                        done.set_result(None)
        self._committing = None
