"""Shows that the simulation has teeth: breaks one rule of docs/exactly-once.md after the other, in a copy.

python tests/sim/mutations.py            # each must be found within a minute
python tests/sim/mutations.py commit     # those whose name has this word
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
SECONDS = 60


class Edit(NamedTuple):
    """Of a file in src; `old` is there once."""

    file: str
    old: str
    new: str


PARTITION, MACHINE, PROGRESS = "oda/core/partition.py", "oda/core/machine.py", "oda/core/progress.py"
GROUPS = "oda/core/groups/"
WINDOWS, JUDGEMENT = "oda/core/windows.py", "oda/core/judgement.py"

MUTATIONS = {
    "a batch is acknowledged before its snapshot is durable": [
        Edit(PARTITION, "if batch.end <= self._done:", "if True:")
    ],
    "a durable snapshot acknowledges what is beyond it, too": [
        Edit(PARTITION, "for end, handle in self._unacked.values() if end <= self._done]",
             "for end, handle in self._unacked.values() if True]"),
        Edit(PARTITION, "if waiting[0] > self._done}", "if False}"),
    ],
    "a batch beyond the applied position is applied": [
        Edit(PARTITION, "if batch.start <= machine.position]", "if True]"),
        Edit(MACHINE, "if batch.start > self.position:", "if False:"),
    ],
    "a duplicate is applied again": [
        Edit(MACHINE, "if batch.end > self.position:", "if True:"),
        Edit(WINDOWS, "batch.readings.since(self.position)", "batch.readings"),
    ],
    "a batch of members is acknowledged before what it made is published": [
        Edit(GROUPS + "publishing.py", "return min(super()._done, self._published)", "return super()._done"),
    ],
    "what a snapshot has made is not published again": [
        Edit(GROUPS + "publishing.py", "self._asked = self._published = machine.forgotten",
             "self._asked = self._published = machine.position"),
    ],
    "a repeated derived reading counts again": [
        Edit(WINDOWS, "if time <= state.derived:", "if False:"),
    ],
    "a repeated member counts again": [
        Edit(GROUPS + "merging.py", "if key in seen or (source is not None and member.closed_at < source.position):",
             "if False:"),
    ],
    "a member that comes again behind progress is late": [
        Edit(GROUPS + "merging.py", "if key in seen or (source is not None and member.closed_at < source.position):",
             "if key in seen:"),
    ],
    "progress is told of what does not chain": [
        Edit(GROUPS + "telling.py", "if start <= self.through:", "if True:"),
    ],
    "a snapshot in which nobody has told progress closes all windows": [
        Edit(GROUPS + "merging.py", "if 0 < len(self._sources) == self._partitions:",
             "if len(self._sources) == self._partitions:"),
    ],
    "members are merged in the order in which they came": [
        Edit(GROUPS + "aggregates.py", "rows = sorted(rows, key=lambda row: row.place)", "rows = list(rows)"),
    ],
    "a series of a group ends": [
        Edit(WINDOWS, "not state.open and state.derived < 0:", "not state.open:"),
        Edit("oda/core/silence.py", "            and state.derived < 0\n", ""),
    ],
    "what the window bolt has forgotten is taken for nothing": [
        Edit(JUDGEMENT, "if batch.closings.since > self.position:", "if False:"),
    ],
    "a series keeps its baseline when it ends": [
        Edit(JUDGEMENT, "[end for end in batch.closings.ended if end.offset >= self.position]", "[]"),
    ],
    "an older version of the rules is followed, too": [
        Edit(MACHINE, "mark.offset >= self.position and mark.version > version", "mark.offset >= self.position")
    ],
    "a snapshot has no rules": [
        Edit("oda/core/snapshot.py", "parsed(text, fresh.settings, found.version) if found.version else", ""),
    ],
    "rules hold from the next batch on": [
        Edit(WINDOWS, "            readings = readings.since(mark.offset)\n            if isinstance(mark, ClockMark)",
             "            if isinstance(mark, RuleMark):\n"
             "                self._apply_readings(readings.since(mark.offset))\n"
             "                readings = readings.since(batch.end)\n"
             "            readings = readings.since(mark.offset)\n            if isinstance(mark, ClockMark)"),
    ],
    "what detectors have learned is not kept by a change of rules": [
        Edit("oda/core/judged.py", "is_other = has_other_windows or", "is_other = True or has_other_windows or"),
    ],
    "an incident is open in one process only": [
        Edit("oda/core/judged.py", "        if found is not None and found.detector == number_of(watch):",
             "        if found is not None and found.detector == number_of(watch):\n            found.tracked = None"),
    ],
    "a reading far ahead moves its series at once": [
        Edit("oda/core/lead.py", "if time - self.newest <= lead:", "if True:")
    ],
    "what is held as an outlier of time is not in the snapshot": [
        Edit(WINDOWS, "dict(besides[\"held\"])", "{}"),
    ],
    "a snapshot of changes leaves out what was put out since the one before": [
        Edit(MACHINE, "ledger.since(since)", "[]"),
    ],
    "a snapshot of changes keeps series that have ended": [
        Edit(MACHINE, "list(changed - self.series.keys()),", "[],"),
    ],
    "a replay puts out nothing": [
        Edit(MACHINE, "return {name: ledger.between(batch.start, batch.end)",
             "return {name: ledger.between(batch.start, batch.end) if batch.seq < 9 else []")
    ],
    "the ledger is pruned up to what is applied": [
        Edit(MACHINE, "self._forget(batch.committed)", "self._forget(self.position)")
    ],
    "a clock record closes windows of a series that was heard since": [
        Edit(WINDOWS, "state is None or state.last_offset >= mark.position", "state is None")
    ],
    "the clock closes windows here and not in the log": [
        Edit("oda/core/window_partition.py", "        return actions\n\n    def _silence",
             "        from oda.core.batch import ClockMark\n        for mark in actions:\n"
             "            if isinstance(mark, Mark):\n"
             "                self._machine._apply_clock(ClockMark(self.position - 1, *mark))\n"
             "        return actions\n\n    def _silence"),
    ],
    "the judge is not told how late it is by the clock": [Edit(WINDOWS, "if rule.quiets:", "if False:")],
    "silence ends what is found by it": [
        Edit("oda/core/incidents.py", "if event.anomalies or incident.by_clock:", "if event.anomalies:")
    ],
    "who was overtaken goes on": [
        Edit(PARTITION, "if not self._is_new:", "if False:"),
        Edit(PARTITION, "if self._committed > self._committed_before:", "if False:"),
    ],
    "halves are joined by the run of the spout alone": [
        Edit("bolts/anomalies.py", "tuple(tup.values[:3])", "tuple(tup.values[:2])")
    ],
    "all runs of the spout have the same number": [
        Edit("spouts/readings.py", "self.epoch = self.world.draw()", "self.epoch = 1")
    ],
    "what is emitted is committed": [
        Edit(PROGRESS, "return self.position if oldest is None else oldest.batch.start", "return self.position")
    ],
    "a batch is done when it is on one stream": [Edit(PROGRESS, "if sent.waiting:", "if False:")],
    "a batch that fails is not emitted again": [
        Edit(PROGRESS, "return Replay([number], timed_out)", "return _NOTHING"),
        Edit(PROGRESS, "return Replay([other for other, sent in self._sent.items() if stream in sent.waiting],",
             "return Replay([],"),
    ],
    "a sink acknowledges what it has not written": [
        Edit("bolts/sink.py", '"""Queue a tuple."""', "self.ack(tup)"),
        Edit("bolts/sink.py", "        for tup in tuples:\n            self.ack(tup)\n", "        return\n"),
    ],
}  # fmt: skip


def found(edits: list[Edit]) -> str | None:
    """What the simulation says of a copy with these edits; None if nothing within the time."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in ("src", "topologies", "tests/sim"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "config.json", copy)
        for file, old, new in edits:
            path = copy / "src" / file
            text = path.read_text()
            if text.count(old) != 1:
                sys.exit(f"{file} does not have this once any more: {old}")
            path.write_text(text.replace(old, new))
        command = [
            sys.executable,
            "-W",
            "ignore",
            copy / "tests" / "sim" / "run.py",
            "--first",
            "1",
            "--seeds",
            "100000",
        ]
        try:
            done = subprocess.run(
                command, cwd=copy, env=os.environ | {"PYTHONPATH": str(copy / "src")}, capture_output=True, text=True,
                timeout=SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return None
        lines = done.stdout.strip().splitlines()
        return f"{lines[-1].split()[-1]}: {lines[-3]}"[:100]


def main() -> int:
    """Exit code 1 if one was not found."""
    missed = 0
    for name, edits in MUTATIONS.items():
        if any(word not in name for word in sys.argv[1:]):
            continue
        began = time.monotonic()
        result = found(edits)
        missed += result is None
        print(
            f"{time.monotonic() - began:5.1f} s  {name}: {'NOT FOUND' if result is None else f'seed {result}'}",
            flush=True,
        )
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main())
