"""A request's parameters, checked."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from oda.core.reading import MAX_TIME

MAX_NAME = 249


class BadRequest(Exception):  # noqa: N818 - what it is, not what is wrong
    """A parameter is wrong; the text says which, and what it should be."""


def number(request: web.Request, name: str, default: int | None, least: int, most: int) -> int:
    """A whole number of the query. Raises BadRequest."""
    text = request.query.get(name, "")
    if not text and default is not None:
        return default
    try:
        found = int(text) if len(text) < 20 else most + 1
    except ValueError:
        found = least - 1
    if not least <= found <= most:
        raise BadRequest(f"{name} must be a whole number from {least} to {most}")
    return found


def choice(request: web.Request, name: str, choices: tuple[str, ...]) -> Any:
    """One of some words, the first if none is given. Raises BadRequest."""
    found = request.query.get(name, choices[0])
    if found not in choices:
        raise BadRequest(f"{name} must be one of {', '.join(choices)}")
    return found


def series_name(request: web.Request) -> str:
    """The parameter `name`. Raises BadRequest."""
    name = request.query.get("name", "")
    if not 0 < len(name) <= MAX_NAME:
        raise BadRequest(f"name must be a series' name, of at most {MAX_NAME} characters")
    return name


def times(request: web.Request) -> tuple[int, int]:
    """`since` and `until`, epoch ms. Raises BadRequest."""
    since, until = number(request, "since", None, 0, MAX_TIME), number(request, "until", None, 0, MAX_TIME)
    if since >= until:
        raise BadRequest("since must be before until")
    return since, until
