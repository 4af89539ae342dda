"""Messages on disk between a source and Kafka: in order, bounded, and still there after a kill or a power failure.

Knows bytes and their numbers; knows nothing of readings, and of Kafka only that positions are kept with them.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Self

import lmdb
import msgspec

from oda.errors import UserError

RESERVE = 64 * 2**20
"""Bytes that LMDB may use beyond the bound: it writes new pages before it frees old ones, also to delete."""

_KEY = struct.Struct(">Q")
_positions = msgspec.msgpack.Decoder(dict[int, int])


class SpoolError(Exception):
    """A change was not made, no part of it: the spool is full, or its disk fails; the text says which."""


class Spool:
    """A queue of messages, numbered from 0, in a folder of its own on a local disk. Threads may share it.

    Each change is one LMDB transaction, which is on disk (`fdatasync`) before the call returns.

        with Spool(Path(".oda/spool/http"), "readings", 2**30) as spool:
            spool.append([b"a", b"b"])      # durable now
            spool.read(0, limit=10)         # [(0, b"a"), (1, b"b")]
            spool.drop(1, {})               # b"a" is gone

    Attributes:
        folder: where it is.
        id: tells the numbers of this spool from any others', of another or of the same one: no number
            ever means two messages of one id.
        log: tells the log that the positions are of from any other; empty at first.
        positions: what the last `follow` or `drop` was given; empty at first.
    """

    def __init__(self, folder: Path, topic: str, max_bytes: int) -> None:
        """Open the spool, or make it.

        Args:
            folder: where it is, or is to be.
            topic: what its messages are for.
            max_bytes: how large it may get on disk, but for `RESERVE`.

        Raises:
            UserError: another process has it open, it holds messages for another topic, or it can't be read.
        """
        self.folder = folder
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        try:
            with ExitStack() as stack:
                changed = _made(folder)
                stack.enter_context(_locked(folder))
                self._env = stack.enter_context(
                    lmdb.open(str(folder), map_size=max_bytes + RESERVE, max_dbs=2, readahead=False)
                )
                self._open(topic)
                _sync(changed)
                self._close = stack.pop_all().close
        except (OSError, lmdb.Error) as error:
            raise UserError(f"the spool {folder} can't be opened: {error}") from None

    def _open(self, topic: str) -> None:
        self._messages, self._state = self._env.open_db(b"messages"), self._env.open_db(b"state")
        with self._env.begin(write=True) as txn:
            with txn.cursor(self._messages) as cursor:
                self._next = _KEY.unpack(cursor.key())[0] + 1 if cursor.last() else 0
            held = (txn.get(b"topic", db=self._state) or b"").decode()
            if not self._next:  # empty: numbers may start again, under another id
                txn.drop(self._state, delete=False)
                txn.put(b"id", secrets.token_bytes(8), db=self._state)
                txn.put(b"topic", topic.encode(), db=self._state)
            elif held != topic:
                raise UserError(
                    f"the spool {self.folder} holds readings for the topic {held}, not {topic}: "
                    f"give another --spool, or start with oda.kafka.readings = {held} until it is empty"
                )
            self.id = txn.get(b"id", db=self._state) or b""
            self.log = txn.get(b"log", db=self._state) or b""
            self.positions = _positions.decode(txn.get(b"positions", db=self._state) or b"\x80")

    @contextmanager
    def _writing(self) -> Iterator[lmdb.Transaction]:
        try:
            with self._env.begin(write=True) as txn:
                yield txn
        except lmdb.Error as error:
            raise SpoolError(f"the spool {self.folder} can't be written: {error}") from None

    def append(self, messages: Sequence[bytes]) -> None:
        """Add messages; they are durable when this returns.

        Raises SpoolError when there is no room for all of them.
        """
        with self._changed:
            with self._writing() as txn:
                with txn.cursor(self._messages) as cursor:
                    cursor.putmulti(((_KEY.pack(n), m) for n, m in enumerate(messages, self._next)), append=True)
                self._require(self._used(txn))
            self._next += len(messages)
            self._changed.notify_all()

    def require_room(self, size: int) -> None:
        """Raises SpoolError when there is none for messages of so many bytes in all."""
        with self._env.begin() as txn:
            self._require(self._used(txn) + size)

    def _require(self, used: int) -> None:
        if used > self._max_bytes:
            raise SpoolError(f"the spool {self.folder} is full: {self._max_bytes / 2**20:g} MB")

    def read(self, start: int, limit: int) -> list[tuple[int, bytes]]:
        """At most `limit` messages from number `start` on, with their numbers."""
        with self._env.begin() as txn, txn.cursor(self._messages) as cursor:
            if not cursor.set_range(_KEY.pack(start)):
                return []
            return [(_KEY.unpack(key)[0], message) for key, message in islice(cursor, limit)]

    def drop(self, end: int, positions: Mapping[int, int]) -> None:
        """Forget the messages before number `end`, and remember `positions` instead of the former ones.

        Raises SpoolError when the disk fails.
        """
        with self._writing() as txn:
            with txn.cursor(self._messages) as cursor:
                more, key = cursor.first(), _KEY.pack(end)
                while more and bytes(cursor.key()) < key:
                    more = cursor.delete()
            self._put_positions(txn, positions)
        self.positions = dict(positions)

    def follow(self, log: bytes, positions: Mapping[int, int]) -> None:
        """Remember which log the messages go to, and positions in it. Raises SpoolError when the disk fails."""
        with self._writing() as txn:
            txn.put(b"log", log, db=self._state)
            self._put_positions(txn, positions)
        self.log, self.positions = log, dict(positions)

    def _put_positions(self, txn: lmdb.Transaction, positions: Mapping[int, int]) -> None:
        txn.put(b"positions", msgspec.msgpack.encode(dict(positions)), db=self._state)

    def wait(self, number: int, seconds: float) -> None:
        """Return when message `number` is there, or after `seconds`."""
        with self._changed:
            self._changed.wait_for(lambda: self._next > number, seconds)

    def _used(self, txn: lmdb.Transaction) -> int:
        stat = txn.stat(self._messages)
        return (stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]) * stat["psize"]

    @property
    def fill(self) -> float:
        """How much of its room is used, from 0 to about 1."""
        with self._env.begin() as txn:
            return self._used(txn) / self._max_bytes

    def __len__(self) -> int:
        with self._env.begin() as txn:
            return txn.stat(self._messages)["entries"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()


def _made(folder: Path) -> set[Path]:
    """Make a folder and those above it; returns the folders that have new entries, or will have."""
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return {folder, *(path.parent for path in new)}


def _sync(folders: set[Path]) -> None:
    """LMDB makes its file's contents durable, but not its name, nor the folders'."""
    for path in folders:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _locked(folder: Path) -> IO[bytes]:
    """A lock that ends with the process. LMDB's own lets processes share, and they would number alike."""
    lock = (folder / "in-use").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise UserError(f"the spool {folder} is used by another `oda collect`: give another --spool") from None
    return lock
