"""The ways to receivers, to real ones: Alertmanager, a mail server, a webhook that is slow, refuses, or dies."""

from __future__ import annotations

import socket
import time
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from notifications import change
from oda.errors import Refused, UserError
from oda.notify.channels.catalogue import channel
from oda.notify.channels.contract import Away
from oda.notify.file import Receiver
from oda.notify.notification import Due, Look
from receivers import PASSWORD, USER, Alertmanager, Hook, certificate, mail_server
from support import wait_until

LOOK = Look("https://oda.example", UTC)


def due(number: int = 0, before: Due | None = None, **changed: object) -> Due:
    now = round(time.time() * 1000)
    return Due(change(number, **{"time": now - 60_000, "changed": now, **changed}), before.now if before else None)


def to(**way: Any):
    return channel(Receiver.model_validate({"name": "it", **way}), LOOK)


# -- webhook ------------------------------------------------------------------------------------------


def test_a_webhook_gets_a_text_for_people_and_numbers_for_programs(monkeypatch):
    monkeypatch.setenv("TOKEN", "Bearer s3cret\n")
    with Hook() as hook:
        to(webhook={"url": hook.url, "authorization": {"environment": "TOKEN"}}).deliver([due(), due(offset=9)])
        (content,) = hook.requests
        assert content["text"].count("[warning] opened: pump-7 is 9.25") == 2
        assert hook.ids == ["readings:1:410:sigma/1:0", "readings:1:9:sigma/1:0"]
        assert hook.asked[0]["Authorization"] == "Bearer s3cret"


def test_a_url_may_be_a_secret_and_is_in_no_error(tmp_path):
    path = tmp_path / "url"
    way = to(webhook={"url_from": {"file": str(path)}, "timeout": "2s"})
    with pytest.raises(UserError, match="a secret is to be in the file"):
        way.deliver([due()])
    with Hook() as hook:
        path.write_text(hook.url + "?token=s3cret\n")
        way.deliver([due()])
        assert len(hook.told) == 1
    with pytest.raises(Away) as raised:
        way.deliver([due()])
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, Refused),
        (401, Refused),
        (404, Refused),
        (302, Refused),
        (429, Away),
        (408, Away),
        (500, Away),
        (503, Away),
    ],
)
def test_what_an_answer_means(status: int, error: type[Exception]):
    with Hook() as hook:
        hook.answer = lambda _: status
        with pytest.raises(error, match=f"it answers {status} ") as raised:
            to(webhook={"url": hook.url}).deliver([due()])
        assert status == 302 or str(raised.value).endswith(r": as it was told\x1b[2J")
        assert len(hook.asked) == 1, "it follows no redirection, and it is not this one who tries again"


def test_a_webhook_that_is_slow_or_dies_or_is_not_there_is_away():
    with Hook() as hook:
        way = to(webhook={"url": hook.url, "timeout": "500ms"})
        hook.answer = lambda _: time.sleep(3) or 200  # type: ignore[func-returns-value]
        with pytest.raises(Away, match="no answer in time"):
            way.deliver([due()])
        hook.answer = lambda _: None
        with pytest.raises(Away):
            way.deliver([due()])
    with pytest.raises(Away, match="Connection refused"):
        way.deliver([due()])
    with pytest.raises(Away):
        to(webhook={"url": "http://no-such-host.invalid/"}).deliver([due()])


def test_what_is_no_http_at_all_is_away():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(1)
        way = to(webhook={"url": f"http://127.0.0.1:{server.getsockname()[1]}", "timeout": "300ms"})
        with pytest.raises(Away):
            way.deliver([due()])


# -- Alertmanager -------------------------------------------------------------------------------------


@pytest.fixture
def seen():
    """What Alertmanager notifies."""
    with Hook() as hook:
        yield hook


@pytest.fixture
def alertmanager(tmp_path, seen):
    with Alertmanager(tmp_path, seen.url) as running:
        yield running


def notified(seen: Hook) -> list[tuple[str, str, str]]:
    """Series, severity and status of what Alertmanager has notified."""
    alerts = [alert for content in seen.requests for alert in content["alerts"]]
    return [(one["labels"]["series"], one["labels"]["severity"], one["status"]) for one in alerts]


def test_an_incident_is_an_alert_that_escalates_and_ends(alertmanager, seen):
    way = to(alertmanager={"url": alertmanager.url})
    opened = due(labels='{"team": "water"}')
    way.deliver([opened])
    (alert,) = wait_until(lambda: alertmanager.alerts(team="water"), "it has no alert")
    assert alert["labels"]["alertname"] == "OdaIncident"
    assert "9.25, expected 3.25 (1.25 to 5.25)" in alert["annotations"]["description"]
    assert alert["generatorURL"].startswith("https://oda.example/#/series?name=pump-7")
    wait_until(lambda: ("pump-7", "warning", "firing") in notified(seen), "it does not notify")
    escalated = due(1, opened, severity="critical", labels='{"team": "water"}')
    way.deliver([escalated])
    wait_until(lambda: ("pump-7", "critical", "firing") in notified(seen), "it does not notify that it is worse")
    wait_until(lambda: ("pump-7", "warning", "resolved") in notified(seen), "the former severity stays")
    way.deliver([due(2, escalated, severity="critical", labels='{"team": "water"}')])
    wait_until(lambda: ("pump-7", "critical", "resolved") in notified(seen), "it does not notify that it is over")
    wait_until(lambda: not alertmanager.alerts(), "an alert stays")


