"""Links that lead to images: followed behind the guard, few at a time, up to a limit.

What hangs holds up only the account that sent it there: each has fewer turns than
there are.
"""

import asyncio
from datetime import timedelta
from weakref import WeakValueDictionary

from service.core.errors import InvalidReference
from service.intake.spool import Held, Holding, Spool
from service.intake.uploads import Upload
from service.outbound import Outbound, OutboundError, TooLong

_AT_ONCE, _OF_AN_ACCOUNT = 64, 16


class Budget:
    """Bytes that all links of one request may lead to together."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = self._left = most_bytes

    def spend(self, size: int, param: str) -> None:
        """Take `size` bytes out of it.

        Raises:
            InvalidReference: There are not so many left (`reference_too_large`).
        """
        self._left -= size
        if self._left < 0:
            raise InvalidReference(
                "what all links together lead to has more than "
                f"{self._most_bytes:,} bytes",
                code="reference_too_large",
                param=param,
            )


class Links:
    """Follows links; one per process.

    Args:
        outbound: Has the guard.
        most_bytes: Longest image that one may lead to.
        most_together: All that the links of one request may lead to, in bytes.
        within: By then an image must have come, the wait for its turn apart.
    """

    def __init__(
        self,
        outbound: Outbound,
        *,
        most_bytes: int,
        most_together: int,
        within: timedelta,
    ) -> None:
        self._outbound, self._within = outbound, within
        self._most_bytes, self._most_together = most_bytes, most_together
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._own: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def budget(self) -> Budget:
        """Return what the links of one request may spend."""
        return Budget(self._most_together)

    async def fetch(
        self, upload: Upload, spool: Spool, *, account: str, budget: Budget
    ) -> Held:
        """Return what the link of `upload` leads to, which is in `spool` then.

        Raises:
            InvalidReference: Nothing that can be had, or too much.
            Unavailable: There is no room for it.
        """
        file = Holding(spool)

        async def take(chunk: bytes) -> None:
            budget.spend(len(chunk), upload.param)
            await file.add(chunk)

        own = self._own.setdefault(account, asyncio.Semaphore(_OF_AN_ACCOUNT))
        try:
            async with own, self._turns:
                await self._outbound.fetch(
                    upload.link or "",
                    take,
                    within=self._within,
                    max_bytes=self._most_bytes,
                )
        except TooLong as exc:
            raise InvalidReference(
                f"what the link leads to has more than {self._most_bytes:,} bytes",
                code="reference_too_large",
                param=upload.param,
            ) from exc
        except OutboundError as exc:
            raise InvalidReference(
                "the link does not lead to an image that can be had",
                code="reference_unreachable",
                param=upload.param,
            ) from exc
        return file.held()
