"""The `oda` command."""
