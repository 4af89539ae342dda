"""A value that a thread of its own asks for again and again, so that nobody waits for the server that knows it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import requests
from kafka.errors import KafkaError

from oda.errors import UserError

T = TypeVar("T")

_LOG = logging.getLogger(__name__)


class Refreshed(Generic[T]):
    """Asks until it is stopped.

    Attributes:
        value: the newest answer; None before the first one.
        problem: why there is none at the moment.
    """

    def __init__(self, name: str, seconds: float, ask: Callable[[], T]) -> None:
        self.value: T | None = None
        self.problem: str | None = f"{name}: not asked yet"
        self._name = name
        self._seconds = seconds
        self._ask = ask
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more; an answer that is under way is not waited for."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self.value, self.problem = self._ask(), None
            except Exception as error:  # whatever a server answers, it is asked again
                is_known = isinstance(error, UserError | KafkaError | requests.RequestException | OSError)
                problem = f"{self._name}: {str(error) if is_known else repr(error)}"
                if problem != self.problem:
                    _LOG.warning("%s", problem, exc_info=not is_known)
                self.problem = problem
            self._stopped.wait(self._seconds)
