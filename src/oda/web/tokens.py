"""Tokens by which programs and people are let in, each with the name of its owner."""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from oda.errors import UserError
from oda.say import say

MIN_TOKEN = 16
"""Characters; shorter ones can be guessed."""


def read_tokens(text: str, source: str) -> dict[str, str]:
    """Who has which token: lines of a name and a token, or of a token alone, whose owner is called `token`.

    >>> read_tokens("ann 0123456789abcdef", "a file")
    {'0123456789abcdef': 'ann'}

    Raises:
        UserError: there is none, or one is too short.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or line.lstrip().startswith("#"):
            continue
        name, token = words if len(words) == 2 else ("token", line.strip())
        if len(token) < MIN_TOKEN or len(words) > 2:
            raise UserError(
                f"{source}, line {number}: must be a token of at least {MIN_TOKEN} characters, or a name and a token; "
                "`openssl rand -hex 16` makes one"
            )
        found[token] = name
    if not found:
        raise UserError(f"{source}: there is no token in it; `openssl rand -hex 16` makes one")
    return found


class Tokens:
    """All tokens of a server, looked up anew for each question: one that is taken away opens nothing from then on.

    Args:
        read: gives the lines that `read_tokens` takes, or raises UserError.
        source: what these are called in errors.

    Raises:
        UserError: they can't be used. Later, too, from each question: then nobody is let in.
    """

    def __init__(self, read: Callable[[], str], source: str) -> None:
        self._read = read
        self._source = source
        self._text = read()
        self._known = read_tokens(self._text, source)
        self._said = ""

    def known(self) -> Mapping[str, str]:
        """The names of the owners, by token."""
        try:
            text = self._read()
            if text != self._text:
                self._known, self._text = read_tokens(text, self._source), text
        except UserError as error:
            if self._said != str(error):
                say(f"{error}; until that is mended nobody is let in")
            self._said = str(error)
            raise
        self._said = ""
        return self._known

    def owner(self, token: str) -> str | None:
        """The name of a token's owner; None if it is none."""
        # Each is compared, so that the time taken tells nothing.
        said = token.encode("utf-8", "surrogatepass")  # whatever was in a header
        found = [name for one, name in self.known().items() if hmac.compare_digest(one.encode(), said)]
        return found[0] if found else None


def tokens_of_file(path: Path) -> Tokens:
    """Raises UserError."""
    source = f"--token-file {path}"

    def read() -> str:
        try:
            return path.read_text("utf-8")
        except UnicodeDecodeError:  # whose text holds the bytes
            raise UserError(f"{source}: it is no UTF-8") from None
        except OSError as error:
            raise UserError(f"{source}: {error.strerror}") from None

    return Tokens(read, source)


def tokens_of_environment(variable: str) -> Tokens | None:
    """None if it is not set; raises UserError."""
    text = os.environ.get(variable)
    return None if text is None else Tokens(lambda: text, f"{variable} in the environment")
