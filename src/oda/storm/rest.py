"""The Storm UI's REST API."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth

from oda.errors import UserError
from oda.security import context, password, tls_problem
from oda.settings import StormSecurity
from oda.web.where import LOOPBACK


class _Adapter(HTTPAdapter):
    """Connects with a TLS context of ours."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        super().__init__()

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        """Called when it is made."""
        super().init_poolmanager(*args, ssl_context=self._tls, **more)


class RestApi:
    """The API at one address; every method raises requests.RequestException when it does not answer.

    And UserError when it does not answer us, for what `oda.storm.security` says.

    Attributes:
        ui: that address, for people.
    """

    def __init__(self, host: str, port: int, security: StormSecurity, timeout_seconds: float = 30) -> None:
        """Asks nothing; raises UserError when a file of `oda.storm.security` can't be used."""
        self._address, self._security, self._timeout_seconds = (host, port), security, timeout_seconds
        self.ui = f"{'https' if security.ca else 'http'}://{host}:{port}"
        self._http = requests.Session()
        self._http.trust_env = host not in LOOPBACK  # nor asks a proxy that the environment names
        if tls := context(security):
            self._http.mount("https://", _Adapter(tls))
        if security.user:
            password(security)  # what is wrong is said now
            self._http.auth = self._as_user

    def ask(self, path: str) -> Any:
        """An answer, such as that of `topology/summary`."""
        with self._explained():
            answer = self._http.get(f"{self.ui}/api/v1/{path}", timeout=self._timeout_seconds)
            if answer.status_code in (401, 403):
                raise UserError(
                    f"Storm's UI at {self.ui} answers {answer.status_code}: see {self._security.setting}.user"
                )
            return answer.json()

    def topology_id(self, name: str) -> str | None:
        """The id of a running topology, or None."""
        return next((row["id"] for row in self.ask("topology/summary")["topologies"] if row["name"] == name), None)

    def has_worker(self, name: str) -> bool:
        found = self.topology_id(name)
        return found is not None and bool(self.ask(f"topology/{found}")["workers"])

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """What is wrong with TLS names the setting."""
        try:
            yield
        except requests.ConnectionError:
            if found := tls_problem([self._address], self._security):
                raise UserError(f"Storm's UI: {found}") from None
            raise

    def _as_user(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """With the password as it is at each request."""
        return HTTPBasicAuth(self._security.user or "", password(self._security))(request)
