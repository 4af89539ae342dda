"""Settings that are made up, for tests that need no servers."""

from typing import Any

from oda.settings import Settings

SERVERS = {
    "kafka": {"brokers": "a:1"},
    "cassandra": {"hosts": "a:1"},
    "elasticsearch": {"urls": "http://a:1"},
}


def settings(**sections: Any) -> Settings:
    """Settings with these sections, such as `window=Window(size_ms=1000)`."""
    return Settings.model_validate(SERVERS | sections)
