"""Measurements on a running cluster, each with a topology, topics and tables of its own."""
