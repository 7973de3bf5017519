"""Standard Webhooks: one signed POST, and any 2xx means that it arrived.

A redirect is a failure: the signature vouches for a body at the URL that was named,
and following would let that URL send us anywhere.
"""

import time
from datetime import timedelta
from typing import ClassVar

from service.core.webhooks import signed
from service.outbound import Outbound, Untold
from workers.channels._message import Message, Reply


class WebhookChannel:
    """See `Channel`; each attempt is signed with the time at which it is made."""

    name: ClassVar[str] = "webhook"

    def __init__(self, outbound: Outbound, timeout: timedelta) -> None:
        self._outbound, self._timeout = outbound, timeout

    async def send(self, message: Message) -> Reply:
        """See `Channel.send`."""
        headers = signed(
            message.body,
            event=message.event,
            at_s=int(time.time()),
            secrets=message.secrets,
        )
        try:
            answer = await self._outbound.tell(
                message.url,
                headers={**headers, "Content-Type": "application/json"},
                body=message.body,
                within=self._timeout,
            )
        except Untold as exc:
            return Reply(status=None, error=exc.kind)
        error = None if answer.ok else "status"
        return Reply(status=answer.status, error=error, body=answer.body)
