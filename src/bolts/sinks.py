"""A sink for each store of the catalogue: a class of this module by the store's name, since Storm starts it by that."""

from collections.abc import Mapping
from typing import Any

from streamparse import Grouping

from bolts.sink import SinkBolt
from oda.settings import Parallelism
from oda.stores.catalogue import STORES

SINKS: dict[str, Any] = {
    store.name: type(store.name, (SinkBolt,), {"__module__": __name__, "description": store}) for store in STORES
}
"""By the store's name."""

globals().update(SINKS)


def sinks(parallelism: Parallelism, sources: Mapping[str, Any]) -> dict[str, Any]:
    """Components by name: a sink for each store, of the streams that it takes.

    Args:
        parallelism: the section of the settings.
        sources: by stream, the component that emits it.
    """
    by_partition = Grouping.fields("partition")
    return {
        store.name: SINKS[store.name].spec(
            par=getattr(parallelism, store.name),
            inputs={sources[stream][stream]: by_partition for stream in store.streams},
        )
        for store in STORES
    }
