"""How kafka-python is told of `oda.kafka.security`, and what a broker says to it: by itself it says a time-out only."""

from __future__ import annotations

import logging
import socket
from functools import partial
from typing import Any

from kafka import errors
from kafka.net.sasl import get_sasl_mechanism, register_sasl_mechanism
from kafka.protocol.parser import KafkaProtocol
from kafka.protocol.sasl import SaslAuthenticateRequest, SaslHandshakeRequest

from oda.errors import UserError
from oda.security import PROBE_SECONDS, addresses, context, password, tls_problem
from oda.settings import Kafka, KafkaSecurity

_SASL = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")

# At level DEBUG, which a topology's options may set, they log each request: with PLAIN the password.
for _name in ("kafka.protocol.parser", "kafka.net.connection"):
    logging.getLogger(_name).addFilter(lambda record: record.levelno > logging.DEBUG)


def options(security: KafkaSecurity) -> dict[str, Any]:
    """For any of kafka-python's clients. Raises UserError when a file can't be used, or there is no password."""
    if security.ca is None:
        return {}
    found: dict[str, Any] = {"security_protocol": "SSL", "ssl_context": context(security)}
    if security.user:
        password(security)  # what is wrong is said now
        found |= {
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": security.mechanism,
            "sasl_plain_username": security.user,
            "sasl_plain_password": partial(password, security),
        }
    return found


def _reading_anew(mechanism: type) -> type:
    """The mechanism, made with what the password is now; kafka-python makes one for each connection."""

    class Anew(mechanism):  # type: ignore[misc]
        def __init__(self, **config: Any) -> None:
            super().__init__(**config | {"sasl_plain_password": config["sasl_plain_password"]()})

    return Anew


for _name in _SASL:
    register_sasl_mechanism(_name, _reading_anew(get_sasl_mechanism(_name)), overwrite=True)


def problem(settings: Kafka) -> str | None:
    """Why no connection is made, as far as security goes, in one line that names the setting; None if it is not that.

    Blocks up to some seconds a broker.
    """
    brokers = addresses(settings.brokers)
    if found := tls_problem(brokers, settings.security):
        return found
    for host, port in brokers:
        try:
            found = _said(host, port, settings.security)
        except UserError as error:
            found = str(error)
        except (OSError, errors.KafkaError):
            continue
        if found:
            return found
    return None


def _said(host: str, port: int, security: KafkaSecurity) -> str | None:
    """What a broker says to the account, asked one thing after another.

    kafka-python's own connection may lose it: a broker closes the connection behind its answer.
    """
    broker = f"{host}:{port}"
    with _connected(host, port, security) as connection:
        parser = KafkaProtocol(client_id="oda")
        answer = _ask(connection, parser, SaslHandshakeRequest(mechanism=security.mechanism), 1)
        error = errors.for_code(answer.error_code)
        if error is errors.IllegalSaslStateError:
            return f"{broker} knows no accounts, and {security.setting}.user is set" if security.user else None
        if security.user is None:
            return f"{broker} asks for an account ({', '.join(answer.mechanisms)}): set {security.setting}.user"
        if error is errors.UnsupportedSaslMechanismError:
            known = ", ".join(answer.mechanisms)
            return f"{broker} does not know {security.setting}.mechanism = {security.mechanism}, but {known}"
        mechanism = get_sasl_mechanism(security.mechanism)(host=host, **options(security))
        while not mechanism.is_done():
            answer = _ask(connection, parser, SaslAuthenticateRequest(mechanism.auth_bytes()), 1)
            if answer.error_code:
                where = "password_file" if security.password_file else "password_env"
                return (
                    f"{broker} does not accept {security.setting}.user = {security.user} with the password of {where}"
                )
            mechanism.receive(answer.auth_bytes)
    return None


def _connected(host: str, port: int, security: KafkaSecurity) -> socket.socket:
    connection = socket.create_connection((host, port), PROBE_SECONDS)
    tls = context(security)
    return tls.wrap_socket(connection, server_hostname=host) if tls else connection


def _ask(connection: socket.socket, parser: KafkaProtocol, request: Any, version: int) -> Any:
    """Raises OSError when there is no answer."""
    request.API_VERSION = version
    parser.send_request(request)
    connection.sendall(parser.send_bytes())
    while data := connection.recv(4096):
        for _, answer in parser.receive_bytes(data):
            return answer
    raise ConnectionError(f"{request.__class__.__name__} has no answer")
