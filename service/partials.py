"""Unfinished images on their way from a worker to callers who stream.

The bytes lie in the image store for a while, and a message says that they do. It may
be lost: whoever hears of image 2 first looks for 0 and 1, too, and who hears of none
just waits for the finished one.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple, Self

from redis.asyncio import Redis

from service.core.jobs import JobId
from service.job_store import keys
from service.job_store.listening import end, messages


class Partial(NamedTuple):
    """An unfinished image that can be had now.

    Attributes:
        fence: Of the attempt it comes from.
        number: Which it is of that attempt, from 0.
    """

    fence: int
    number: int


Mailbox = asyncio.Queue[Partial | None]
"""What a caller finds there one by one; None: something else has happened."""


def partial_key(job_id: JobId, partial: Partial) -> str:
    """Return where it lies in the image store."""
    return f"jobs/{job_id}/{partial.fence}/partial/{partial.number}"


async def announce(redis: Redis, job_id: JobId, partial: Partial) -> None:
    """Tell every front door of it.

    Raises:
        RedisError: Redis is away.
    """
    await redis.publish(keys.PARTIALS, f"{job_id} {partial.fence} {partial.number}")


class Partials:
    """Hears what is announced, for everybody in this process who wants to.

    Use as a context manager; leaving it stops listening.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._mailboxes: defaultdict[str, set[Mailbox]] = defaultdict(set)
        self._listener: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._listener = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._listener is not None:
            await end([self._listener])

    @contextlib.contextmanager
    def delivered_to(self, mailbox: Mailbox, job_id: JobId) -> Iterator[None]:
        """Put there what is announced of the job meanwhile."""
        self._mailboxes[job_id].add(mailbox)
        try:
            yield
        finally:
            self._mailboxes[job_id].discard(mailbox)
            if not self._mailboxes[job_id]:
                del self._mailboxes[job_id]

    async def _listen(self) -> None:
        async for message in messages(self._redis, keys.PARTIALS):
            match message.decode().split():
                case [job_id, fence, number]:
                    partial = Partial(int(fence), int(number))
                    for mailbox in self._mailboxes.get(job_id, ()):
                        mailbox.put_nowait(partial)
                case _:  # the connection stands anew, and there is nowhere to look
                    continue
