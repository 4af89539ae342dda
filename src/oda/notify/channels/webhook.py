"""A webhook: `{"text": ..., "notifications": [...]}`, of which chats show the text."""

from __future__ import annotations

from collections.abc import Sequence

from oda.notify.channels.post import Post
from oda.notify.file import Webhook
from oda.notify.notification import Due, Look, document, text


class WebhookChannel:
    """See `oda.notify.channels.contract.Channel`."""

    pause = 0.0
    resends = False

    def __init__(self, settings: Webhook, look: Look) -> None:
        self._settings = settings
        self._look = look
        self._post = Post(settings)

    def deliver(self, due: Sequence[Due]) -> str:
        url = self._settings.url_from.read() if self._settings.url_from else str(self._settings.url)
        texts = [text(one, self._look) for one in due]
        self._post(url, {"text": "\n\n".join(texts), "notifications": [document(one, self._look) for one in due]})
        return ""

    def close(self) -> None:
        self._post.close()
