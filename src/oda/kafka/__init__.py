"""Kafka: the one door to it, and what is done behind it.

`client` makes every connection (`partitioner` and `records` are what it puts into kafka-python), `topics` makes and
describes topics, `reader` reads some to their end or as they come, `source` reads for the spout, `clock` writes the
clock's records, `group` tells how far the topology has come, `problems` has the words for a log that is not as it was.
"""
