from __future__ import annotations
from typing import Any, Literal, NamedTuple
import msgspec
from oda.core.kinds import Anomaly, Incident
Cause = Literal["data", "clock", "rules"]
class Tracked(msgspec.Struct, array_like=True):
    x: int = 0
class Case(NamedTuple):
    watch: Any
    labels: Any
    version: int
def follow(tracked, case, readings, found, silent):
    return None, []
def resolve(tracked, case, offset, cause):
    return []
