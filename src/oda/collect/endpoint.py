"""Readings that are pushed over HTTP: a request is answered with 200 when all of it is durable."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from oda.collect.check import MAX_LENGTH, Checked
from oda.collect.elements import elements_of
from oda.collect.intake import Intake
from oda.collect.spool import SpoolError
from oda.collect.stopping import serve_until_stopped
from oda.collect.together import Together
from oda.core.reading import RejectedError

RETRY_AFTER = 5
"""What a client is told to wait for when the spool is full, seconds."""

SHOWN = 100
"""Most elements that one answer names."""

FINISH = 5.0
"""How long requests that have begun may take at the end, seconds."""


class Endpoint:
    """`POST /readings` and `GET /health`."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._together = Together(lambda messages: asyncio.to_thread(intake.append, messages))

    def application(self) -> web.Application:
        application = web.Application(client_max_size=MAX_LENGTH)
        application.add_routes([web.post("/readings", self._readings), web.get("/health", self._health)])
        return application

    async def _readings(self, request: web.Request) -> web.Response:
        partial = request.query.get("partial", "0")
        if partial not in ("0", "1"):
            return _error(HTTPStatus.BAD_REQUEST, "partial must be 0 or 1")
        try:
            checked = self._intake.check(elements_of(await request.read()))
            if checked.rejected and partial == "0":
                return _error(HTTPStatus.BAD_REQUEST, **_rejected(checked, "none was accepted"))
            await self._together.append(checked.messages)
        except web.HTTPRequestEntityTooLarge:
            return _error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {MAX_LENGTH} bytes: send several requests")
        except RejectedError as error:
            return _error(HTTPStatus.BAD_REQUEST, str(error))
        except SpoolError as error:
            answer = _error(HTTPStatus.SERVICE_UNAVAILABLE, f"{error}; none was accepted: send it again later")
            answer.headers["Retry-After"] = str(RETRY_AFTER)
            return answer
        rejected = _rejected(checked, "the others were accepted") if checked.rejected else {}
        return _json(HTTPStatus.OK, {"accepted": len(checked.readings), **rejected})

    async def _health(self, _: web.Request) -> web.Response:
        spool = self._intake.spool
        return _json(
            HTTPStatus.OK,
            {
                "waiting": len(spool),
                "spool_used": round(spool.fill, 3),
                "kafka": self._intake.sender.away or "takes readings",
            },
        )


def _rejected(checked: Checked, rest: str) -> dict[str, Any]:
    """How many are no readings, and what became of the rest; which they are, and why."""
    count = len(checked.rejected)
    return {
        "error": f"{count} of {count + len(checked.readings)} are no readings; {rest}",
        "rejected": [rejection._asdict() for rejection in checked.rejected[:SHOWN]],
    }


def _json(status: HTTPStatus, content: dict[str, Any]) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(content), content_type="application/json")


def _error(status: HTTPStatus, error: str, **more: Any) -> web.Response:
    return _json(status, {"error": error, **more})


async def serve(intake: Intake, host: str, port: int) -> None:
    """Serve until Ctrl-C or SIGTERM, then finish the requests that have begun.

    Raises:
        UserError: the address is taken, or none of this machine.
    """
    await serve_until_stopped(Endpoint(intake).application(), host, port, FINISH)
