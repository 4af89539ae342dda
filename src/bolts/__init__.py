"""Storm bolts, one a file."""


def given_up_after(storm_conf):
    """Seconds after which Storm has surely given up a tuple: it looks twice, a time-out apart."""
    return 2 * storm_conf["topology.message.timeout.secs"]
