"""Answers in JSON."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web


def json(content: Any, status: int = HTTPStatus.OK) -> web.Response:
    """An answer."""
    return web.Response(status=status, body=msgspec.json.encode(content), content_type="application/json")


def error(status: int, text: str) -> web.Response:
    """What every answer is that is none."""
    return json({"error": text}, status)


def later(status: int, text: str, seconds: int) -> web.Response:
    """An error that is worth another try after some seconds."""
    response = error(status, text)
    response.headers["Retry-After"] = str(seconds)
    return response
