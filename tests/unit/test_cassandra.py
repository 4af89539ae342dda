"""The Cassandra driver's settings: those that only an outage of hours would show to be wrong."""

from itertools import islice

from oda.stores.session import RECONNECTION


def test_a_node_that_was_down_for_a_day_is_still_looked_for_every_few_seconds():
    delays = list(islice(RECONNECTION.new_schedule(), 20_000))
    assert len(delays) == 20_000
    assert max(delays) <= 5
    assert len(set(delays[10:50])) > 1, "no jitter"
