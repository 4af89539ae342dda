"""What Storm says of the topology: whether it runs, what its components do, and their newest errors."""

from __future__ import annotations

from typing import Any, NamedTuple

from oda.stores.catalogue import STORES
from oda.storm.rest import RestApi

_COUNTS_AS_NEW_SECONDS = 600
"""An error that is older says nothing of now."""


class Component(NamedTuple):
    """One spout or bolt; counts are since the topology was submitted; `process_ms` is the mean of a tuple, ms."""

    id: str
    executors: int
    executed: int
    failed: int
    process_ms: float
    last_error: str | None


class Topology(NamedTuple):
    """`state` is Storm's, such as ACTIVE; `ui` an address for people."""

    state: str
    ui: str
    components: list[Component]

    def errors(self) -> dict[str, list[str]]:
        """Of each store, those of its sink that are new."""
        found = {component.id: component.last_error for component in self.components}
        return {store.name: [error] if (error := found.get(store.name)) else [] for store in STORES}


class StormState:
    """Asks the Storm UI. Raises requests.RequestException: it does not answer."""

    def __init__(self, api: RestApi, name: str) -> None:
        self._api = api
        self._name = name

    def ask(self) -> Topology:
        """As Storm sees it now, its counts some seconds old."""
        found = self._api.topology_id(self._name)
        if found is None:
            return Topology("NOT RUNNING", self._api.ui, [])
        answer = self._api.ask(f"topology/{found}")
        rows = [*answer.get("spouts", []), *answer.get("bolts", [])]
        components = [_component(row) for row in rows]
        return Topology(str(answer.get("status")), f"{self._api.ui}/topology.html?id={found}", components)


def _component(row: dict[str, Any]) -> Component:
    seconds = row.get("errorLapsedSecs")
    is_new = bool(row.get("lastError")) and (seconds is None or int(seconds) <= _COUNTS_AS_NEW_SECONDS)
    return Component(
        str(row.get("spoutId") or row.get("boltId")),
        int(row.get("executors") or 0),
        int(row.get("executed") or row.get("emitted") or 0),
        int(row.get("failed") or 0),
        float(row.get("processLatency") or row.get("completeLatency") or 0),
        str(row["lastError"])[:1_000] if is_new else None,
    )
