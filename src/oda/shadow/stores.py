"""The stores of a shadow: keyspace, prefix and topics by its name, on the servers of the live system."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Any
from uuid import UUID

import tenacity

from oda.core.kinds import Kind
from oda.errors import Refused, UserError
from oda.isolated import own_stores
from oda.settings import Settings
from oda.stores.cassandra import CassandraStore
from oda.stores.catalogue import STORES, Description
from oda.stores.contract import Rows, Store
from oda.stores.origin import log_of_results

_NAME = re.compile(r"shadow[a-z0-9_]{0,40}")

_GIVEN_UP_SECONDS = 300
"""After so long without success a store is down, and who waits should know."""


def settings_of(name: str, options: Mapping[str, Any]) -> Settings:
    """The settings of a shadow.

    Args:
        name: begins with `shadow`, so that what is dropped by a slip of the hand is one.
        options: of the live system.

    Raises:
        UserError: it is no such name, or the live system's own stores are called so.
    """
    if not _NAME.fullmatch(name):
        raise UserError(f"--name {name}: must be `shadow`, or begin with it, then a-z, 0-9 or _: shadow_student")
    own = own_stores(name)
    live, shadow = (Settings.from_options(which) for which in (options, {**options, **own}))
    for store in STORES:
        for setting in store.own:
            value = getattr(getattr(shadow, store.name), setting)
            if value == getattr(getattr(live, store.name), setting):
                raise UserError(
                    f"--name {name}: oda.{store.name}.{setting} = {value} is the live system's; choose another"
                )
    return shadow


def drop(settings: Settings) -> None:
    """Delete the stores of a shadow; may be repeated. Raises UserError when one can't be reached."""
    for description in STORES:
        with closing(description.open(settings)) as store:
            store.drop()


class Stores:
    """Those of a shadow, open for writing."""

    def __init__(self, stores: Mapping[Description, Store]) -> None:
        self._stores = stores

    def write(self, partition: int, rows: Mapping[Kind[Any], Sequence[Any]]) -> None:
        """Write to each what it takes; returns when all of it is durable.

        Raises:
            UserError: a store won't take it, or has been away for five minutes.
        """
        clock = int(time.time() * 1000)
        items = [Rows(kind, partition, clock, some) for kind, some in rows.items() if some]
        for description, store in self._stores.items():
            taken = [item for item in items if item.kind.name in description.streams]
            if taken:
                _patiently(description, store, taken)


def _patiently(description: Description, store: Store, items: Sequence[Rows]) -> None:
    """The contract of a store: what it has not refused may pass."""
    again = tenacity.Retrying(
        retry=tenacity.retry_if_not_exception_type(Refused),
        wait=tenacity.wait_random_exponential(multiplier=0.2, max=5),
        stop=tenacity.stop_after_delay(_GIVEN_UP_SECONDS),
        reraise=True,
    )
    try:
        again(store.write, items)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{description.title} has taken nothing for {_GIVEN_UP_SECONDS} s: {error}") from None


@contextmanager
def opened(settings: Settings, name: str, log_id: UUID | None) -> Iterator[Stores]:
    """Make the stores of a shadow.

    Raises:
        UserError: there are some already, or one can't be reached.
    """
    with closing(CassandraStore(settings)) as online:
        if online.log_id() is not None:
            raise UserError(
                f"there are results of an earlier `oda shadow --name {name}`: delete them by "
                f"`oda shadow --drop --name {name}`, or choose another name"
            )
    with ExitStack() as stack:
        stores = {store: stack.enter_context(closing(store.open(settings))) for store in STORES}
        for store in stores.values():
            store.migrate()
        if log_id is not None:  # none before Kafka 2.8
            log_of_results(settings, settings.kafka.readings, log_id)
        yield Stores(stores)
