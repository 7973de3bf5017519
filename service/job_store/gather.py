"""Group commit: calls that arrive while one round trip is under way share the next.

redis-py costs more Python per call than Redis costs time; sharing round trips is
worth a factor of four at the front door and more in a worker.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from redis.exceptions import (
    BusyLoadingError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from service.job_store.listening import end

_REFUSALS = ("MISCONF", "MASTERDOWN", "NOREPLICAS", "BUSY", "UNKILLABLE")
_AWAY = (
    RedisConnectionError,
    RedisTimeoutError,
    BusyLoadingError,
    OutOfMemoryError,
    ReadOnlyError,
    OSError,
)


def is_away(exc: Exception) -> bool:
    """Whether Redis is not there, or takes no writes, just now.

    Anything else is a fault of what was sent.
    """
    return isinstance(exc, _AWAY) or str(exc).startswith(_REFUSALS)


Item = TypeVar("Item")
Answer = TypeVar("Answer")
_PAUSE_S = 0.2


class Gather(Generic[Item, Answer]):
    """Sends items in batches, `abreast` of them at a time, and hands out the answers.

    While Redis is away a persistent gather waits for as long as it takes (its
    items are paid results); another one passes the error to its callers, those
    behind the batch included, so that nobody waits longer than one `send`. A batch
    refused for any other reason is halved until the one bad item stands alone, so
    that it harms nobody else: `send` must therefore be idempotent per item.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        persistent: bool = False,
        most: int = 500,
        abreast: int = 1,
    ) -> None:
        self._send, self._persistent = send, persistent
        self._most, self._abreast = most, abreast
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._boarding = False
        self._trips: set[asyncio.Task[None]] = set()

    async def __call__(self, item: Item) -> Answer:
        """Send `item` with whoever comes along; return its own answer.

        Raises:
            RedisError: Redis is away, or refused this very item.
        """
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        self._board()
        return await answer

    def _board(self) -> None:
        """Begin a round trip, unless one takes on items already or all are away."""
        if self._boarding or not self._waiting or len(self._trips) >= self._abreast:
            return
        self._boarding = True
        trip = asyncio.create_task(self._travel())
        self._trips.add(trip)
        trip.add_done_callback(self._landed)

    def _landed(self, trip: "asyncio.Task[None]") -> None:
        self._trips.discard(trip)
        self._board()

    async def _travel(self) -> None:
        await asyncio.sleep(0)  # let the others of this turn come aboard
        batch = self._waiting[: self._most]
        del self._waiting[: self._most]
        self._boarding = False
        self._board()
        await self._deliver([pair for pair in batch if not pair[1].done()])

    async def _deliver(self, batch: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        if not batch:
            return
        try:
            answers = await self._patiently([item for item, _ in batch])
        except Exception as exc:  # noqa: BLE001 - passed on: nobody waits in vain
            if is_away(exc):
                everybody, self._waiting = batch + self._waiting, []
                _refuse(everybody, exc)
            elif len(batch) == 1:
                _refuse(batch, exc)
            else:
                half = len(batch) // 2
                await self._deliver(batch[:half])
                await self._deliver(batch[half:])
            return
        for (_, waiter), answer in zip(batch, answers, strict=True):
            if not waiter.done():
                waiter.set_result(answer)

    async def _patiently(self, items: list[Item]) -> Sequence[Answer]:
        while True:
            try:
                return await self._send(items)
            except (RedisError, OSError) as exc:
                if not self._persistent or not is_away(exc):
                    raise
                await asyncio.sleep(_PAUSE_S)

    async def aclose(self) -> None:
        """Stop; whoever still waits is canceled."""
        waiting, self._waiting = self._waiting, []
        for _, waiter in waiting:
            waiter.cancel()
        await end(tuple(self._trips))


def _refuse(batch: list[tuple[Item, asyncio.Future[Answer]]], exc: Exception) -> None:
    for _, waiter in batch:
        if not waiter.done():
            waiter.set_exception(exc)
