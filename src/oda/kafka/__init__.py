"""Kafka: the one door to it, and what is done behind it.

`client` makes every connection, `topics` makes and describes topics, `reader` reads some from where it is told to,
`source` reads for the spout, with `records` as what it reads, `clock` writes the clock's records, and `problems` has
the words for a log that is not as it should be. Knows nothing of what a reading means.
"""
