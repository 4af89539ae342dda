"""Which way leads to a receiver. To add one: a file here, a field of `oda.notify.file.Receiver`, a line below."""

from __future__ import annotations

from oda.notify.channels.alertmanager import AlertmanagerChannel
from oda.notify.channels.contract import Channel
from oda.notify.channels.mail import MailChannel
from oda.notify.channels.webhook import WebhookChannel
from oda.notify.file import Receiver
from oda.notify.notification import Look


def channel(receiver: Receiver, look: Look) -> Channel:
    """The way to a receiver; it connects when there is something to tell."""
    if receiver.webhook:
        return WebhookChannel(receiver.webhook, look)
    if receiver.alertmanager:
        return AlertmanagerChannel(receiver.alertmanager, look)
    assert receiver.mail, "a file that was checked says one of them"
    return MailChannel(receiver.mail, look)
