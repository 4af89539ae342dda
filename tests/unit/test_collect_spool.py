"""The spool: in order, bounded, and durable against a real kill -9."""

import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oda.collect.spool import Spool, SpoolError
from oda.errors import UserError
from support import HANG_SECONDS

ROOM = 4 * 2**20

APPENDER = """
import itertools, sys
from pathlib import Path
from oda.collect.spool import Spool
with Spool(Path(sys.argv[1]), "readings", 2**30) as spool:
    number = spool._next
    for size in itertools.cycle((1, 7, 300)):
        spool.append([b"%d" % n for n in range(number, number + size)])
        number += size
        print(number, flush=True)
"""


def opened(folder: Path, topic: str = "readings", max_bytes: int = ROOM) -> Spool:
    return Spool(folder, topic, max_bytes)


def contents(spool: Spool) -> list[bytes]:
    return [message for _, message in spool.read(0, 10**9)]


appends = st.lists(st.binary(max_size=3000), min_size=1, max_size=20)
drops = st.integers(0, 30)


@settings(max_examples=30)
@given(st.lists(st.one_of(appends, drops, st.just("reopen")), max_size=15))
def test_it_holds_what_was_appended_and_not_dropped_in_order_also_after_a_restart(steps):
    with tempfile.TemporaryDirectory() as name:
        folder, expected, first = Path(name) / "spool", [], 0
        spool = opened(folder)
        for step in steps:
            if step == "reopen":
                spool.__exit__()
                spool = opened(folder)
                first = 0 if not expected else first
            elif isinstance(step, int):
                gone = min(step, len(expected))
                expected, first = expected[gone:], first + gone
                spool.drop(first, {0: first})
            else:
                spool.append(step)
                expected += step
            assert spool.read(0, 10**9) == list(enumerate(expected, first))
            assert len(spool) == len(expected)
        spool.__exit__()


def test_it_is_bounded_and_refuses_all_or_nothing(tmp_path):
    with opened(tmp_path / "spool") as spool:
        batch, batches = [b"x" * 90] * 1000, 0
        while spool.fill < 0.9:
            spool.append(batch)
            batches += 1
        with pytest.raises(SpoolError, match=f"{tmp_path}/spool is full: 4 MB"):
            spool.append(batch * 10)
        assert len(spool) == 1000 * batches
        assert 0.9 < spool.fill <= 1
        assert contents(spool) == batch * batches
        assert (tmp_path / "spool" / "data.mdb").stat().st_size < 2 * ROOM
        spool.drop(5000, {})
        spool.append(batch)
    with opened(tmp_path / "spool") as spool:
        assert [number for number, _ in spool.read(0, 10**9)] == list(range(5000, 1000 * batches + 1000))


def test_a_full_spool_can_be_drained_and_filled_again_and_again(tmp_path):
    generator, number, first = random.Random(1), 0, 0
    with opened(tmp_path / "spool") as spool:
        for _ in range(40):
            try:
                while True:
                    batch = [b"%d" % n + b"." * generator.randrange(3000) for n in range(number, number + 500)]
                    spool.append(batch)
                    number += 500
            except SpoolError:
                first = generator.randrange(first, number)
                spool.drop(first, {})
        assert [int(message.split(b".")[0]) for message in contents(spool)] == list(range(first, number))
        assert (tmp_path / "spool" / "data.mdb").stat().st_size < 2 * ROOM


def test_a_kill_in_mid_append_loses_nothing_that_was_acknowledged(tmp_path):
    acknowledged = 0
    for _ in range(5):
        command = [sys.executable, "-c", APPENDER, str(tmp_path / "spool")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as appender:
            appender.stdout.readline()
            time.sleep(random.uniform(0.05, 0.3))
            appender.send_signal(signal.SIGKILL)
            acknowledged = int(appender.stdout.read().splitlines()[-1])
        with opened(tmp_path / "spool") as spool:
            held = [int(message) for message in contents(spool)]
            assert held == list(range(len(held)))
            assert len(held) >= acknowledged


def test_numbers_start_again_only_under_another_id(tmp_path):
    with opened(tmp_path) as spool:
        first = spool.id
        spool.append([b"a", b"b"])
        spool.drop(1, {3: 42})
    with opened(tmp_path) as spool:
        assert (spool.id, spool.positions) == (first, {3: 42})
        spool.drop(2, {3: 43})
        spool.append([b"c"])
        assert spool.read(0, 9) == [(2, b"c")]
        spool.drop(3, {})
    with opened(tmp_path) as spool:
        assert spool.id != first
        assert spool.positions == {}


def test_positions_are_kept_with_the_log_that_they_are_of(tmp_path):
    with opened(tmp_path) as spool:
        assert (spool.log, spool.positions) == (b"", {})
        spool.append([b"a", b"b"])
        spool.follow(b"one", {0: 7})
        spool.drop(1, {0: 8})
    with opened(tmp_path) as spool:
        assert (spool.log, spool.positions) == (b"one", {0: 8})
        spool.follow(b"other", {0: 0})
    with opened(tmp_path) as spool:
        assert (spool.log, spool.positions, contents(spool)) == (b"other", {0: 0}, [b"b"])


def test_what_was_meant_for_one_topic_is_not_sent_to_another(tmp_path):
    with opened(tmp_path) as spool:
        spool.append([b"a"])
    with pytest.raises(UserError, match=r"holds readings for the topic readings, not other: give another --spool"):
        opened(tmp_path, "other")
    with opened(tmp_path) as spool:
        spool.drop(1, {})
    with opened(tmp_path, "other") as spool:
        assert len(spool) == 0


def test_it_is_one_process_own(tmp_path):
    with opened(tmp_path), pytest.raises(UserError, match="used by another"):
        opened(tmp_path)


def test_where_no_folder_can_be_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="can't be opened"):
        opened(tmp_path / "file" / "spool")
    (tmp_path / "data.mdb").write_bytes(b"\0" * 10_000)
    with pytest.raises(UserError, match="can't be opened"):
        opened(tmp_path)


def test_who_waits_for_a_message_is_woken(tmp_path):
    with opened(tmp_path) as spool:
        began = time.monotonic()
        later = threading.Timer(0.1, spool.append, [[b"a"]])
        later.start()
        spool.wait(0, seconds=2 * HANG_SECONDS)
        assert time.monotonic() - began < HANG_SECONDS
        assert contents(spool) == [b"a"]
        later.join()