def test_what_was_opened_and_resolved_meanwhile_disturbs_nobody(alertmanager, seen):
    way = to(alertmanager={"url": alertmanager.url})
    way.deliver([due(2, series="over"), due(series="lasts")])
    wait_until(lambda: notified(seen), "it does not notify")
    assert {series for series, *_ in notified(seen)} == {"lasts"}


def test_the_next_incident_of_a_series_is_open_though_the_former_ended_at_once_before(alertmanager):
    to(alertmanager={"url": alertmanager.url}).deliver([due(2), due(offset=500)])
    (alert,) = wait_until(alertmanager.alerts, "it has no alert")
    assert alert["status"]["state"] == "active"


def test_a_silence_is_alertmanagers(alertmanager, seen):
    alertmanager.silence(team="water")
    way = to(alertmanager={"url": alertmanager.url})
    way.deliver([due(series="quiet", labels='{"team": "water"}'), due(series="loud", labels='{"team": "fire"}')])
    wait_until(lambda: notified(seen), "it does not notify")
    assert {series for series, *_ in notified(seen)} == {"loud"}
    (alert,) = alertmanager.alerts(series="quiet")
    assert alert["status"]["state"] == "suppressed"


@pytest.mark.parametrize("hostile", ["a\r\nb", "\x1b[2J", "‮evil", '"}], "labels": {', "é" * 500, "{{ .Labels }}"])
def test_alertmanager_takes_whatever_name_a_series_has(alertmanager, hostile):
    to(alertmanager={"url": alertmanager.url}).deliver([due(series=hostile)])
    assert [alert["labels"]["series"] for alert in alertmanager.alerts()] == [hostile]


def test_an_alertmanager_that_was_killed_is_away_and_has_all_again_when_it_is_told_again(alertmanager):
    way = to(alertmanager={"url": alertmanager.url})
    opened = due()
    way.deliver([opened])
    alertmanager.stop()
    with pytest.raises(Away):
        way.deliver([opened])
    alertmanager.start()
    assert alertmanager.alerts() == []
    way.deliver([Due(opened.now, opened.now)])
    assert len(alertmanager.alerts()) == 1


# -- mail ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("certificate"))


def mail_to(port: int, security: str, **more: Any):
    addresses = {"from": "oda@example.com", "to": ["night@example.com", "day@example.com"]}
    return to(mail={"host": "127.0.0.1", "port": port, "security": security, **addresses, **more})


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail_is_encrypted_and_logs_in(security, pair, monkeypatch):
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    login = {"user": USER, "password": {"environment": "MAIL_PASSWORD"}}
    with mail_server(security, pair) as server:
        mail_to(server.port, security, ca=str(pair[0]), **login).deliver([due(series="Pumpe é"), due(2, offset=9)])
        (message,) = server.mails
        assert message["Subject"] == "[warning] 2 incidents: 1 opened, 1 resolved"
        assert "[warning] opened: Pumpe é is 9.25" in message.get_content()
        assert server.secured == [(True, USER)]
        with pytest.raises(Away, match="CERTIFICATE_VERIFY_FAILED"):
            mail_to(server.port, security, **login).deliver([due()])
        monkeypatch.setenv("MAIL_PASSWORD", "wrong")
        with pytest.raises(Refused, match="535"):
            mail_to(server.port, security, ca=str(pair[0]), **login).deliver([due()])
        assert len(server.mails) == 1


def test_a_password_is_never_sent_to_who_has_no_starttls(monkeypatch):
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    with mail_server("none") as server, pytest.raises(Away, match="STARTTLS"):
        mail_to(server.port, "starttls", user=USER, password={"environment": "MAIL_PASSWORD"}).deliver([due()])


def test_what_a_mail_server_says_decides_whether_it_is_tried_again():
    with mail_server("none") as server:
        way = mail_to(server.port, "none")
        server.answer = "451 too busy"
        with pytest.raises(Away, match="451 too busy"):
            way.deliver([due()])
        server.answer = "554 looks like spam"
        with pytest.raises(Refused, match="554 looks like spam"):
            way.deliver([due()])
        server.answer, server.refused = "250 OK", "day@example.com"
        assert way.deliver([due()]) == "it does not take mail to day@example.com: 550 who is that?"
        assert len(server.mails) == 1
    with pytest.raises(Away):
        way.deliver([due()])
