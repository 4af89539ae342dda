"""What `oda notify` decides: who is told what of incidents and standstills, without servers."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition

from notifications import change
from oda.core.rules.problem import RulesError
from oda.notify.channels.alertmanager import alerts
from oda.notify.channels.mail import mail
from oda.notify.file import File, Mail, Route, Standstill
from oda.notify.mailbox import Mailbox
from oda.notify.notification import Due, Look, Notification, document, text, title
from oda.notify.parse import parse
from oda.notify.routes import Routes
from oda.notify.standstill import Found, Standing
from oda.paths import ROOT

LOG = TopicPartition("oda.incidents", 0)
LOOK = Look("https://oda.example/", UTC)
NOW = datetime(2026, 11, 26, tzinfo=UTC)


def everything(_: Notification) -> bool:
    return True


def told(mailbox: Mailbox) -> list[tuple[str, str | None]]:
    """Tell all that is due: what changed, and what was told before."""
    found = []
    for due in mailbox.due(100):
        mailbox.done(due)
        found.append((due.now.change, due.before.change if due.before else None))
    return found


# -- routes -------------------------------------------------------------------------------------------


def test_the_first_route_that_matches_says_who_is_told_and_one_that_continues_lets_others_say_too() -> None:
    routes = Routes(
        [
            Route.model_validate({"severity": "critical", "to": ["pager"], "continue": True}),
            Route(labels={"team": "water", "site": "north-*"}, to=["water", "mail"]),
            Route(severity="warning", to=["mail"]),
        ]
    )
    north = {"team": "water", "site": "north-7"}
    assert routes.receivers("critical", north) == ["pager", "water", "mail"]
    assert routes.receivers("info", north) == ["water", "mail"]
    assert routes.receivers("warning", {"team": "water"}) == ["mail"]
    assert routes.receivers("info", {}) == []
    assert routes.receivers("catastrophe", {}) == ["pager", "mail"], "one that is not known is the worst"


# -- mailbox ------------------------------------------------------------------------------------------


def test_what_is_told_at_once_is_told_change_by_change() -> None:
    mailbox = Mailbox(everything)
    found = []
    for number in range(3):
        mailbox.take(change(number), LOG, number)
        found += told(mailbox)
    assert found == [("opened", None), ("escalated", "opened"), ("resolved", "escalated")]
    assert mailbox.open() == []


def test_a_backlog_is_one_notification_for_each_incident_in_the_order_of_the_newest_change() -> None:
    mailbox = Mailbox(everything)
    for offset, (number, of) in enumerate([(0, 1), (0, 2), (1, 1), (0, 3), (2, 1)]):
        mailbox.take(change(number, offset=of), LOG, offset)
    assert [(due.now.place, due.now.change) for due in mailbox.due(100)] == [
        ("readings:1:2:sigma/1", "opened"),
        ("readings:1:3:sigma/1", "opened"),
        ("readings:1:1:sigma/1", "resolved"),
    ]


def test_only_what_is_done_is_committed() -> None:
    mailbox = Mailbox(everything)
    other = TopicPartition("oda.incidents", 1)
    mailbox.take(change(0, offset=1), LOG, 7)
    mailbox.take(change(0, offset=2), LOG, 8)
    mailbox.take(change(1, offset=1), LOG, 9)
    positions = {LOG: 10, other: 5}
    assert mailbox.committable(positions) == {LOG: 7, other: 5}
    second, first = mailbox.due(2)
    mailbox.done(first)
    assert mailbox.committable(positions) == {LOG: 8, other: 5}
    mailbox.done(second, is_refused=True)
    assert mailbox.committable(positions) == positions


def test_who_was_told_of_an_incident_is_told_what_becomes_of_it() -> None:
    mailbox = Mailbox(lambda notification: notification.severity == "warning")
    mailbox.take(change(0), LOG, 0)
    told(mailbox)
    mailbox.take(change(1, severity="critical"), LOG, 1)
    assert told(mailbox) == [("escalated", "opened")]
    mailbox.take(change(2, severity="critical"), LOG, 2)
    assert told(mailbox) == [("resolved", "escalated")]
    mailbox.take(change(0, severity="critical", offset=9), LOG, 3)
    assert told(mailbox) == []


def test_what_lasts_is_known_again_after_a_restart_and_what_was_refused_is_not_said_again() -> None:
    mailbox = Mailbox(everything)
    for of, numbers in ((1, (0, 1)), (2, (0, 2)), (3, (0,))):
        for number in numbers:
            mailbox.know(change(number, offset=of))
    assert mailbox.waiting == 0
    assert [due.now.place for due in mailbox.open()] == ["readings:1:1:sigma/1", "readings:1:3:sigma/1"]
    mailbox.done(mailbox.open()[0], is_refused=True)
    assert [due.now.place for due in mailbox.open()] == ["readings:1:3:sigma/1"]


def test_it_is_full_of_incidents_and_not_of_changes() -> None:
    mailbox = Mailbox(everything, most=2)
    mailbox.take(change(0, offset=1), LOG, 0)
    mailbox.take(change(1, offset=1), LOG, 1)
    assert not mailbox.is_full
    mailbox.take(change(0, offset=2), LOG, 2)
    assert mailbox.is_full


rows = st.lists(st.integers(1, 6), max_size=25).map(
    lambda incidents: [(of, incidents[:place].count(of)) for place, of in enumerate(incidents)]
)
"""A log of changes: of which incident, and which one."""


@given(rows, st.lists(st.sampled_from(["read", "tell", "tell and die", "commit", "die", "refuse"]), max_size=60))
def test_whatever_happens_everything_is_told_in_the_end_and_nothing_is_committed_before(
    log: list[tuple[int, int]], steps: list[str]
) -> None:
    log = [(of, number) for of, number in log if number < 3]
    committed, position, heard, mailbox = 0, 0, [], Mailbox(everything, most=4)

    def begin() -> tuple[Mailbox, int]:
        begun = Mailbox(everything, most=4)
        for of, number in log[:committed]:
            begun.know(change(number, offset=of))
        return begun, committed

    def tell(is_refused: bool = False) -> None:
        for due in mailbox.due(2):
            assert due.before is None or f"{due.before.place}:{due.before.number}" in heard
            heard.append(due.id)
            mailbox.done(due, is_refused)

    for step in [*steps, *["read", "tell", "commit"] * (len(log) + 5)]:
        if step == "read" and position < len(log) and not mailbox.is_full:
            of, number = log[position]
            mailbox.take(change(number, offset=of), LOG, position)
            position += 1
        elif step == "commit":
            committed = mailbox.committable({LOG: position})[LOG]
            newest = dict(log[:committed])
            assert {f"readings:1:{of}:sigma/1:{number}" for of, number in newest.items()} <= {
                # A later change that was told instead says it, too.
                f"{one.rpartition(':')[0]}:{number}"
                for one in heard
                for number in range(int(one[-1]) + 1)
            }
        elif step in ("tell", "tell and die", "refuse"):
            tell(is_refused=step == "refuse")
        if step in ("die", "tell and die"):
            mailbox, position = begin()
    last = {one.rpartition(":")[0]: one for one in heard}
    assert last == {f"readings:1:{of}:sigma/1": f"readings:1:{of}:sigma/1:{number}" for of, number in log}, (
        "the last that was heard of each is its newest change"
    )
    assert committed == len(log)


# -- standstill ---------------------------------------------------------------------------------------


def test_a_standstill_begins_and_is_over_once_whatever_place_it_is_seen_at() -> None:
    standing = Standing(Standstill(), "readings")
    assert standing.look(None, now=1_000_000) is None
    begun = standing.look(Found("0@5", 61.0, 8), now=1_000_000)
    assert begun is not None
    assert (begun.place, begun.number, begun.change, begun.since) == ("readings:standstill:0@5", 0, "opened", 939_000)
    assert standing.look(Found("0@6", 61.0, 7), now=1_100_000) is None
    over = standing.look(None, now=1_200_000)
    assert over is not None
    assert (over.place, over.number, over.change, over.until) == (begun.place, 1, "resolved", 1_200_000)
    assert standing.look(None, now=1_300_000) is None


def test_who_was_told_of_a_standstill_in_a_former_run_is_told_that_it_is_over() -> None:
    begun = Standing(Standstill(), "readings").look(Found("0@5", 61.0, 8), now=1_000_000)
    assert begun is not None
    later = Standing(Standstill(), "readings")
    assert later.resume(begun.told) == begun
    over = later.look(None, now=1_200_000)
    assert over is not None
    assert (over.place, over.since) == (begun.place, begun.since)


def test_a_standstill_says_what_it_means_and_where_to_look() -> None:
    begun = Standing(Standstill(), "readings").look(Found("0@5", 60.0, 1234), now=1_732_300_060_000)
    assert begun is not None
    assert text(Due(begun), LOOK).splitlines() == [
        "[critical] opened: ODA stands still: 1,234 readings of topic readings wait, and nothing is committed",
        "  meanwhile no anomaly and no incident is found",
        "  since     2024-11-22 18:26:40.000 UTC",
        "  look at   oda status; Storm's UI; the logs of Kafka and of the stores",
        "  page      https://oda.example/#/pipeline",
        "  id        readings:standstill:0@5:0",
    ]
    away = Standing(Standstill(), "readings").look(Found("Kafka@", 60.0, None), now=1_732_300_060_000)
    assert away is not None
    assert "Kafka does not answer" in title(Due(away))


# -- what it says -------------------------------------------------------------------------------------


def test_a_text_has_what_a_person_needs_at_three_in_the_morning() -> None:
    opened = change(labels='{"site": "north", "team": "water"}')
    assert text(Due(opened), Look("https://oda.example/", ZoneInfo("Europe/Zurich"))).splitlines() == [
        "[warning] opened: pump-7 is 9.25, expected 3.25 (1.25 to 5.25)",
        "  series    pump-7",
        "  worst     9.25, expected 3.25 (1.25 to 5.25), at 2024-11-22 19:26:42.123 CET",
        "  detector  sigma/1, score 100 of 100",
        "  since     2024-11-22 19:26:42.123 CET",
        "  anomalies 3, the last at 2024-11-22 19:26:42.456 CET",
        "  labels    site=north, team=water",
        "  page      https://oda.example/#/series?name=pump-7&since=1732299402123&until=1732300602456",
        "  id        readings:1:410:sigma/1:0",
    ]
    silent = change(2, cause="clock")
    assert "  resolved  2024-11-22 18:26:42.456 UTC: the series is silent" in text(Due(silent, opened), LOOK)
    assert title(Due(silent, opened)) == "[warning] resolved: pump-7 is 9.25, expected 3.25 (1.25 to 5.25)"
    assert title(Due(silent)).startswith("[warning] opened and resolved: ")
    assert title(Due(change(1), opened)).startswith("[warning] escalated: ")
    assert title(Due(change(1))).startswith("[warning] opened and escalated: ")


def test_programs_get_numbers() -> None:
    found = document(Due(change(1, severity="critical"), change()), LOOK)
    assert found.pop("text").startswith("[critical] escalated: pump-7 is ")
    assert found == {
        "id": "readings:1:410:sigma/1:1", "incident": "readings:1:410:sigma/1", "number": 1, "change": "escalated",
        "told_before": "opened", "severity": "critical", "labels": {}, "since": 1732300002123, "until": None,
        "series": "pump-7", "detector": "sigma/1", "cause": "data", "count": 3, "last": 1732300002456,
        "worst": 1732300002123, "value": 9.25, "score": 100.0, "expected": 3.25, "low": 1.25, "high": 5.25, "rules": 7,
        "link": "https://oda.example/#/series?name=pump-7&since=1732299402123&until=1732300602456",
    }  # fmt: skip


@pytest.mark.parametrize("hostile", ["a\r\nBcc: everyone@example.com", "\x1b[2J", "‮evil", "a&name=b#", "<b>é</b>"])
def test_a_hostile_name_is_shown_and_commands_nothing(hostile: str) -> None:
    due = Due(change(series=hostile))
    assert all(character.isprintable() or character == "\n" for character in text(due, LOOK))
    assert text(due, LOOK).count("\n") == 7
    assert "&name=b" not in due.now.link(LOOK)
    message = mail([due], Mail.model_validate({"host": "h", "from": "a@b", "to": ["c@d"]}), LOOK)
    assert message["Bcc"] is None
    assert b"\nBcc" not in message.as_bytes()


def test_a_mail_of_several_says_how_many_and_one_that_is_sent_again_has_the_same_id() -> None:
    settings = Mail.model_validate({"host": "h", "from": "a@b", "to": ["c@d", "e@f"]})
    some = [Due(change(offset=1)), Due(change(1, offset=2, severity="critical")), Due(change(2, offset=3))]
    message, again = mail(some, settings, LOOK), mail(some, settings, LOOK)
    assert message["Subject"] == "[critical] 3 incidents: 1 opened, 1 escalated, 1 resolved"
    assert message["To"] == "c@d, e@f"
    assert message["Message-ID"] == again["Message-ID"] != mail(some[:1], settings, LOOK)["Message-ID"]
    opened, resolved = (mail([Due(change(number))], settings, LOOK) for number in (0, 2))
    assert opened["References"] == resolved["References"], "so they are one thread"


def test_an_alert_is_known_by_its_labels_and_one_that_escalates_is_another() -> None:
    opened = change(labels='{"team": "water", "severity": "none", "detector": "mine"}')
    (alert,) = alerts(Due(opened), LOOK, NOW)
    assert alert["labels"] == {
        "alertname": "OdaIncident", "series": "pump-7", "detector": "sigma/1", "severity": "warning", "team": "water",
    }  # fmt: skip
    assert alert["startsAt"] == "2024-11-22T18:26:42.123000+00:00"
    assert "endsAt" not in alert
    assert alert["generatorURL"].startswith("https://oda.example/#/series?")
    before, after = alerts(Due(change(1, severity="critical"), opened), LOOK, NOW)
    assert (before["labels"], before["endsAt"]) == (alert["labels"], NOW.isoformat())
    assert (after["labels"]["severity"], "endsAt" in after) == ("critical", False)


def test_an_alert_of_readings_that_are_ahead_of_now_has_ended_when_it_is_resolved() -> None:
    (alert,) = alerts(Due(change(2, time=4_000_000_000_000, changed=4_000_000_600_000)), LOOK, NOW)
    assert alert["startsAt"] == alert["endsAt"] == NOW.isoformat()


# -- the file -----------------------------------------------------------------------------------------

GOOD = """
page: https://oda.example
time_zone: Europe/Zurich
receivers:
- name: ops
  webhook: {url_from: {environment: HOOK}, authorization: {file: /run/secrets/hook}, timeout: 5s}
