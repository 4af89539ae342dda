"""What a worker boundary costs: the same topic with one worker and with two, in turn."""

from __future__ import annotations

from collections.abc import Callable

from oda.bench.own import own_stream
from oda.bench.throughput import topology_rate
from oda.cli.context import Context
from oda.cluster.layout import load_layout
from oda.settings import Parallelism

EXECUTORS = (1, 2)
"""Of each component. With as many as workers, all that has to do with a partition is in one worker."""


def measure(
    context: Context, topic: str, rounds: int, tell: Callable[[str], None]
) -> dict[int, tuple[list[float], list[float]]]:
    """By number of executors, readings a second with one worker and with two, one figure a round."""
    found: dict[int, tuple[list[float], list[float]]] = {executors: ([], []) for executors in EXECUTORS}
    for number in range(1, rounds + 1):
        for executors, rates in found.items():
            for workers in (1, 2):
                rate = _rate(context, topic, executors, workers)
                rates[workers - 1].append(rate)
                tell(f"round {number} of {rounds}, {executors} executors, {workers} workers: {rate:,.0f} readings/s")
    return found


def _rate(context: Context, topic: str, executors: int, workers: int) -> float:
    parallelism = {f"parallelism__{name}": executors for name in Parallelism.model_fields}
    with own_stream(context, kafka__readings=topic, **parallelism) as (storm, settings):
        options = (f"topology.workers={workers}", f"topology.acker.executors={workers}")
        with storm.running(settings.kafka.group, *options):
            return topology_rate(settings, load_layout(context.config, context.env).logs).per_second
