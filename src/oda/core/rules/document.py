"""YAML as plain values, each with its place in the text.

Of YAML 1.2 what a list of rules needs: mappings with text as keys, sequences, texts, numbers, true, false, null. No
anchors and aliases, since a few lines of them say billions, no tags, no second document.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from ruamel.yaml.nodes import ScalarNode

from oda.core.rules.problem import Path, Problem, RulesError, shown
from oda.errors import shorten

_MAX_DEPTH = 20
_NUMBERS_AND_SUCH = {f"tag:yaml.org,2002:{name}" for name in ("int", "float", "bool", "null")}


class Place(NamedTuple):
    """In the text: line and column from 1 on, and characters before it and before its end."""

    line: int
    column: int
    start: int
    end: int


@dataclass
class Node:
    """A value with its place; `content` is a list or a mapping of nodes, or a plain value.

    `keys` has the places of a mapping's keys; `is_block` if it is a text of lines of its own, after `|` or `>`.
    """

    place: Place
    content: Any
    keys: dict[str, Place] = field(default_factory=dict)
    is_block: bool = False

    def plain(self) -> Any:
        """The value alone."""
        if isinstance(self.content, dict):
            return {key: node.plain() for key, node in self.content.items()}
        if isinstance(self.content, list):
            return [node.plain() for node in self.content]
        return self.content

    def part(self, path: Path) -> Node:
        """The node of a part that is there."""
        node = self
        for part in path:
            node = node.content[part]
        return node

    def at(self, path: Path) -> Place:
        """The place of a part: of a field its name's. What is not there is at what would hold it."""
        node, place = self, self.place
        for part in path:
            if isinstance(node.content, dict) and part in node.content:
                node, place = node.content[part], node.keys[str(part)]
            elif isinstance(node.content, list) and isinstance(part, int) and part < len(node.content):
                node = node.content[part]
                place = node.place
        return place


def read(text: str) -> Node:
    """The only document in a text.

    Raises:
        RulesError: it is not YAML, or says what is not taken.
    """
    composer = _Composer(text)
    try:
        root = composer.root()
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = shorten(" ".join(filter(None, [error.context, error.problem])).replace("\n", " "))
        hint = ": a tab can't indent, only spaces can" if "'\\t'" in what else ""
        raise RulesError([*composer.problems, Problem(line, column, (), f"not YAML: {what}{hint}")]) from None
    except (YAMLError, ValueError) as error:  # a character that YAML does not take, such as half a surrogate pair
        at = text[: getattr(error, "position", 0)]
        place = at.count("\n") + 1, len(at) - at.rfind("\n")
        raise RulesError([*composer.problems, Problem(*place, (), "not YAML: a character that is not taken")]) from None
    if composer.problems:
        raise RulesError(composer.problems)
    return root


class _Composer:
    """Nodes out of the parser's events."""

    def __init__(self, text: str) -> None:
        self.problems: list[Problem] = []
        self._yaml = YAML(typ="safe", pure=True)
        self._events: Iterator[Any] = self._yaml.parse(text)

    def root(self) -> Node:
        next(self._events)  # the stream's start
        start = next(self._events)
        if isinstance(start, StreamEndEvent):
            return Node(_place(start), None)
        root = self._node(next(self._events), ())
        while not isinstance(next(self._events), DocumentEndEvent):
            pass
        after = next(self._events)
        if isinstance(after, DocumentStartEvent):
            self._problem(after, (), "a second document begins here; there must be one")
        return root

    def _node(self, event: Any, path: Path) -> Node:
        if len(path) > _MAX_DEPTH:
            raise RulesError([*self.problems, Problem(*_place(event)[:2], path[:3], "too deep")])
        if isinstance(event, AliasEvent) or event.anchor is not None:
            self._problem(event, path, "anchors and aliases are not taken: write it out")
        if isinstance(event, AliasEvent):
            return Node(_place(event), None)
        if event.tag is not None:
            self._problem(event, path, f"tags such as {shorten(shown(event.tag), 50)} are not taken")
        if isinstance(event, MappingStartEvent):
            return self._mapping(event, path)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(event, path)
        return Node(_place(event), self._scalar(event, path), is_block=event.style in ("|", ">"))

    def _mapping(self, start: Any, path: Path) -> Node:
        found = Node(_place(start), {})
        while not isinstance(event := next(self._events), MappingEndEvent):
            key = self._node(event, path)
            name = event.value if isinstance(event, ScalarEvent) else None
            value = self._node(next(self._events), (*path, name or ""))
            if name is None:
                self._problem(event, path, "a field's name must be text")
            elif name in found.content:
                line = found.keys[name].line
                self._problem(event, (*path, name), f"is there twice, the first time in line {line}")
            else:
                found.content[name], found.keys[name] = value, key.place
        return found

    def _sequence(self, start: Any, path: Path) -> Node:
        found = Node(_place(start), [])
        while not isinstance(event := next(self._events), SequenceEndEvent):
            found.content.append(self._node(event, (*path, len(found.content))))
        return found

    def _scalar(self, event: Any, path: Path) -> Any:
        if any("\ud800" <= character <= "\udfff" for character in event.value):
            self._problem(event, path, "half a UTF-16 surrogate pair")
        tag = str(self._yaml.resolver.resolve(ScalarNode, event.value, event.implicit))
        if tag not in _NUMBERS_AND_SUCH:
            return event.value
        try:
            return self._yaml.constructor.construct_object(ScalarNode(tag, event.value, event.start_mark))
        except ValueError:
            self._problem(event, path, f"is no number: {shorten(event.value, 50)}")

    def _problem(self, event: Any, path: Path, what: str) -> None:
        self.problems.append(Problem(*_place(event)[:2], path, what))


def _place(event: Any) -> Place:
    start = event.start_mark
    return Place(start.line + 1, start.column + 1, start.index, event.end_mark.index)
