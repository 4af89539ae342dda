"""The settings of the topology that `sparse` is building: config.json's, overridden by `-o`.

streamparse builds a topology's class before it resolves the options, so the class can't ask for
them; this reads them the way streamparse will.
"""

from __future__ import annotations

import argparse
import sys

from streamparse.cli.common import add_environment, add_options
from streamparse.util import get_env_config

from oda.settings import Settings, SettingsError


def settings_of_this_build() -> Settings:
    """The checked settings; ends the program with a message when they are wrong."""
    parser = argparse.ArgumentParser(add_help=False)
    add_environment(parser)
    add_options(parser)
    arguments, _ = parser.parse_known_args(sys.argv[1:])
    # streamparse has read config.json (or --config) by now and returns what it read.
    _, env = get_env_config(arguments.environment)
    try:
        return Settings.from_options({**env.get("options", {}), **(arguments.options or {})})
    except SettingsError as error:
        sys.exit(f"error: {error}")
