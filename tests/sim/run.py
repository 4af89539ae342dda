"""Runs simulations: `python tests/sim/run.py --seeds 1000`, or one again with all that happened: `--seed 7`."""

from __future__ import annotations

import argparse
import gc
import sys
import time
import traceback
from multiprocessing import Pool
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from sim.simulation import Simulation


def failure(seed: int) -> tuple[int, str, list[str]] | None:
    """What went wrong under a seed, and the timeline until then; None if nothing did."""
    simulation = Simulation(seed)
    try:
        simulation.run()
    except Exception:
        return seed, traceback.format_exc(), simulation.events.timeline
    return None


def main() -> int:
    """Exit code 1 if a seed failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--seeds", type=int, default=1000, help="how many; each run of this command takes other ones")
    which.add_argument("--seed", type=int, help="just this one")
    parser.add_argument("--first", type=int, help="the first of them")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        return report(failure(arguments.seed))
    first = time.time_ns() // 1_000_000 if arguments.first is None else arguments.first
    began = time.monotonic()
    with Pool(arguments.jobs, gc.disable, maxtasksperchild=500) as pool:  # a tenth faster, for half a GB each
        for number, found in enumerate(pool.imap_unordered(failure, range(first, first + arguments.seeds)), 1):
            if found:
                pool.terminate()
                return report(found)
            if number % 100 == 0:
                print(f"\r{number} seeds", end="", file=sys.stderr, flush=True)
    print(f"\r{arguments.seeds} seeds from {first} on are clean, {time.monotonic() - began:.0f} s")
    return 0


def report(found: tuple[int, str, list[str]] | None) -> int:
    if found is None:
        print("clean")
        return 0
    seed, error, timeline = found
    print(*timeline, error, f"Again: python tests/sim/run.py --seed {seed}", sep="\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
