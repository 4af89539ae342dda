"""What a group does with the windows of its members."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

PREFIX = "group:"
"""What the names of groups' series begin with, and those of no other: so no rule is needed to tell them apart."""


class Definition(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Goes with each member, so that whoever merges them needs no rules, and can't have other ones.

    `rules` is their version; times in ms. A window with fewer than `least` members makes no reading.
    """

    rules: int
    size: int
    lateness: int
    aggregate: str
    least: int


class Membership(NamedTuple):
    """That a series belongs to a group."""

    group: str
    definition: Definition


def is_group(series: str) -> bool:
    """Whether a series is a group's.

    >>> is_group("group:berlin/power"), is_group("site/berlin/pump-7/power")
    (True, False)
    """
    return series.startswith(PREFIX)
