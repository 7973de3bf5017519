"""What an event tells: the job, batch or endpoint it is about, as `GET` gives it now.

Nothing of it is kept with the delivery, so URLs of images are signed for each attempt.
Only those who are told of an event at the same time share one copy of it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import orjson

from service.core.errors import Deleted, NotFound
from service.webhooks import Parcel

Reader: TypeAlias = Callable[[str, str], Awaitable[dict[str, Any]]]
"""Returns what an id of an account stands for; raises NotFound or Deleted."""

_SHARED_S = 1.0
_MOST_SHARED = 1000


class Payloads:
    """Writes events down.

    Args:
        readers: By what the ids begin with, such as `job`.
        shared_s: How long a copy is good for others who are told.
    """

    def __init__(
        self, readers: Mapping[str, Reader], *, shared_s: float = _SHARED_S
    ) -> None:
        self._readers, self._shared_s = readers, shared_s
        self._shared: dict[str, tuple[asyncio.Task[bytes], float]] = {}

    async def body(self, parcel: Parcel) -> bytes:
        """Return the event as it goes over the wire.

        Of what was deleted meanwhile only the id is left to tell.

        Raises:
            QueueUnavailable: Redis is away.
        """
        now = time.monotonic()
        writing, until = self._shared.get(parcel.event, (None, 0.0))
        if writing is None or until < now:
            if len(self._shared) >= _MOST_SHARED:
                self._shared.clear()
            writing = asyncio.create_task(self._write(parcel))
            self._shared[parcel.event] = writing, now + self._shared_s
        # One that is given back must not take the others' copy along.
        return await asyncio.shield(writing)

    async def _write(self, parcel: Parcel) -> bytes:
        read = self._readers[parcel.subject.partition("_")[0]]
        try:
            data = await read(parcel.subject, parcel.account)
        except (NotFound, Deleted):
            data = {"id": parcel.subject, "deleted": True}
        return orjson.dumps(
            {
                "id": parcel.event,
                "object": "event",
                "type": parcel.type,
                "created_at": int(parcel.created_at.timestamp()),
                "data": data,
            }
        )
