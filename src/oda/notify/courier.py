"""Brings one receiver what it is to be told, for as long as it takes. Each is a thread: none waits for another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kafka.errors import KafkaError

from oda.errors import Refused, UserError, shorten
from oda.notify.channels.catalogue import channel
from oda.notify.channels.contract import Away
from oda.notify.file import File, Receiver
from oda.notify.gate import Gate
from oda.notify.incident import IncidentChange
from oda.notify.log import Log, Note
from oda.notify.mailbox import Mailbox
from oda.notify.notification import Due, Look, Notification, document
from oda.notify.patience import Patience
from oda.notify.refusals import Refusals
from oda.notify.routes import Routes
from oda.notify.standstill import Standing
from oda.notify.watch import Watch
from oda.query.rules import RulesBook
from oda.say import say
from oda.settings import Kafka
from oda.shown import plain

RESEND_SECONDS = 60.0
"""How often who wants to hear again what lasts does: a fifth of the time after which Alertmanager forgets."""

_TOGETHER = 100
"""Most notifications of one delivery."""

_POLL_SECONDS = 1.0
_COMMIT_SECONDS = 1.0
_RENEW_SECONDS = 600.0
"""Offsets are committed anew after so long, though they are the same: Kafka drops those that are a week old."""


@dataclass(frozen=True)
class Service:
    """What all couriers have in common."""

    settings: Kafka
    file: File
    rules: RulesBook
    watch: Watch
    stopping: threading.Event

    @property
    def look(self) -> Look:
        """How notifications look."""
        return Look(self.file.page or "", self.file.zone)


class Courier:
    """One receiver's."""

    def __init__(self, service: Service, receiver: Receiver) -> None:
        self._service = service
        self._stopping = service.stopping
        self._name = receiver.name
        self._routes = Routes(service.file.routes)
        self._channel = channel(receiver, service.look)
        self._log = Log(service.settings, receiver.name)
        self._refusals = Refusals(service.settings)
        self._standing = Standing(service.file.standstill, service.settings.readings)
        self._mailbox, self._gate = self._empty()
        self._patience = Patience(time.monotonic)
        self._away = self._problem = ""
        self._resend_at = 0.0
        self._committed: object = None
        self._commit_at = self._renew_at = 0.0

    def run(self) -> None:
        """Return when all is to stop; whatever happens until then, it begins anew."""
        while not self._stopping.is_set():
            self._try(self._follow)
            # Without Kafka nothing is known but that.
            self._try(self._tell)
            self._stopping.wait(_POLL_SECONDS)
        for one in (self._log, self._refusals, self._channel):
            one.close()

    def _try(self, work: Callable[[], object]) -> None:
        try:
            work()
        except (UserError, KafkaError) as error:
            if str(error) != self._problem:
                self._problem = str(error)
                self._say(f"waits for Kafka: {error}")
        except Exception as error:  # nothing may end this thread: it is said
            self._say(f"begins anew after an error: {error!r}")

    def _follow(self) -> None:
        self._open()
        self._problem = ""
        while not self._stopping.is_set():
            self._step()

    def _open(self) -> None:
        before, (mailbox, gate) = self._mailbox, self._empty()
        note = self._log.open(lambda located, time: gate.know(IncidentChange(located), time))
        gate.follow(self._service.rules.current().newest())
        gate.begin()
        gate.suppressed = note.suppressed
        current = self._standing.current
        if current and before.was_told(current.place):
            mailbox.know(current)
        elif note.standstill:
            remember = mailbox.know if note.is_told else mailbox.take
            remember(self._standing.resume(note.standstill))
        else:
            self._standing.current = None
        self._mailbox, self._gate, self._committed, self._resend_at = mailbox, gate, None, 0.0

    def _empty(self) -> tuple[Mailbox, Gate]:
        mailbox = Mailbox(self._is_for)
        return mailbox, Gate(mailbox, self._service.file.suppression.wait, lambda: time.monotonic() * 1000)

    def _step(self) -> None:
        if self._gate.is_full:
            self._stopping.wait(_POLL_SECONDS)
        else:
            busy = self._mailbox.waiting and self._patience.is_over
            for located, *place in self._log.poll(0 if busy else _POLL_SECONDS):
                self._gate.take(IncidentChange(located), *place)
        self._release()
        if self._mind_standstill():
            # Noted first: no log has it, and who may have been told that it began is told that it is over.
            self._commit(at_once=True)
        self._commit(at_once=self._deliver())

    def _release(self) -> None:
        self._gate.follow(self._service.rules.current().newest())
        for group, places in self._gate.release().items():
            some = f"{', '.join(places[:3])}{_more(len(places) - 3)}"
            self._say(f"is not told of {some}: suppressed by an incident of {group}")

    def _tell(self) -> None:
        self._mind_standstill()
        self._deliver()

    def _is_for(self, notification: Notification) -> bool:
        return self._name in self._routes.receivers(notification.severity, notification.labels)

    def _mind_standstill(self) -> bool:
        """Take note of one that begins, or is over; whether Kafka can keep one that begins."""
        found = self._service.watch.found()
        change = None
        if found or self._service.watch.is_known:
            change = self._standing.look(found, round(time.time() * 1000))
        if change:
            self._mailbox.take(change)
        return change is not None and change.until is None and change.told.waiting is not None

    def _deliver(self) -> bool:
        """Tell what is due, as much as goes at once, and now and then what lasts; returns whether anything was due."""
        due = self._mailbox.due(_TOGETHER) if self._patience.is_over else []
        again = self._channel.resends and self._patience.is_over and time.monotonic() >= self._resend_at
        if not due and not again:
            return False
        try:
            if due:
                self._hand_over(due)
            if again:
                self._resend()
        except (UserError, KafkaError) as error:  # of a secret that can't be read, of a refusal that can't be kept, too
            self._patience.failed(error.seconds if isinstance(error, Away) else 0.0)
            if str(error) != self._away:
                self._away = str(error)
                self._say(f"is tried again later: {error}; {self._mailbox.waiting} notifications wait")
        else:
            self._patience.went(self._channel.pause if due else 0.0)
            if self._away:
                self._away = ""
                self._say("takes notifications again")
        return bool(due)

    def _resend(self) -> None:
        lasting = self._mailbox.open()
        for start in range(0, len(lasting), _TOGETHER):
            self._hand_over(lasting[start : start + _TOGETHER])
        self._resend_at = time.monotonic() + RESEND_SECONDS

    def _hand_over(self, due: Sequence[Due]) -> None:
        try:
            note = self._channel.deliver(due)
        except Refused as error:
            if len(due) > 1:  # it may be only one of them
                for one in due:
                    self._hand_over([one])
                return
            self._refusals.keep(self._name, str(error), document(due[0], self._service.look))
            self._mailbox.done(due[0], is_refused=True)
            self._say(f"refuses {due[0].id}: {error}")
        else:
            for one in due:
                self._mailbox.done(one)
            if note:
                self._say(note)
            if news := [one.id for one in due if one.now is not one.before]:
                self._say(f"was told of {', '.join(news[:3])}{_more(len(news) - 3)}")

    def _commit(self, at_once: bool) -> None:
        now = time.monotonic()
        if now < self._commit_at and not at_once:
            return
        state = self._gate.committable(self._log.positions()), self._note()
        if state != self._committed or now >= self._renew_at:
            self._log.commit(*state)
            self._committed, self._renew_at = state, now + _RENEW_SECONDS
        self._commit_at = now + _COMMIT_SECONDS

    def _note(self) -> Note:
        current, mailbox = self._standing.current, self._mailbox
        is_told = current is not None and mailbox.was_told(current.place)
        told = current.told if current and (is_told or mailbox.waits(current.place)) else None
        return Note(told, shorten(self._away, 500), self._gate.suppressed, is_told)

    def _say(self, what: str) -> None:
        say(f"receiver {self._name} {plain(what)}")


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""
