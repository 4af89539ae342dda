"""Other ways to say who one is: another mechanism, and a certificate."""

import logging
from contextlib import closing
from pathlib import Path

import pytest
from kafka.admin import UserScramCredentialUpsertion

from oda.kafka import account, client
from oda.kafka.topics import create_topics
from oda.settings import Settings
from secured.servers import Servers, reach, why
from support import secret, wait_until


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_another_mechanism_and_a_certificate_besides(
    servers: Servers, mechanism: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with closing(client.admin(servers.settings().kafka)) as admin:
        admin.alter_user_scram_credentials([UserScramCredentialUpsertion("plain", "SCRAM-SHA-256", "plain-secret")])
    given = {"brokers": servers.listener("OTHER"), "security__mechanism": mechanism, "security__user": "plain"}
    given |= {"security__certificate": servers.certificate, "security__key": servers.certificate.with_suffix(".key")}
    given |= {"security__password_file": secret(tmp_path, "plain")}

    def settings(**changed: object) -> Settings:
        return servers.settings(**{f"kafka__{name}": value for name, value in (given | changed).items()})

    wait_until(lambda: account.problem(settings().kafka) is None, "the broker does not know the account")
    reach("kafka", settings())
    wrong = settings(security__password_file=secret(tmp_path, "wrong"))
    assert "does not accept oda.kafka.security.user = plain with the password of password_file" in why("kafka", wrong)
    without = settings(security__certificate=None, security__key=None)
    assert "asks for a certificate of ours: set oda.kafka.security.certificate and key" in why("kafka", without)
    assert "plain-secret" not in caplog.text


def test_a_certificate_alone(servers: Servers) -> None:
    given = {"brokers": servers.listener("INTERNAL"), "security__password_file": None, "security__user": None}
    given |= {"security__certificate": servers.certificate, "security__key": servers.certificate.with_suffix(".key")}
    changes = {f"kafka__{name}": value for name, value in given.items()}
    create_topics(servers.settings(**changes).kafka)
    stranger = servers.settings(**changes | {"kafka__security__certificate": None, "kafka__security__key": None})
    assert "asks for a certificate of ours: set oda.kafka.security.certificate and key" in why("kafka", stranger)
    with_account = servers.settings(kafka__brokers=given["brokers"])
    assert "certificate of ours" in why("kafka", with_account)
