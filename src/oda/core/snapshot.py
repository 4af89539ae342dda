"""A snapshot: the state of one partition's windows as bytes, or what has changed in it since the one before.

The format has a version, and the window rules are part of it: windows of another size can't go on
from it, and saying so is better than wrong numbers. Its last element is a checksum of all bytes before it,
so damage is found, whatever it is.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import msgspec

from oda.core.windows import PartitionWindows, Series
from oda.errors import UserError
from oda.settings import Window

FORMAT = 3


class SnapshotError(UserError):
    """The snapshot can't be continued by this program with these settings."""


class _Header(msgspec.Struct, array_like=True):
    format: int


class _Snapshot(msgspec.Struct, array_like=True):
    format: int
    size_ms: int
    lateness_ms: int
    position: int
    forgotten: int
    series: list[Series]
    gone: list[str]
    checksum: bytes


_encoder = msgspec.msgpack.Encoder()
_header = msgspec.msgpack.Decoder(_Header)
_decoder = msgspec.msgpack.Decoder(_Snapshot)

_WAY_OUT = "Submit the topology's former version or settings again, or start anew: see docs/upgrades.md."


def encode(windows: PartitionWindows) -> bytes:
    """The whole state of a partition; grows by about 200 bytes a series."""
    windows.take_changes()
    return _encode(windows, list(windows.series.values()), [])


def encode_changes(windows: PartitionWindows) -> bytes:
    """What has changed since either was called the last time."""
    return _encode(windows, *windows.take_changes())


def _encode(windows: PartitionWindows, series: list[Series], gone: list[str]) -> bytes:
    rules = windows.rules
    header = FORMAT, rules.size_ms, rules.lateness_ms, windows.position, windows.forgotten
    content = _encoder.encode(_Snapshot(*header, series, gone, b""))[:-_EMPTY]
    return content + _encoder.encode(_checksum(content))


def _checksum(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(4)


_EMPTY, _CHECKSUM = len(_encoder.encode(b"")), len(_encoder.encode(_checksum(b"")))
"""Bytes of no checksum, and of one."""


def decode(parts: Sequence[bytes], rules: Window) -> PartitionWindows:
    """The state that a whole snapshot and all changes since have, in the order in which they were made.

    Raises:
        SnapshotError: unknown format, other window rules, or damaged bytes.
    """
    series: dict[str, Series] = {}
    position = forgotten = 0
    for part in parts:
        found = _decode(part, rules)
        position, forgotten = found.position, found.forgotten
        series |= {state.name: state for state in found.series}
        for name in found.gone:
            series.pop(name, None)
    windows = PartitionWindows(rules)
    windows.restore(position, forgotten, series.values())
    return windows


def _decode(data: bytes, rules: Window) -> _Snapshot:
    try:
        found = _header.decode(data).format
        if found != FORMAT:
            raise SnapshotError(f"the snapshot has format {found}, this program reads {FORMAT}. {_WAY_OUT}")
        snapshot = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SnapshotError(f"the snapshot is damaged: {error}. {_WAY_OUT}") from None
    if snapshot.checksum != _checksum(data[:-_CHECKSUM]):
        raise SnapshotError(f"the snapshot is damaged: its checksum is another. {_WAY_OUT}")
    for name, is_, was in (
        ("oda.window.size_ms", rules.size_ms, snapshot.size_ms),
        ("oda.window.lateness_ms", rules.lateness_ms, snapshot.lateness_ms),
    ):
        if is_ != was:
            raise SnapshotError(f"{name} is {is_}, but the snapshot was made with {was}. {_WAY_OUT}")
    return snapshot
