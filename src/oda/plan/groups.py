"""What groups take besides their readings: whoever tells of members, spout and bolt of groups, the log of members."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from oda.plan.demand import OPEN_SECONDS, Demand
from oda.plan.measured import GroupRun

SNAPSHOT_SECONDS = 2.0
"""From one to the next; of much that waits they are rarer, so this is for the safe side."""


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
    arriving, waiting = demand.members_windows, demand.members_windows * OPEN_SECONDS
    told, read, merged, saved = (
        max(getattr(run, name) for run in runs) / 1e6 for name in ("told", "read", "merged", "saved")
    )
    bolt = arriving * merged + waiting / SNAPSHOT_SECONDS * saved
    return GroupLoad(
        arriving * told,
        arriving * read,
        bolt,
        bolt / max(1, demand.groups),
        arriving * max(run.logged for run in runs),
        waiting * max(run.memory for run in runs),
    )
