"""How Kafka is reached where it asks for TLS, and for an account; where it doesn't, none of these is set."""

from os import environ

CA = environ.get("CA")
USER = environ.get("ACCOUNT")
PASSWORD = environ.get("PASSWORD", "")
MECHANISM = environ.get("MECHANISM", "")


def librdkafka() -> dict[str, str]:
    """As librdkafka, and what is made of it, has it."""
    if CA is None:
        return {}
    if USER is None:
        return {"security.protocol": "SSL", "ssl.ca.location": CA}
    account = {"sasl.mechanism": MECHANISM, "sasl.username": USER, "sasl.password": PASSWORD}
    return {"security.protocol": "SASL_SSL", "ssl.ca.location": CA, **account}
