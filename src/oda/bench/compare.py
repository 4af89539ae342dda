"""The same work by every engine in turn, several rounds, every result checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from oda.bench.engines import Engine, Task
from oda.bench.group_results import expected_groups
from oda.bench.group_rule import windows_over
from oda.bench.own import own_stream
from oda.bench.results import differences, expect
from oda.bench.workload import Workload, fill
from oda.cli.context import Context
from oda.errors import UserError


@dataclass
class EngineRates:
    """One workload: readings a second by engine, one figure a round, and the day (UTC) it was measured on."""

    workload: Workload
    rates: dict[str, list[float]] = field(default_factory=dict)
    date: str = field(default_factory=lambda: datetime.now(UTC).date().isoformat())

    def ratios(self, name: str, reference: str) -> list[float]:
        """An engine's rate over the reference's, round by round."""
        return [one / other for one, other in zip(self.rates[name], self.rates[reference], strict=False)]


def compare(
    context: Context,
    engines: Sequence[Engine],
    workloads: Iterable[Workload],
    rounds: int,
    tell: Callable[[str], None],
) -> Iterable[EngineRates]:
    """Yield each workload's figures, anew after each round.

    Raises:
        UserError: an engine failed, or its results are not those of the simple implementation.
    """
    for engine in engines:
        tell(f"installing {engine.name}")
        engine.install()
    for workload in workloads:
        measured = EngineRates(workload)
        with _tasks(context, workload, sorted({engine.share for engine in engines}), tell) as tasks:
            for number in range(1, rounds + 1):
                for engine in engines:
                    rate = _rate(context, engine, tasks[engine.share])
                    measured.rates.setdefault(engine.name, []).append(rate)
                    tell(f"{workload}, round {number} of {rounds}: {engine.name} {rate:,.0f} readings/s")
                yield measured


@contextmanager
def _tasks(
    context: Context, workload: Workload, shares: Sequence[float], tell: Callable[[str], None]
) -> Iterator[dict[float, Task]]:
    """For each share of the workload, a topic that holds it, and what is right."""
    with ExitStack() as stack:
        tasks = {}
        for share in shares:
            part = workload._replace(readings=int(workload.readings * share))
            _, settings = stack.enter_context(own_stream(context, window__lateness_ms=workload.lateness_ms))
            tell(f"writing {part.readings:,} readings of {workload}")
            start = fill(settings, part)
            expected = expect(settings)
            over = windows_over(settings, part, start, part.group_lateness_ms)
            groups = expected_groups(expected.rows, over)
            tasks[share] = Task(settings.kafka.readings, part, start, expected, groups)
        yield tasks


def _rate(context: Context, engine: Engine, task: Task) -> float:
    try:
        found = engine.run(context, task)
    except UserError as error:
        raise UserError(f"{engine.name}, {task.workload}: {error}") from error
    if (fault := differences(found.rows, task.expected.rows)) is not None:
        raise UserError(f"{engine.name}, {task.workload}: its results differ: {fault}")
    return found.per_second
