"""The naive program beside ODA on a running cluster: what the one loses, and the other does not."""

import re

from support import ENV


def test_what_is_done_to_both_costs_only_the_naive_one_something(cluster):
    shown = cluster.oda("naive", "compare", "--seconds", 6, env={**ENV, "COLUMNS": "250"}).stdout
    print(shown)
    unseen, unjudged = re.search(r"([\d,]+) numbers were seen by nobody, ([\d,]+) more", shown).groups()
    assert int(unseen.replace(",", "")) > 100
    assert int(unjudged.replace(",", "")) > 0
    readings, accepted, wrong = re.search(
        r"([\d,]+) of ([\d,]+) readings are stored and judged, (\d+) rows", shown
    ).groups()
    assert readings == accepted
    assert int(wrong) == 0
    assert int(readings.replace(",", "")) > 1_000
