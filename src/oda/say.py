"""What a command that goes on tells the person who runs it."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """A line on stderr."""
    print(f"oda: {text}", file=sys.stderr, flush=True)
