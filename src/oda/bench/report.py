"""Measured rates as a table, a plot and data, beside the machine that they were measured on."""

from __future__ import annotations

import platform
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec
import psutil

from oda.bench.compare import EngineRates

_DATA = "results.json"


def machine() -> dict[str, str]:
    """What a reader needs to know to expect the same."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    model = next((line.partition(":")[2].strip() for line in cpuinfo.splitlines() if "model name" in line), "unknown")
    java = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr.partition("\n")[0]
    return {
        "processor": f"{psutil.cpu_count()} x {model}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": platform.platform(),
        "python": platform.python_version(),
        "java": java,
    }


class _Results(msgspec.Struct):
    machine: dict[str, str]
    measured: list[EngineRates]


def write(folder: Path, measured: Sequence[EngineRates]) -> None:
    """Write `results.json`, `results.md` and `results.svg`.

    Other workloads keep the figures that they have there, if they are of this machine.
    """
    results = _Results(machine(), list(measured))
    before = folder / _DATA
    if before.exists() and (old := msgspec.json.decode(before.read_bytes(), type=_Results)).machine == results.machine:
        anew = {one.workload for one in measured}
        results.measured += [one for one in old.measured if one.workload not in anew]
    results.measured.sort(key=lambda one: (one.workload.groups, one.workload.shuffled, one.workload.series))
    before.write_bytes(msgspec.json.format(msgspec.json.encode(results)) + b"\n")
    (folder / "results.md").write_text(_page(results))
    plot(folder / "results.svg", results.measured)


def _page(results: _Results) -> str:
    lines = ["# Newest results", "", "Made by `oda bench peers`; see [README.md](README.md).", ""]
    lines += [f"- {name}: {value}" for name, value in results.machine.items()]
    for one in results.measured:
        lines += ["", *table(one)]
    return "\n".join([*lines, "", "![rates](results.svg)", ""])


def table(measured: EngineRates) -> list[str]:
    """Median and spread of each engine's rate, and of what ODA's rates are to it."""
    names = list(measured.rates)
    ours = [name for name in names if name.startswith("ODA")]
    heads = ["engine", "readings/s", "lowest", "highest", *(f"{name} is" for name in ours)]
    rounds = len(next(iter(measured.rates.values())))
    lines = [f"## {measured.workload}, {measured.workload.readings:,} readings, {rounds} rounds, {measured.date}", ""]
    lines += [f"| {' | '.join(heads)} |", f"|---|{'---:|' * (len(heads) - 1)}"]
    for name, rates in measured.rates.items():
        figures = [f"{figure:,.0f}" for figure in (statistics.median(rates), min(rates), max(rates))]
        ratios = [_spread(measured.ratios(our, name)) for our in ours]
        lines.append(f"| {' | '.join([name, *figures, *ratios])} |")
    return lines


def _spread(ratios: Sequence[float]) -> str:
    return f"{statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"


def plot(file: Path, measured: Sequence[EngineRates]) -> None:
    """Bars of the medians, lines from the lowest to the highest, a panel a workload."""
    from matplotlib.figure import Figure  # it takes a second to import

    figure = Figure(figsize=(9, 2.4 * len(measured)), layout="constrained")
    for axes, one in zip(figure.subplots(len(measured), squeeze=False)[:, 0], measured, strict=True):
        names = list(one.rates)[::-1]
        medians = [statistics.median(one.rates[name]) for name in names]
        below = [median - min(one.rates[name]) for name, median in zip(names, medians, strict=True)]
        above = [max(one.rates[name]) - median for name, median in zip(names, medians, strict=True)]
        colors = ["tab:blue" if name.startswith("ODA") else "tab:gray" for name in names]
        axes.barh(names, medians, xerr=[below, above], color=colors, capsize=3)
        axes.set_title(str(one.workload), loc="left")
        axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("readings a second; more is better")
    figure.savefig(file)
