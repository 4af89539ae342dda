"""Storm bolts, one a file."""

from typing import Any


def given_up_after(storm_conf: dict[str, Any]) -> float:
    """Seconds after which Storm has surely given up a tuple: it looks twice, a time-out apart."""
    return 2 * float(storm_conf["topology.message.timeout.secs"])
