"""`oda bench nab|noise|detectors`: detectors on labelled series, on noise, and what they cost. They need no servers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.box import SIMPLE
from rich.table import Table

from oda.bench import detectors, nab, noise
from oda.bench.nab_scoring import PROFILES
from oda.cli.bench.shown import console
from oda.core.detectors import installed, load
from oda.core.detectors.contract import Detector, ScoreDetector, WindowDetector
from oda.errors import UserError
from oda.paths import ROOT

_NAB = ROOT.parent / "shared/nab"
_SIZES = [2, 5, 20, 100, 500]
_RULES = ("stuck/1", "silent/1")
"""Those that find nothing in noise, by what they are."""

Names = Annotated[list[str] | None, typer.Option("--detector", help="Of which; may be repeated; else of all.")]
Given = Annotated[list[str] | None, typer.Option("--set", help="A parameter, as name=value; may be repeated.")]


def measure_nab(
    detector: Annotated[list[str], typer.Option(help="Which; may be repeated.")] = ["d5"],  # noqa: B006 - typer's way
    given: Given = None,
    data: Annotated[Path, typer.Option(help="NAB's files: a folder with windows.json, or NAB's repository.")] = _NAB,
    window: Annotated[int, typer.Option(min=2, help="Readings in a window, for detectors that know windows.")] = 288,
    rest: Annotated[int, typer.Option(min=0, help="Readings without a second alarm, for the same.")] = 120,
) -> None:
    """The Numenta Anomaly Benchmark by its own scoring: 0 is no alarm at all, 100 the perfect detector.

    One pass over each file, with the same parameters for all.

    Examples:

        oda bench nab

        oda bench nab --detector d5 --set threshold=1.0

        oda bench nab --detector sigma --set sigmas=6 --window 288
    """
    files = nab.read(data)
    table = Table("detector", *PROFILES, title=f"NAB, {len(files)} files")
    for name in detector:
        scores = nab.scores(_make(name, given), files, nab.Cut(window, rest))
        table.add_row(name, *(f"{score:.1f}" for score in scores.values()))
    console.print(table)


def measure_noise(
    detector: Names = None,
    readings: Annotated[int, typer.Option(min=10_000, help="How many of each kind of noise.")] = 10_000_000,
    window: Annotated[list[int], typer.Option(min=2, help="Readings in a window; may be repeated.")] = _SIZES,
) -> None:
    """False alarms: which part of pure noise each detector finds, against what its threshold promises.

    Of readings, or of windows for detectors that judge windows; those get numbers of readings as of arrivals at random.

    Example: oda bench noise --detector student --readings 1000000
    """
    table = Table("detector", "noise", title="Found in noise, by readings a window", box=SIMPLE, padding=0)
    for head in (*map(str, window), "promised"):
        table.add_column(head, no_wrap=True)  # of a figure no digit is left out
    for name in detector or [name for name in installed() if name not in _RULES]:
        # A window's phase is that of its number: as many windows in a period as there are phases.
        one = _make(name, ["period=48ms"] if name.startswith("seasonal") else None)
        promised = noise.promised(one)
        for kind, draw in noise.NOISE.items():
            with console.status(f"{name}, {kind}"):
                sizes = window[:1] if isinstance(one, ScoreDetector) else window  # to which windows are nothing
                rates = [str(noise.measure(one, draw, readings, size)) for size in sizes]
            table.add_row(
                name, kind, *rates, *[""] * (len(window) - len(rates)), f"{promised:.2e}" if promised else "none"
            )
    console.print(table)


def measure_detectors(
    detector: Names = None,
    series: Annotated[int, typer.Option(min=1, help="Of how many.")] = 1000,
    readings: Annotated[int, typer.Option(min=10_000, help="Of all series together.")] = 1_000_000,
    window: Annotated[int, typer.Option(min=2, help="Readings in a window.")] = 20,
) -> None:
    """What each detector costs: CPU for a reading, its judgement included, and bytes of a series' state.

    Ratios are to sigma/1 in the same run.

    Example: oda bench detectors --series 10000
    """
    table = Table("detector", "judges", "µs a reading", "ratio", "bytes a series", title=f"{series:,} series")
    first = detectors.measure(_make("sigma/1"), series, readings, window)
    for name in detector or installed():
        one = _make(name)
        found = first if one.name == "sigma/1" else detectors.measure(one, series, readings, window)
        judges = "windows" if isinstance(one, WindowDetector) else "readings"
        ratio = found.microseconds / first.microseconds
        table.add_row(name, judges, f"{found.microseconds:.2f}", f"{ratio:.1f}", f"{found.state:,}")
    console.print(table)


def _make(name: str, given: list[str] | None = None) -> Detector[Any, Any]:
    """A detector with the parameters that are given as texts.

    Raises:
        UserError: there is no such detector, or it does not take them.
    """
    found = load(name)
    for one in given or ():
        if "=" not in one:
            raise UserError(f"--set {one}: give a parameter as name=value")
    parameters = dict(one.split("=", 1) for one in given or ())
    try:
        return found(found.Parameters(**parameters))
    except ValidationError as error:
        wrong = "; ".join(f"{problem['loc'][0]}: {problem['msg']}" for problem in error.errors())
        raise UserError(f"{name} does not take that: {wrong}") from None
