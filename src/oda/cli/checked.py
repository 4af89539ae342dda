"""Files of YAML that a command is given: read, and if something is wrong in them, told by line and column."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from oda.core.rules.problem import RulesError
from oda.errors import UserError


def text_of(file: Path) -> str:
    """Raises UserError when it can't be read."""
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not UTF-8: {error}") from None


@contextmanager
def problems_of(name: str) -> Iterator[None]:
    """Ends the program with a line for each problem of what is parsed within."""
    try:
        yield
    except RulesError as error:
        for line in str(error).splitlines():
            print(f"{name}:{line}")
        raise typer.Exit(1) from None
