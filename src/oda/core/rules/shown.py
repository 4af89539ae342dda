"""Rules as YAML again: all that holds, whether the file says it or not, in one form. What differs in it matters."""

from __future__ import annotations

from io import StringIO
from typing import Any

from ruamel.yaml import YAML

from oda.core.duration import written
from oda.core.incidents import Policy
from oda.core.rules.match import Group, Rules
from oda.core.rules.pattern import Pattern
from oda.core.rules.rule import Rule, Watch, WindowRule


def as_yaml(content: Any) -> str:
    """Mappings, sequences and plain values as YAML, fields in their order."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 2**16
    out = StringIO()
    yaml.dump(content, out)
    return out.getvalue()


def shown(rules: Rules) -> str:
    """All rules of a version as a file that says the same, with the topology's options written out."""
    found: dict[str, Any] = {"rules": [described(entry.series, entry.rule) for entry in rules.entries]}
    return as_yaml(found | ({"groups": [_group(group) for group in rules.groups]} if rules.groups else {}))


def described(series: Pattern, rule: Rule) -> dict[str, Any]:
    """A rule as it is in a file, with all that holds."""
    found: dict[str, Any] = {
        "series": {"regex": series.text} if series.is_regex else series.text,
        "window": "each" if rule.window is None else _window(rule.window),
        "detectors": [_watch(watch) for watch in rule.detectors],
    }
    if rule.lead_ms is not None:
        found["lead"] = written(rule.lead_ms)
    if rule.labels:
        found["labels"] = dict(rule.labels)
    return found


def _group(group: Group) -> dict[str, Any]:
    naming, definition, suppresses = group
    word, _, parameter = definition.aggregate.partition(":")
    return {
        "name": naming.name,
        "members": naming.members,
        "aggregate": {word: float(parameter)} if parameter else word,
        "window": {"size": written(definition.size), "lateness": written(definition.lateness)},
        "least": definition.least,
        "suppresses": suppresses,
    }


def _window(window: WindowRule) -> dict[str, Any]:
    return {
        "size": written(window.size_ms),
        "lateness": written(window.lateness_ms),
        "idle": written(window.idle_ms),
    }


def _watch(watch: Watch) -> dict[str, Any]:
    found = {
        "use": watch.detector.name,
        **watch.detector.parameters.model_dump(mode="json"),
        "as": watch.name,
        "direction": watch.direction,
        "least": {"absolute": watch.least_absolute, "relative": watch.least_relative},
        "severity": watch.severity,
    }
    return found | ({"incident": _policy(watch.incident)} if watch.incident else {})


def _policy(policy: Policy) -> dict[str, Any]:
    found: dict[str, Any] = {
        "open": {"anomalies": policy.anomalies, "of": policy.of},
        "quiet": written(policy.quiet_ms),
    }
    if policy.rest_readings:
        found["rest"] = {"readings": policy.rest_readings}
    if policy.rest_ms:
        found["rest"] = {"time": written(policy.rest_ms)}
    if policy.escalate_anomalies:
        found["escalate"] = {"anomalies": policy.escalate_anomalies, "to": policy.escalate_to}
    return found
