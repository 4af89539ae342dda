"""What a way to a receiver does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from oda.errors import UserError
from oda.notify.notification import Due


class Away(UserError):  # noqa: N818 - what the receiver is, not what is wrong
    """The receiver does not take anything now: try again, not before `seconds` are over if it said so."""

    def __init__(self, why: str, seconds: float = 0.0) -> None:
        super().__init__(why)
        self.seconds = seconds


class Channel(Protocol):
    """A way to one receiver. Used by one thread.

    Attributes:
        pause: how long to wait after each delivery, seconds: what comes meanwhile goes together.
        resends: whether it wants to hear again and again what lasts.
    """

    pause: float
    resends: bool

    def deliver(self, due: Sequence[Due]) -> str:
        """Tell some notifications at once.

        Returns:
            When the receiver has taken them: what is not as it should be, "" if nothing.

        Raises:
            Away: try all of them again.
            oda.errors.Refused: it will never take all of them; one alone it may.
            UserError: a secret can't be read.
        """

    def close(self) -> None:
        """Let go of the connection."""
