"""Memory of each process over a time, as a table."""

from __future__ import annotations

import numpy as np
from rich.table import Table

from oda.bench.recorder import Sample


def memory_table(samples: list[Sample], since: float, during: list[Sample]) -> Table:
    """Growth is the slope of a line through the samples of the time that counts; `before` is that of `since`."""
    columns = ("before", "at its start", "at its end", "highest", "growth a minute")
    table = Table("process", *columns, title="Resident memory, MiB, in the time that counts")
    for column in table.columns[1:]:
        column.justify = "right"
    before = [sample for sample in samples if sample.at < since][-1]
    for name in before.memory:
        rows = [(sample.at, sample.memory[name]) for sample in during if name in sample.memory]
        if not rows:
            table.add_row(name, f"{before.memory[name]:.0f}", "killed")
            continue
        at, memory = np.array(rows).T
        highest = max(sample.memory.get(name, 0) for sample in samples)
        figures = (before.memory[name], memory[0], memory[-1], highest)
        table.add_row(name, *(f"{mib:.0f}" for mib in figures), f"{np.polyfit(at, memory, 1)[0] * 60:+.1f}")
    return table
