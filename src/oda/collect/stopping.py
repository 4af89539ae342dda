"""Ctrl-C and SIGTERM for what runs in asyncio."""

from __future__ import annotations

import asyncio
import signal

from aiohttp import web

from oda.errors import UserError


async def until_stopped() -> None:
    """Wait for Ctrl-C or SIGTERM, without a KeyboardInterrupt in the middle of something."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()


async def serve_until_stopped(application: web.Application, host: str, port: int, finish: float) -> None:
    """Serve until Ctrl-C or SIGTERM, then for at most `finish` seconds what requests have begun.

    Raises:
        UserError: the address is taken, or none of this machine.
    """
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=finish)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        await until_stopped()
    except OSError as error:
        raise UserError(f"can't listen on {host}:{port}: {error.strerror}; give another --host or --port") from None
    finally:
        await runner.cleanup()
