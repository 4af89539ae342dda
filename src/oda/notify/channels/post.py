"""JSON to somebody by HTTP; what the answers mean for whoever has something to tell."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
import requests

from oda.errors import Refused, shorten
from oda.notify.channels.contract import Away
from oda.notify.file import Http
from oda.shown import plain

_LATER = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
"""Of the client's own errors those that are none of the message."""

_SHOWN_BYTES = 300
_MOST_WAIT = 600.0


class Post:
    """Posts with what a file says about it."""

    def __init__(self, settings: Http) -> None:
        self._settings = settings
        self._session = requests.Session()

    def __call__(self, url: str, content: Any) -> None:
        """Post `content` as JSON.

        Raises:
            Away, Refused, UserError: as `Channel.deliver` does.
        """
        headers = {"Content-Type": "application/json"}
        if self._settings.authorization:
            headers["Authorization"] = self._settings.authorization.read()
        try:
            with self._session.post(
                url,
                msgspec.json.encode(content),
                headers=headers,
                timeout=self._settings.timeout / 1000,
                verify=self._settings.ca or True,
                allow_redirects=False,  # they would make a GET of it
                stream=True,  # of what it says only the beginning is read
            ) as answer:
                _look(answer)
        except requests.RequestException as error:
            raise Away(_why(error)) from None
        except OSError as error:  # the file of certificates
            raise Away(str(error)) from None

    def close(self) -> None:
        self._session.close()


def _look(answer: requests.Response) -> None:
    if 200 <= answer.status_code < 300:
        answer.raw.read(_SHOWN_BYTES)  # so that the connection may be used again
        return
    said = plain(answer.raw.read(_SHOWN_BYTES, decode_content=True).decode(errors="replace").strip())
    why = f"it answers {answer.status_code} {answer.reason}{': ' if said else ''}{said}"
    if answer.status_code >= 500 or answer.status_code in _LATER:
        raise Away(why, _retry_after(answer))
    raise Refused(why)


def _retry_after(answer: requests.Response) -> float:
    """Seconds; of a date, or of nothing, 0."""
    text = answer.headers.get("Retry-After", "")
    return min(float(text), _MOST_WAIT) if text.isdecimal() else 0.0


def _why(error: requests.RequestException) -> str:
    """Without what the URL may have of secrets."""
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    cause = error.args[0] if error.args else None
    told = str(getattr(cause, "reason", cause)) if isinstance(cause, Exception) else ""
    return shorten(plain(f"{type(error).__name__}{': ' if told else ''}{told}"), 300)
