"""The one read side: what the page, commands and metrics ask; overview and detail ask the same, so they agree.

`feed` reads Kafka as it comes, and tells `live`: `series` (all of them, in columns), `incidents` with verdicts.
`history` reads one series from Cassandra, `bands` says what applied to its readings, `reduced` makes them as few as
pixels. `positions` says how far the topology has come, `insights` asks Elasticsearch, `why` explains one anomaly.
"""
