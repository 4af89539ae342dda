"""Ctrl-C and SIGTERM for what runs in asyncio."""

from __future__ import annotations

import asyncio
import signal


async def until_stopped() -> None:
    """Wait for Ctrl-C or SIGTERM, without a KeyboardInterrupt in the middle of something."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
