"""What an audit says of one kind of row in one store."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

EXAMPLES = 5
"""How many rows of each fault are described."""

Fault = Literal["missing", "extra", "different"]


@dataclass
class Comparison:
    """What came of comparing one kind of row in one store; rows are counted once by identity."""

    store: str
    rows: str
    expected: int = 0
    found: int = 0
    missing: int = 0
    extra: int = 0
    different: int = 0
    examples: dict[Fault, list[str]] = field(default_factory=lambda: {"missing": [], "extra": [], "different": []})

    @property
    def faults(self) -> int:
        """How many rows are wrong."""
        return self.missing + self.extra + self.different

    def add(self, fault: Fault, count: int, examples: Iterable[str]) -> None:
        """Count faults; the first few are kept as examples."""
        setattr(self, fault, getattr(self, fault) + count)
        kept = self.examples[fault]
        kept.extend(example for example, _ in zip(examples, range(EXAMPLES - len(kept)), strict=False))
