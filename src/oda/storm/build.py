"""The settings of the topology that `sparse` is building: config.json's, overridden by `-o`.

streamparse builds a topology's class before it resolves the options, so the class can't ask for
them; this reads them the way streamparse will.
"""

from __future__ import annotations

import argparse
import sys

from streamparse.cli.common import add_environment, add_options
from streamparse.util import get_env_config

from oda.settings import Parallelism, Settings, SettingsError


def settings_of_this_build() -> Settings:
    """The checked settings; ends the program with a message when they are wrong."""
    parser = argparse.ArgumentParser(add_help=False)
    add_environment(parser)
    add_options(parser)
    arguments, _ = parser.parse_known_args(sys.argv[1:])
    # streamparse has read config.json (or --config) by now and returns what it read.
    _, env = get_env_config(arguments.environment)
    options = {**env.get("options", {}), **(arguments.options or {})}
    try:
        settings = Settings.from_options(options)
    except SettingsError as error:
        sys.exit(f"error: {error}")
    if advice := spread(settings.parallelism, int(options.get("topology.workers") or 1)):
        print(advice, file=sys.stderr)
    return settings


def spread(parallelism: Parallelism, workers: int) -> str | None:
    """What to know of executors that can't be dealt to the workers evenly; None if they can.

    >>> spread(Parallelism(), workers=1)
    >>> spread(Parallelism(**dict.fromkeys(Parallelism.model_fields, 2) | {"cassandra": 3}), workers=2)
    'note: oda.parallelism.cassandra is no multiple of topology.workers = 2, so tuples go from one worker to another'
    """
    uneven = [f"oda.parallelism.{name}" for name, executors in parallelism if executors % workers]
    if not uneven:
        return None
    are = "are no multiples" if len(uneven) > 1 else "is no multiple"
    return f"note: {', '.join(uneven)} {are} of topology.workers = {workers}, so tuples go from one worker to another"
