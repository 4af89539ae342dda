"""Rules that are made up, with parameters under which something happens in a few seconds."""

from __future__ import annotations

import json
from random import Random
from typing import Any

_DETECTORS: tuple[dict[str, Any], ...] = (
    {"use": "sigma", "sigmas": 1},
    {"use": "sigma", "sigmas": 2, "min_count": 1, "min_stddev": 0.5},
    {"use": "student", "sigmas": 1},
    {"use": "robust", "sigmas": 1, "windows": 4, "min_windows": 3},
    {"use": "seasonal", "sigmas": 1, "period": 4000, "phases": 2, "min_periods": 1},
    {"use": "stuck", "readings": 2},
    {"use": "silent"},
    {"use": "level", "sigmas": 1, "recent": 2, "before": 4, "min_before": 2},
    {"use": "rate", "sigmas": 1, "windows": 4, "min_windows": 2},
    {"use": "d1", "threshold": 0.01, "warm_up": 2, "rest": 3},
    {"use": "d5", "threshold": 0.01, "warm_up": 2, "rest": 3},
)
_JUDGE_WINDOWS = ("stuck", "silent", "level", "rate")


def some_rules(random: Random, series: int) -> str:
    """A file of rules for series that are called s0, s1, ..."""
    patterns = random.sample([*(f"s{number}" for number in range(series)), "s*", "s[0-2]", "*", "group:*"], 3)
    file = {"rules": [_rule(random, pattern) for pattern in patterns], "groups": _groups(random)}
    return json.dumps(file, indent=1)  # which is YAML


_AGGREGATES = ("mean", "sum", "minimum", "maximum", "stddev", "members", "readings", "anomalous", "late")


_NONE: tuple[tuple[str, str], ...] = ()
_ONE = (("all", "s*"),)
_SEVERAL = (("a{n}", "s{n}"), ("all", "s*"), ("top", "group:a*"))


def _groups(random: Random) -> list[dict[str, Any]]:
    """None, or some; the last one is of groups."""
    namings = random.choice((_NONE, _ONE, _SEVERAL, _SEVERAL))
    return [
        {
            "name": name,
            "members": members,
            "aggregate": random.choice((*_AGGREGATES, {"quantile": random.random()})),
            "window": {"size": random.choice((500, 2000, 5000)), "lateness": random.choice((0, 1000, 5000))},
            "least": random.choice((1, 1, 2)),
        }
        for name, members in namings
    ]


def changed(random: Random, text: str) -> str:
    """The same rules but for what detectors do not learn from: what they have learned stays."""
    file = json.loads(text)
    for rule in file["rules"]:
        rule["labels"] = {"number": str(random.random())}
        for detector in rule["detectors"]:
            detector |= _options(random)
    return json.dumps(file, indent=1)


def _rule(random: Random, pattern: str) -> dict[str, Any]:
    rule: dict[str, Any] = {"series": pattern}
    detectors = list({one["use"]: one for one in random.sample(_DETECTORS, random.randint(1, 3))}.values())
    if random.random() < 0.15:
        rule["window"] = "each"
        detectors = [one for one in detectors if one["use"] not in _JUDGE_WINDOWS] or [{"use": "d1"}]
    elif random.random() < 0.7:
        rule["window"] = {"size": random.choice((500, 2000)), "lateness": random.choice((0, 300)), "idle": 1000}
    rule["detectors"] = [{**one, "as": one["use"], **_options(random)} for one in detectors]
    if random.random() < 0.5:
        rule["lead"] = random.choice((500, 2000))
    if random.random() < 0.3:
        rule["labels"] = {"site": random.choice(("berlin", "köln"))}
    return rule


def _options(random: Random) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if random.random() < 0.3:
        options["direction"] = random.choice(("high", "low"))
    if random.random() < 0.2:
        options["least"] = {"absolute": 0.5, "relative": 0.1}
    if random.random() < 0.7:
        options["incident"] = _policy(random)
    return options


def _policy(random: Random) -> dict[str, Any]:
    anomalies = random.choice((1, 1, 2, 3))
    policy: dict[str, Any] = {
        "open": {"anomalies": anomalies, "of": anomalies + random.choice((0, 2))},
        "quiet": random.choice((500, 3000)),
    }
    if random.random() < 0.3:
        policy["rest"] = random.choice(({"readings": 5}, {"time": 2000}))
    if random.random() < 0.3:
        policy["escalate"] = {"anomalies": 4, "to": "critical"}
    return policy
