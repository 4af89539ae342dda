"""Rules scored by what people said: which true incidents they find, which false alarms they raise again. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from oda.core.rules.match import Rules
from oda.core.spans import Spans
from oda.trial.found import Found
from oda.verdicts import Verdict


class Scored(NamedTuple):
    """Verdicts by what became of their incidents; `elsewhere` are of other series, or of other times."""

    found: list[Verdict]
    missed: list[Verdict]
    raised: list[Verdict]
    spared: list[Verdict]
    elsewhere: int


def score(found: Found, rules: Rules, verdicts: Iterable[Verdict]) -> Scored:
    """Score what was found.

    An incident is found if one of its series overlaps with it, whatever the detector; where the series' rule makes no
    incidents, an anomaly is enough.
    """
    incidents = Spans.of(found.incidents)
    anomalies = Spans((one.series, one.time, one.time) for one in found.anomalies)
    scored = Scored([], [], [], [], 0)
    for verdict in verdicts:
        if verdict.verdict is None:
            continue
        counts = found.series.get(verdict.series)
        if counts is None or verdict.last_time < counts.first or verdict.time > counts.last:
            scored = scored._replace(elsewhere=scored.elsewhere + 1)
            continue
        makes_incidents = any(watch.incident is not None for watch in rules.of(verdict.series).detectors)
        is_found = (incidents if makes_incidents else anomalies).meet(verdict.series, verdict.time, verdict.last_time)
        if verdict.verdict == "true":
            (scored.found if is_found else scored.missed).append(verdict)
        else:
            (scored.raised if is_found else scored.spared).append(verdict)
    return scored
