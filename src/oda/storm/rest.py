"""The Storm UI's REST API."""

from __future__ import annotations

from typing import Any

import requests

LOOPBACK = ("127.0.0.1", "localhost", "::1")

_TIMEOUT_SECONDS = 30


class RestApi:
    """The API at one address; every method raises requests.RequestException when it does not answer.

    Attributes:
        ui: that address, for people.
    """

    def __init__(self, host: str, port: int) -> None:
        self.ui = f"http://{host}:{port}"
        self._http = requests.Session()
        self._http.trust_env = host not in LOOPBACK  # nor asks a proxy that the environment names

    def ask(self, path: str) -> Any:
        """An answer, such as that of `topology/summary`."""
        return self._http.get(self._url(path), timeout=_TIMEOUT_SECONDS).json()

    def topology_id(self, name: str) -> str | None:
        """The id of a running topology, or None."""
        return next((row["id"] for row in self.ask("topology/summary")["topologies"] if row["name"] == name), None)

    def has_worker(self, name: str) -> bool:
        found = self.topology_id(name)
        return found is not None and bool(self.ask(f"topology/{found}")["workers"])

    def deactivate(self, name: str) -> None:
        """Let the spouts of a running topology emit nothing."""
        self._tell(name, "deactivate")

    def activate(self, name: str) -> None:
        """Let the spouts go on."""
        self._tell(name, "activate")

    def _tell(self, name: str, what: str) -> None:
        url = self._url(f"topology/{self.topology_id(name)}/{what}")
        self._http.post(url, timeout=_TIMEOUT_SECONDS).raise_for_status()

    def _url(self, path: str) -> str:
        return f"{self.ui}/api/v1/{path}"
