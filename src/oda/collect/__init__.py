"""Collectors: they turn a source into readings in Kafka."""
