"""Kills, pauses and confuses a running system on purpose, and audits what is left of it."""
