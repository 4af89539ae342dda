"""URLs of servers that push."""

from __future__ import annotations

from urllib.parse import urlsplit

from oda.errors import UserError


def require_url(text: str) -> None:
    """Raises UserError unless it is one that Socket.IO can connect to."""
    try:
        parts = urlsplit(text)
        is_url = parts.scheme in ("http", "https", "ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        raise UserError(f"{text!r} is no URL of a Socket.IO server, such as http://localhost:5000")
