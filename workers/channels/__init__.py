"""The ways an event can go out, by name.

To add one: write `workers/channels/<name>.py`, add a line here.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import ClassVar, Protocol

from service.outbound import Outbound
from workers.channels._message import Message, Reply
from workers.channels.webhook import WebhookChannel

__all__ = ["CHANNELS", "Channel", "Message", "Reply"]


class Channel(Protocol):
    """Tells somebody of one event, in one call that has an end."""

    name: ClassVar[str]

    async def send(self, message: Message) -> Reply:
        """Send the message once; whatever goes wrong is a reply, too."""
        ...


CHANNELS: Mapping[str, Callable[[Outbound, timedelta], Channel]] = {
    WebhookChannel.name: WebhookChannel,
}