- name: am
  alertmanager: {url: "http://127.0.0.1:9093"}
- name: mail
  mail: {host: mail.example, user: u, password: {environment: MAIL}, from: oda@example.com, to: [a@example.com]}
routes:
- {severity: critical, labels: {team: water}, to: [mail], continue: true}
- {to: [ops, am]}
standstill: {after: 2m, labels: {team: platform}}
"""


def problems(text: str) -> list[str]:
    with pytest.raises(RulesError) as raised:
        parse(text)
    return str(raised.value).splitlines()


def test_a_file_says_what_it_says() -> None:
    file = parse(GOOD)
    assert isinstance(file, File)
    assert [receiver.name for receiver in file.receivers] == ["ops", "am", "mail"]
    assert file.standstill.after == 120_000
    assert len(file.secrets) == 3


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        ("to: [ops, am]", "to: [ops]", "7:3: receivers[1].name: no route leads to am"),
        ("to: [ops, am]", "to: [ops, am, pager]", "13:18: routes[1].to[2]: there is no receiver pager"),
        ("name: am", "name: ops", "7:3: receivers[1].name: another receiver is called ops, too"),
        ("severity: critical", "severity: urgent", "12:4: routes[0].severity: Input should be"),
        ("Europe/Zurich", "Mars/Olympus", "3:1: time_zone: must be a time zone that this machine knows"),
        ("http://127.0.0.1:9093", "file:///etc/passwd", "8:18: receivers[1].alertmanager.url: String should match"),
        ("environment: HOOK", "environment: A, file: b", "6:13: receivers[0].webhook.url_from: must say either file"),
        ("url_from: {environment: HOOK}, ", "", "6:3: receivers[0].webhook: must say either url or url_from"),
        ("after: 2m", "after: soon", "14:14: standstill.after: must be a length of time"),
        ("user: u, ", "", "10:3: receivers[2].mail: user and password go together"),
        ("host: mail.example", "host: h, security: none", "receivers[2].mail: a password is not sent without"),
        ("a@example.com", "a b@example.com", "receivers[2].mail.to[0]: must be a mail address"),
        ("webhook: {", "webhok: {", "receivers[0].webhok: there is no such field"),
        ("name: am\n  alertmanager: {url: \"http://127.0.0.1:9093\"}", "name: am", "must say one of webhook, alert"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_by_line_and_column(right: str, wrong: str, problem: str) -> None:
    assert right in GOOD
    found = problems(GOOD.replace(right, wrong))
    assert any(problem in line for line in found), found


def test_the_files_that_are_there_as_examples_are_right() -> None:
    example = (ROOT / "docs/notify.md").read_text().partition("```yaml\n")[2].partition("```")[0]
    assert len(parse(example).receivers) == 3
    parse((ROOT / "cluster/docker/notify.yaml").read_text())
