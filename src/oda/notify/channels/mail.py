"""Mail: several notifications go in one, so that a bad night is a few mails and not thousands."""

from __future__ import annotations

import hashlib
import smtplib
import ssl
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from email.utils import formatdate

from oda.core.rules.file import SEVERITIES
from oda.errors import Refused, shorten
from oda.notify.channels.contract import Away
from oda.notify.file import PORTS, Mail
from oda.notify.notification import Due, Look, text, title
from oda.shown import plain

_SUBJECT = 200


class MailChannel:
    """See `oda.notify.channels.contract.Channel`. Each mail has a connection of its own: servers end idle ones."""

    pause = 10.0
    resends = False

    def __init__(self, settings: Mail, look: Look) -> None:
        self._settings = settings
        self._look = look

    def deliver(self, due: Sequence[Due]) -> str:
        message = mail(due, self._settings, self._look)
        with _explained(), self._connected() as server:
            if self._settings.user and self._settings.password:
                server.login(self._settings.user, self._settings.password.read())
            refused = server.send_message(message)
        # Some of several recipients; the others have it.
        return "; ".join(f"it does not take mail to {plain(who)}: {_answer(*why)}" for who, why in refused.items())

    def close(self) -> None:
        pass

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        settings = self._settings
        port, timeout = settings.port or PORTS[settings.security], settings.timeout / 1000
        server: smtplib.SMTP
        if settings.security == "tls":
            server = smtplib.SMTP_SSL(settings.host, port, timeout=timeout, context=self._trust())
        else:
            server = smtplib.SMTP(settings.host, port, timeout=timeout)
        try:
            if settings.security == "starttls":
                server.starttls(context=self._trust())
            yield server
        finally:
            with suppress(smtplib.SMTPException, OSError):  # what it took, it has
                server.quit()
            server.close()

    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._settings.ca)


def mail(due: Sequence[Due], settings: Mail, look: Look) -> EmailMessage:
    """One mail. Its Message-ID is the same when it is sent again; all about one incident refer to the same one."""
    message = EmailMessage()
    message["From"], message["To"] = settings.from_, ", ".join(settings.to)
    message["Subject"] = shorten(title(due[0]) if len(due) == 1 else _several(due), _SUBJECT)
    message["Date"] = formatdate()
    message["Message-ID"] = _message_id(*(one.id for one in due))
    message["Auto-Submitted"] = "auto-generated"  # no answer from who is on holiday
    message["References"] = " ".join(_message_id(one.now.place) for one in due[:20])
    message.set_content("\n\n".join(text(one, look) for one in due) + "\n")
    return message


def _several(due: Sequence[Due]) -> str:
    """What is in a mail of several, the worst severity first."""
    changes = Counter(one.now.change for one in due)
    counts = ", ".join(
        f"{changes[change]} {change}" for change in ("opened", "escalated", "resolved") if changes[change]
    )
    worst = max((one.now.severity for one in due), key=lambda one: SEVERITIES.index(one) if one in SEVERITIES else 99)
    return f"[{plain(worst)}] {len(due)} incidents: {counts}"


def _message_id(*ids: str) -> str:
    return f"<{hashlib.sha256(repr(ids).encode()).hexdigest()[:40]}@oda.invalid>"


@contextmanager
def _explained() -> Iterator[None]:
    """SMTP's permanent errors begin with 5; all else may pass."""
    try:
        yield
    except smtplib.SMTPRecipientsRefused as error:
        answers = [_answer(*why) for why in error.recipients.values()]
        kind = Refused if all(code >= 500 for code, _ in error.recipients.values()) else Away
        raise kind(f"no recipient is taken: {'; '.join(answers)}") from None
    except smtplib.SMTPResponseException as error:
        kind = Refused if error.smtp_code >= 500 else Away
        raise kind(f"it answers {_answer(error.smtp_code, error.smtp_error)}") from None
    except (smtplib.SMTPException, OSError) as error:
        raise Away(shorten(f"{type(error).__name__}: {plain(str(error))}", 300)) from None


def _answer(code: int, said: bytes | str) -> str:
    return shorten(f"{code} {plain(said.decode(errors='replace') if isinstance(said, bytes) else said)}", 300)
