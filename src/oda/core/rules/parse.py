"""From a text to rules, with all that is wrong in it at once, by line and column."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from oda.core.detectors import load
from oda.core.detectors.contract import Detector, WindowDetector
from oda.core.incidents import Policy
from oda.core.rules import file, rule
from oda.core.rules.check import Checker, one_line
from oda.core.rules.document import Node, read
from oda.core.rules.groups import Groups
from oda.core.rules.match import Entry, Rules
from oda.core.rules.pattern import Pattern
from oda.core.rules.problem import Path, Problem, RulesError
from oda.errors import UserError
from oda.settings import Settings

MOST_BYTES = 128 * 1024
"""Of a new text: reading more of it would hold readings up for a second."""

_OWN_FIELDS = {info.alias or name for name, info in file.Watch.model_fields.items()}
"""Of a detector in a file, all others being its parameters."""


def parse(text: str, settings: Settings, version: int = 0) -> Rules:
    """The rules that a text says.

    Args:
        text: YAML, as docs/rules.md says.
        settings: what holds where the text says nothing.
        version: see `Rules`.

    Raises:
        RulesError: with every problem, by line and column.
    """
    if not version and len(text.encode(errors="replace")) > MOST_BYTES:  # what was applied has got a little longer
        raise RulesError([Problem(1, 1, (), f"has more than {MOST_BYTES} bytes")])
    parser = _Parser(read(text), settings)
    entries = parser.entries()
    groups = Groups(parser.checker, settings, version).groups(parser.part("groups"))
    if parser.checker.problems:
        raise RulesError(parser.checker.problems)
    return Rules(version, _with_versions(text, parser.uses), entries, rule.rule_of_options(settings), groups)


@lru_cache(4)
def parsed(text: str, settings: Settings, version: int) -> Rules:
    """As `parse`, kept for who asks next: each partition does, and a long text takes a second."""
    return parse(text, settings, version)


def _with_versions(text: str, uses: list[tuple[Node, str]]) -> str:
    """The text with the full name of each detector: a newer one must not change what was applied."""
    for node, name in sorted(uses, key=lambda use: use[0].place.start, reverse=True):
        if node.content != name:
            text = text[: node.place.start] + json.dumps(name) + text[node.place.end :]  # which is YAML, too
    return text


class _Parser:
    """Goes through a document; `uses` is where it names a detector, with that one's full name."""

    def __init__(self, root: Node, settings: Settings) -> None:
        self.checker = Checker(root)
        self.uses: list[tuple[Node, str]] = []
        self._root = root
        self._settings = settings

    def entries(self) -> list[Entry]:
        if not self.checker.check(file.File, self._root.plain(), ()):
            return []
        rules = enumerate(self._root.content["rules"].content)
        return [entry for number, node in rules if (entry := self._entry(node.plain(), ("rules", number)))]

    def part(self, name: str) -> list[Any]:
        """The items of a list of the file; none if there is no such list."""
        content = self._root.plain()
        found = content.get(name) if isinstance(content, dict) else None
        return found if isinstance(found, list) else []

    def _entry(self, value: Any, path: Path) -> Entry | None:
        said = self.checker.check(file.Rule, value, path)
        # Also of a rule that is wrong elsewhere, for what is wrong there.
        given = value.get("detectors") if isinstance(value, dict) else None
        watches = self._watches(given, said or file.Options(), path)
        if said is None:
            return None
        if said.window == "each":
            self._without_windows(watches)
        labels = tuple(sorted(said.labels.items()))
        found = rule.Rule(_window(said.window, self._settings), tuple(watches.values()), said.lead, labels)
        return Entry(_pattern(said.series), found)

    def _watches(self, given: Any, options: file.Options, path: Path) -> dict[Path, rule.Watch]:
        """The detectors of a rule, by their places."""
        if not isinstance(given, list):
            detector = rule.detector_of_options(self._settings)
            said = file.Watch.model_validate({"use": detector.name})
            return {path: self._watch(said, detector, options, path)}
        found: dict[Path, rule.Watch] = {}
        for number, one in enumerate(given[: file.MOST_DETECTORS]):
            place = (*path, "detectors", number)
            watch = self._named(one, options, place)
            if watch and watch.name in {other.name for other in found.values()}:
                self.checker.problem(place, f"another one of this rule is called {watch.name}, too: set `as`")
            elif watch:
                found[place] = watch
        return found

    def _without_windows(self, watches: dict[Path, rule.Watch]) -> None:
        for place, watch in watches.items():
            if isinstance(watch.detector, WindowDetector):
                self.checker.problem(place, f"{watch.detector.name} judges windows: with `window: each` there are none")

    def _named(self, value: Any, options: file.Options, path: Path) -> rule.Watch | None:
        """A detector that the file names, with its parameters beside its other fields."""
        own, parameters = value, {}
        if isinstance(value, dict):
            own = {key: part for key, part in value.items() if key in _OWN_FIELDS}
            parameters = {key: part for key, part in value.items() if key not in _OWN_FIELDS}
        said = self.checker.check(file.Watch, own, path)
        detector = self._detector(own.get("use") if isinstance(own, dict) else None, parameters, path)
        return self._watch(said, detector, options, path) if said and detector else None

    def _detector(self, use: Any, values: dict[str, Any], path: Path) -> Detector[Any, Any] | None:
        if not isinstance(use, str):
            return None
        try:
            kind = load(use)
        except UserError as error:
            self.checker.problem((*path, "use"), one_line(str(error)))
            return None
        node = self._root.part((*path, "use"))
        if node.is_block:
            self.checker.problem((*path, "use"), "must be in one line")
        self.uses.append((node, kind.name))
        parameters = self.checker.check(kind.Parameters, values, path, f"parameter of {kind.name}")
        try:
            return kind(parameters) if parameters else None
        except ValueError as error:
            self.checker.problem(path, one_line(str(error)))
            return None

    def _watch(self, said: file.Watch, detector: Detector[Any, Any], options: file.Options, path: Path) -> rule.Watch:
        """What a detector says of itself comes before what its rule says for all."""
        least = said.least or options.least or file.Least()
        severity = said.severity or options.severity or "warning"
        incident = said.incident or options.incident
        if incident and incident.escalate:
            worse = incident.escalate.to
            if file.SEVERITIES.index(worse) <= file.SEVERITIES.index(severity):
                place = (*path, "incident", "escalate", "to")
                self.checker.problem(place, f"is no worse than its severity, which is {severity} from the beginning")
        return rule.Watch(
            said.as_ or detector.name,
            detector,
            said.direction or options.direction or "both",
            least.absolute,
            least.relative,
            severity,
            _policy(incident) if incident else None,
        )


def _pattern(said: str | file.Regex) -> Pattern:
    return Pattern(said.regex, is_regex=True) if isinstance(said, file.Regex) else Pattern(said)


def _window(said: file.Window | str, settings: Settings) -> rule.WindowRule | None:
    if isinstance(said, str):
        return None
    default = rule.window_of_options(settings)
    return rule.WindowRule(
        default.size_ms if said.size is None else said.size,
        default.lateness_ms if said.lateness is None else said.lateness,
        default.idle_ms if said.idle is None else said.idle,
    )


def _policy(said: file.Incident) -> Policy:
    rest, escalate = said.rest, said.escalate
    return Policy(
        anomalies=said.open.anomalies,
        of=said.open.of or said.open.anomalies,
        quiet_ms=said.quiet,
        rest_readings=(rest and rest.readings) or 0,
        rest_ms=(rest and rest.time) or 0,
        escalate_anomalies=escalate.anomalies if escalate else 0,
        escalate_to=escalate.to if escalate else "critical",
    )
