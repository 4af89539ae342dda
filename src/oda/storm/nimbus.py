"""Nimbus's thrift service: plain, as Storm's TLS for it fails on Java 15 and later (docs/security.md)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def nimbus(host: str, port: int, timeout_seconds: float) -> Iterator[Any]:
    """The service, whose methods are those of Storm's interface `Nimbus`; thrift's exceptions go through."""
    # Not streamparse's own get_nimbus_client: importing that takes a second and prints warnings.
    from streamparse.thrift import Nimbus as Service
    from thriftpy2.rpc import make_client
    from thriftpy2.transport import TFramedTransportFactory

    transport, timeout_ms = TFramedTransportFactory(), int(timeout_seconds * 1000)
    client = make_client(Service, host, port, trans_factory=transport, timeout=timeout_ms)
    try:
        yield client
    finally:
        client.close()
