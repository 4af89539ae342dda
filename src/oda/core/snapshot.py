"""A snapshot: the state of a machine as bytes, or what has changed in it since the one before.

The format has a version, and what of the settings the state can't go on without is part of it: windows of another size
can't go on from it, and saying so is better than wrong numbers. Its last element is a checksum of all bytes before it,
so damage is found, whatever it is.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from oda.core.machine import Machine, Taken
from oda.core.rules.parse import parsed
from oda.errors import UserError

FORMAT = 4

M = TypeVar("M", bound=Machine[Any])


class SnapshotError(UserError):
    """The snapshot can't be continued by this program with these settings."""


class _Header(msgspec.Struct, array_like=True):
    format: int


class _Snapshot(msgspec.Struct, array_like=True):
    """`rules` are a text, or None if it is the one of before; `besides` is of the partition as a whole; `series` are
    states, and `rows` of ledgers by their names: of types that the machine has.
    """

    format: int
    machine: str
    conditions: Mapping[str, int | float | str]
    position: int
    forgotten: int
    version: int
    rules: str | None
    besides: dict[str, Any]
    series: list[Any]
    gone: list[str]
    rows: dict[str, list[Any]]
    checksum: bytes


_encoder = msgspec.msgpack.Encoder()
_header = msgspec.msgpack.Decoder(_Header)
_decoder = msgspec.msgpack.Decoder(_Snapshot)

_WAY_OUT = "Submit the topology's former version or settings again, or start anew: see docs/upgrades.md."


def encode(machine: Machine[Any]) -> bytes:
    """The whole state of a partition; of windows, it grows by about 200 bytes a series."""
    return _encode(machine, machine.take_all())


def encode_changes(machine: Machine[Any]) -> bytes:
    """What has changed since either was called the last time."""
    return _encode(machine, machine.take_changes())


def _encode(machine: Machine[Any], taken: Taken[Any]) -> bytes:
    snapshot = _Snapshot(
        FORMAT,
        machine.name,
        machine.conditions(),
        machine.position,
        machine.forgotten,
        machine.rules.version,
        taken.rules,
        machine.besides(),
        taken.series,
        taken.gone,
        taken.rows,
        b"",
    )
    content = _encoder.encode(snapshot)[:-_EMPTY]
    return content + _encoder.encode(_checksum(content))


def _checksum(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(4)


_EMPTY, _CHECKSUM = len(_encoder.encode(b"")), len(_encoder.encode(_checksum(b"")))
"""Bytes of no checksum, and of one."""


def decode(parts: Sequence[bytes], fresh: M) -> M:
    """The state that a whole snapshot and all changes since have, in the order in which they were made.

    Args:
        parts: none, if there is no snapshot.
        fresh: a machine that has applied nothing; it takes the state over, and is returned.

    Raises:
        SnapshotError: unknown format, of another machine, of other settings, or damaged bytes.
    """
    if not parts:
        return fresh
    text = ""
    series: dict[str, Any] = {}
    rows: dict[str, list[Any]] = {name: [] for name in fresh.ledger_rows}
    for part in parts:
        found = _decode(part, fresh)
        text = text if found.rules is None else found.rules
        series |= {state.name: state for state in _converted(found.series, fresh.state)}
        for name in found.gone:
            series.pop(name, None)
        for name, kind in fresh.ledger_rows.items():
            rows[name] += _converted(found.rows.get(name, []), kind)
    rules = parsed(text, fresh.settings, found.version) if found.version else fresh.rules
    fresh.restore(found.position, found.forgotten, rules, found.besides, series.values(), rows)
    return fresh


def _converted(found: list[Any], kind: type[msgspec.Struct]) -> list[Any]:
    try:
        return [msgspec.convert(one, kind) for one in found]
    except msgspec.ValidationError as error:
        raise SnapshotError(f"the snapshot is damaged: {error}. {_WAY_OUT}") from None


def _decode(data: bytes, machine: Machine[Any]) -> _Snapshot:
    try:
        found = _header.decode(data).format
        if found != FORMAT:
            raise SnapshotError(f"the snapshot has format {found}, this program reads {FORMAT}. {_WAY_OUT}")
        snapshot = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SnapshotError(f"the snapshot is damaged: {error}. {_WAY_OUT}") from None
    if snapshot.checksum != _checksum(data[:-_CHECKSUM]):
        raise SnapshotError(f"the snapshot is damaged: its checksum is another. {_WAY_OUT}")
    if snapshot.machine != machine.name:
        raise SnapshotError(f"the snapshot is of {snapshot.machine}, not of {machine.name}. {_WAY_OUT}")
    conditions = machine.conditions()
    for name in conditions.keys() | snapshot.conditions.keys():
        is_, was = conditions.get(name), snapshot.conditions.get(name)
        if is_ != was and name in snapshot.conditions:  # a former version did not note all
            raise SnapshotError(f"{name} is {is_}, but the snapshot was made with {was}. {_WAY_OUT}")
    return snapshot
