"""What the engine serves: a queue of things that are leased, run and settled."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

from service.job_store.lease import Claim, Renewal


class Entry(Protocol):
    """What a worker holds: a job, or a delivery."""

    @property
    def id(self) -> str:
        """Its own id, as in its record."""
        ...

    @property
    def fence(self) -> int:
        """The number that makes every earlier claim's writes harmless."""
        ...


E = TypeVar("E", bound=Entry)


class Work(Protocol[E]):
    """One queue, as one worker process serves it.

    `claim` and `renew` raise RedisError when Redis is away and are simply called
    again; `settle` and `release` wait for it, because they carry what was done.

    Attributes:
        bell: Key of the list that is rung when there is work.
        cancels: Channel that names entries which were called off; None: there is none.
    """

    bell: str
    cancels: str | None

    async def claim(self, most: int, *, held: Mapping[str, E]) -> Claim[E]:
        """Take up to `most` entries; again after a lost answer takes the same."""
        ...

    async def renew(self, held: Sequence[E]) -> list[Renewal]:
        """Prolong the leases; one answer each, in order."""
        ...

    async def settle(self, lease: E, verdict: Any) -> bool:
        """Write down what came of it; False when it is not ours to end any more."""
        ...

    async def release(self, lease: E) -> bool:
        """Give it back as if it had not been claimed."""
        ...

    def crashed(self, lease: E) -> Any:
        """Return the verdict on one whose run met a bug of ours."""
        ...

    async def announce(self, *, draining: bool) -> None:
        """Say that this worker lives; called with every heartbeat.

        Args:
            draining: It takes nothing more on.
        """
        ...

    async def leave(self) -> None:
        """Say that it does not any more."""
        ...

    async def aclose(self) -> None:
        """Stop the shared round trips."""
        ...
