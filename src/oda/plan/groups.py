"""What groups take besides their readings: whoever tells of members, spout and bolt of groups, the log of members."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from oda.core.partition import MOST_SAVE_SECONDS, SAVE_BYTES
from oda.plan.demand import OPEN_SECONDS, Demand
from oda.plan.measured import GroupRun
from oda.settings import Snapshots

_SNAPSHOT_SECONDS = Snapshots().interval_ms / 1000


class GroupLoad(NamedTuple):
    """Of all groups.

    Attributes:
        told, read, merged: cores of the Kafka sink, of the spout of members and of the groups bolt.
        largest: cores that one group takes of the groups bolt, of which it can have one executor.
        logged: bytes a second in the log of members.
        memory: bytes of members that wait for their groups' windows to close.
    """

    told: float
    read: float
    merged: float
    largest: float
    logged: float
    memory: float


def load(runs: Sequence[GroupRun], demand: Demand) -> GroupLoad:
    """By whichever run took the most of each."""
    arriving = demand.members_windows
    waiting = arriving * OPEN_SECONDS
    groups = max(1, demand.groups)
    merged = 1e-6 * max(run.merged for run in runs)
    saved = 1e-6 * max(run.saved for run in runs)
    saves = 1 / _snapshot_seconds(waiting / groups * max(run.state for run in runs))
    bolt = arriving * merged + waiting * saved * saves
    return GroupLoad(
        told=arriving * 1e-6 * max(run.told for run in runs),
        read=arriving * 1e-6 * max(run.read for run in runs),
        merged=bolt,
        largest=bolt / groups,
        logged=arriving * max(run.logged for run in runs),
        memory=waiting * max(run.memory for run in runs),
    )


def _snapshot_seconds(state: float) -> float:
    """From one to the next, if one group's state has so many bytes. Those of others in its partition make it longer."""
    return max(_SNAPSHOT_SECONDS, min(state / SAVE_BYTES, MOST_SAVE_SECONDS))
