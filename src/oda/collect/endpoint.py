"""Readings that are pushed over HTTP: a request is answered with 200 when all of it is durable.

What can't be taken is refused before its body is read, so that a full spool, or a crowd, costs no memory.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

from aiohttp import web

from oda.collect.admission import Admission, Busy, TooMany
from oda.collect.check import MAX_LENGTH, Checked
from oda.collect.elements import elements_of
from oda.collect.intake import Intake
from oda.collect.spool import SpoolError
from oda.collect.together import Together
from oda.core.reading import RejectedError
from oda.web.answers import error as refused
from oda.web.answers import json, later
from oda.web.guard import Guard
from oda.web.listening import serve_until_stopped
from oda.web.where import Where

RETRY_AFTER = 5
"""What a client is told to wait for when the spool is full, seconds."""

BUSY_RETRY_AFTER = 1
"""The same when there are too many requests, seconds."""

CONNECTIONS = 500
"""At once."""

BODY = 30.0
"""How long a client may take to send one request, seconds."""

SHOWN = 100
"""Most elements that one answer names."""

FINISH = 5.0
"""How long requests that have begun may take at the end, seconds."""

_TOO_LARGE = f"more than {MAX_LENGTH} bytes: send several requests"


class Endpoint:
    """`POST /readings` and `GET /health`."""

    def __init__(self, intake: Intake, guard: Guard) -> None:
        self._intake = intake
        self._guard = guard
        self._admission = Admission()
        self._together = Together(lambda messages: asyncio.to_thread(intake.append, messages))

    def application(self) -> web.Application:
        application = web.Application(client_max_size=MAX_LENGTH, middlewares=[self._guard.middleware])
        application.router.add_post("/readings", self._readings, expect_handler=_read_later)
        application.router.add_get("/health", self._health)
        return application

    async def _readings(self, request: web.Request) -> web.Response:
        client = self._guard.who(request) if self._guard.tokens else None
        try:
            with self._admission.of(client):
                return await self._take(request)
        except TooMany as busy:
            return later(HTTPStatus.TOO_MANY_REQUESTS, f"{busy}; this one was not read", BUSY_RETRY_AFTER)
        except Busy as busy:
            return later(HTTPStatus.SERVICE_UNAVAILABLE, f"{busy}; this one was not read", BUSY_RETRY_AFTER)
        except SpoolError as error:
            problem = f"{error}; none was accepted: send it again later"
            return later(HTTPStatus.SERVICE_UNAVAILABLE, problem, RETRY_AFTER)
        except RejectedError as error:
            return refused(HTTPStatus.BAD_REQUEST, str(error))
        except web.HTTPRequestEntityTooLarge:
            return refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE)
        except TimeoutError:
            answer = refused(HTTPStatus.REQUEST_TIMEOUT, f"it took more than {BODY:g} s to send; none was accepted")
            answer.force_close()
            return answer

    async def _take(self, request: web.Request) -> web.Response:
        partial = request.query.get("partial", "0")
        if partial not in ("0", "1"):
            return refused(HTTPStatus.BAD_REQUEST, "partial must be 0 or 1")
        size = request.content_length or 0  # which is not known of all
        if size > MAX_LENGTH:
            return refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE)
        self._intake.require_room(size)
        async with asyncio.timeout(BODY):
            body = await _read(request)
        checked = self._intake.check(elements_of(body))
        if checked.rejected and partial == "0":
            return json(_rejected(checked, "none was accepted"), HTTPStatus.BAD_REQUEST)
        await self._together.append(checked.messages)
        rejected = _rejected(checked, "the others were accepted") if checked.rejected else {}
        return json({"accepted": len(checked.readings), **rejected})

    async def _health(self, _: web.Request) -> web.Response:
        spool = self._intake.spool
        return json(
            {
                "waiting": len(spool),
                "spool_used": round(spool.fill, 3),
                "kafka": self._intake.sender.away or "takes readings",
            }
        )


async def _read_later(_: web.Request) -> None:
    """Of a request that asks first: it is told to go on when it is read, and not before."""


async def _read(request: web.Request) -> bytes:
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    return await request.read()


def _rejected(checked: Checked, rest: str) -> dict[str, Any]:
    """How many are no readings, and what became of the rest; which they are, and why."""
    count = len(checked.rejected)
    return {
        "error": f"{count} of {count + len(checked.readings)} are no readings; {rest}",
        "rejected": [rejection._asdict() for rejection in checked.rejected[:SHOWN]],
    }


async def serve(intake: Intake, where: Where) -> None:
    """Serve until Ctrl-C or SIGTERM, then finish the requests that have begun.

    Raises:
        UserError: the address is taken, or none of this machine, or the files for TLS can't be used.
    """
    await serve_until_stopped(Endpoint(intake, Guard(where)).application(), where, CONNECTIONS, FINISH)
