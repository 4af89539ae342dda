"""Ctrl-C and SIGTERM for what runs in asyncio, and what systemd is told meanwhile."""

from __future__ import annotations

import asyncio
import signal

from oda.supervised import heartbeat, tell


async def until_stopped() -> None:
    """Wait for Ctrl-C or SIGTERM, without a KeyboardInterrupt in the middle of something."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    tell("READY=1")
    beating = asyncio.create_task(_beat())
    try:
        await stopped.wait()
    finally:
        beating.cancel()
        tell("STOPPING=1")


async def _beat() -> None:
    """As long as the event loop turns."""
    while seconds := heartbeat():
        tell("WATCHDOG=1")
        await asyncio.sleep(seconds)
