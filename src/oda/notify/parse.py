"""From a text to receivers and routes, with all that is wrong in it at once, by line and column."""

from __future__ import annotations

from oda.core.rules.check import Checker
from oda.core.rules.document import read
from oda.core.rules.problem import RulesError
from oda.notify.file import File


def parse(text: str) -> File:
    """What a text says.

    Args:
        text: YAML, as docs/notify.md says.

    Raises:
        RulesError: with every problem, by line and column.
    """
    root = read(text)
    checker = Checker(root)
    found = checker.check(File, root.plain(), ())
    if found:
        _check_names(found, checker)
    if not found or checker.problems:
        raise RulesError(checker.problems)
    return found


def _check_names(file: File, checker: Checker) -> None:
    """Each receiver has a name of its own, and some route leads to it; no route leads nowhere."""
    names = [receiver.name for receiver in file.receivers]
    reached = {name for route in file.routes for name in route.to}
    for number, name in enumerate(names):
        if name in names[:number]:
            checker.problem(("receivers", number, "name"), f"another receiver is called {name}, too")
        elif name not in reached:
            checker.problem(("receivers", number, "name"), f"no route leads to {name}")
    for number, route in enumerate(file.routes):
        for place, name in enumerate(route.to):
            if name not in names:
                checker.problem(("routes", number, "to", place), f"there is no receiver {name}")
