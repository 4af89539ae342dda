"""Parts of a document against pydantic's models: what is wrong is told by the document's lines and columns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from oda.core.rules.document import Node
from oda.core.rules.problem import Path, Problem
from oda.errors import shorten

Model = TypeVar("Model", bound=BaseModel)


class Checker:
    """Checks parts of a document; `problems` is what was wrong so far."""

    def __init__(self, root: Node) -> None:
        self.problems: list[Problem] = []
        self._root = root

    def check(self, model: type[Model], value: Any, path: Path, what: str = "field") -> Model | None:
        """The value of a part as a model; None if it is none, which is told; `what` says what its fields are."""
        try:
            # As JSON, in which a list is a tuple as well, and a name is an enumeration's.
            return model.model_validate_json(json.dumps(value), strict=True)
        except ValidationError as error:
            for found in error.errors():
                if found["type"] == "extra_forbidden":
                    message = f"there is no such {what}"
                elif found["type"] == "missing":
                    message = "is missing"
                else:
                    message = found["msg"].removeprefix("Value error, ")
                    message = f"{message} (it is {shorten(repr(found['input']), 100)})"
                self.problem((*path, *_fields(value, found["loc"])), one_line(message))
        return None

    def problem(self, path: Path, what: str) -> None:
        """Note that something is wrong with a part."""
        place = self._root.at(path)
        self.problems.append(Problem(place.line, place.column, path, what))


def _fields(value: Any, location: Path) -> Iterator[str | int]:
    """Where pydantic found a problem, without what it adds: which of several types it tried, or that a key is meant.

    >>> list(_fields({"series": {"regex": "("}}, ("series", "a regular expression", "regex")))
    ['series', 'regex']
    """
    for number, part in enumerate(location):
        if part in value if isinstance(value, dict) else isinstance(value, list) and isinstance(part, int):
            value = value[part]
            yield part
        elif number == len(location) - 1 and isinstance(value, dict) and part != "[key]":  # what is missing
            yield part


def one_line(text: str) -> str:
    """A text that can be shown in one line."""
    return shorten(text if text.isprintable() else repr(text)[1:-1], 500)
