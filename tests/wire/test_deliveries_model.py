"""Deliveries under whatever may happen to them: none is lost, none is held for ever.

pending    in `deliver`, or in its target's lane or its account's
running    in `deliver`, and held by its target and its account
delivered, failed    nowhere, until somebody asks for it again
"""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from service.core.errors import EndpointDisabled
from service.job_store.records import Webhook
from service.settings import Webhooks
from service.webhooks import DeliveryLeases, Ending, Parcel, Settled
from tests.wire.test_deliveries_store import Stand

RULES = Webhooks(
    schedule_s=[0.01, 0.01, 0.01],
    max_in_flight=3,
    host_per_minute=0,
    breaker_s=0.32,
    slots=12,
)
OURS = b"account:ada"
ENDINGS: tuple[Ending, ...] = (
    *("delivered", "again", "again", "exhausted", "gone", "crashed"),
)
FINAL = {b"delivered", b"failed"}


class Walk:
    """Takes random steps, and remembers what it holds."""

    def __init__(self, stand: Stand, dice: random.Random) -> None:
        self._stand, self._dice = stand, dice
        self._workers = [self._worker(f"w{n}") for n in range(2)]
        self.held: list[tuple[DeliveryLeases, Parcel]] = []
        self.logged: dict[str, int] = {}

    def _worker(self, name: str) -> DeliveryLeases:
        return self._stand.worker(name, lease=timedelta(milliseconds=40))

    async def step(self) -> None:
        steps: list[Callable[[], Awaitable[None]]] = [
            *(self.end_job, self.claim, self.claim, self.settle, self.settle),
            *(self.settle, self.release, self.renew, self.forget, self.redeliver),
            self.toggle,
        ]
        await self._dice.choice(steps)()

    async def end_job(self) -> None:
        own = Webhook(url=f"https://c.example/{self._dice.random()}")
        await self._stand.job(self._dice.choice([None, own]))

    async def claim(self) -> None:
        worker = self._dice.choice(self._workers)
        claim = await worker.claim(self._dice.randint(1, 5), held={})
        self.held += [(worker, parcel) for parcel in claim.leases]

    async def settle(self, ending: Ending | None = None) -> None:
        if not self.held:
            return
        worker, parcel = self.held.pop(self._dice.randrange(len(self.held)))
        verdict = Settled(
            next=ending or self._dice.choice(ENDINGS),
            wait=timedelta(milliseconds=self._dice.choice([0, 5])),
            at=datetime.now(UTC),
            status=None,
            took_ms=1,
            error="timeout",
        )
        if await worker.settle(parcel, verdict):
            self.logged[parcel.id] = self.logged.get(parcel.id, 0) + 1

    async def release(self) -> None:
        if self.held:
            worker, parcel = self.held.pop()
            await worker.release(parcel)

    async def renew(self) -> None:
        for worker in self._workers:
            await worker.renew([p for owner, p in self.held if owner is worker])

    async def forget(self) -> None:
        """Die with one in hand."""
        if self.held and self._dice.random() < 0.3:
            self.held.pop(0)

    async def redeliver(self) -> None:
        page = await self._stand.deliveries.page("ada", limit=50)
        final = [d for d in page.deliveries if d.state != "pending"]
        if final:
            chosen = self._dice.choice(final)
            try:
                await self._stand.deliveries.redeliver(chosen.id, account="ada")
            except EndpointDisabled:
                return

    async def toggle(self) -> None:
        endpoint = self._dice.choice(await self._stand.endpoints.list("ada"))
        state = self._dice.choice(["enabled", "enabled", "disabled"])
        await self._stand.endpoints.change(
            endpoint.id, account="ada", fields={"state": state}
        )

    async def finish(self) -> None:
        """Let everything arrive that still may."""
        for endpoint in await self._stand.endpoints.list("ada"):
            await self._stand.endpoints.change(
                endpoint.id, account="ada", fields={"state": "enabled"}
            )
        while await self._pending():
            claim = await self._workers[0].claim(10, held={})
            self.held += [(self._workers[0], parcel) for parcel in claim.leases]
            while self.held:
                await self.settle("delivered")

    async def _pending(self) -> bool:
        page = await self._stand.deliveries.page(
            "ada", limit=1, matches=lambda delivery: delivery.state == "pending"
        )
        return bool(page.deliveries)

    async def close(self) -> None:
        for worker in self._workers:
            await worker.aclose()


async def check(redis: Redis, walk: Walk) -> None:
    """Compare every record with the places where it should be."""
    due = set(await redis.zrange("darkroom:deliver", 0, -1))
    of_account = set[bytes]()
    waiting, held = dict[bytes, bytes](), dict[bytes, bytes]()
    async for key in redis.scan_iter("darkroom:deliver:wait:*"):
        name = key.removeprefix(b"darkroom:deliver:wait:")
        for delivery_id in await redis.zrange(key, 0, -1):
            assert delivery_id not in waiting
            waiting[delivery_id] = name
        assert await redis.sismember("darkroom:deliver:waits", name)
    async for key in redis.scan_iter("darkroom:deliver:held:*"):
        name = key.removeprefix(b"darkroom:deliver:held:")
        members = await redis.smembers(key)
        if name == OURS:
            assert len(members) <= RULES.slots // 3
            of_account = members
        else:
            assert len(members) <= RULES.max_in_flight
            held |= dict.fromkeys(members, name)
    assert of_account == held.keys()
    ids = await redis.zrange("darkroom:deliveries:ada", 0, -1)
    for delivery_id in ids:
        record = await redis.hgetall(b"darkroom:delivery:" + delivery_id)
        state, target = record[b"state"], record[b"target"]
        places = (delivery_id in due, waiting.get(delivery_id), held.get(delivery_id))
        expected = {
            b"running": [(True, None, target)],
            b"pending": [
                (True, None, None),
                (False, target, None),
                (False, OURS, None),
            ],
        }
        assert places in expected.get(state, [(False, None, None)]), (state, places)
        numbers = sorted(int(n[4:]) for n in record if n.startswith(b"log:"))
        assert numbers == list(range(1, int(record[b"attempts"]) + 1))
        assert len(numbers) == walk.logged.get(delivery_id.decode(), 0)
        assert (await redis.ttl(b"darkroom:delivery:" + delivery_id) > 0) == (
            state in FINAL
        )
    assert due | waiting.keys() | held.keys() <= set(ids)


@pytest.fixture
async def stand(redis: Redis) -> AsyncIterator[Stand]:
    opened = Stand(redis, RULES)
    for name in "ab":
        await opened.endpoint("*", url=f"https://{name}.example/")
    yield opened
    await opened.close()


@pytest.mark.parametrize("seed", range(12))
async def test_a_random_walk_loses_nothing(stand: Stand, redis: Redis, seed: int):
    walk = Walk(stand, random.Random(seed))

    for _ in range(60):
        await walk.step()
        await check(redis, walk)
    await walk.finish()

    await check(redis, walk)
    assert await redis.zcard("darkroom:deliver") == 0
    assert not [key async for key in redis.scan_iter("darkroom:deliver:held:*")]
    assert not [key async for key in redis.scan_iter("darkroom:deliver:wait:*")]
    await walk.close()
