"""Deliveries in a real Valkey: who is sent what, when, and who waits for whom."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from service.core.errors import EndpointDisabled, NotFound
from service.core.jobs import JobId, new_job_id
from service.core.requests import GenerationRequest, Priority
from service.job_store import JobStore
from service.job_store.lease import Renewal
from service.job_store.records import NewJob, Webhook
from service.settings import Webhooks
from service.webhooks import Deliveries, DeliveryLeases, Endpoint, Endpoints, Parcel
from service.webhooks.leases import Ending, Settled

RULES = Webhooks(
    schedule_s=[0.05, 0.05], max_in_flight=2, host_per_minute=0, breaker_s=6.4
)
SOON = timedelta(seconds=15)


class Stand:
    """A store with one account, and a worker that does as it is told."""

    def __init__(self, redis: Redis, rules: Webhooks = RULES) -> None:
        self.redis, self.rules = redis, rules
        self.jobs = JobStore(redis)
        self.endpoints = Endpoints(redis, most=5)
        self.deliveries = Deliveries(redis)
        self.leases = self.worker("w1")

    def worker(self, name: str, lease: timedelta = SOON) -> DeliveryLeases:
        return DeliveryLeases(self.redis, self.rules, worker=name, lease=lease)

    async def endpoint(self, *events: str, url: str = "https://a.example/") -> Endpoint:
        made, _ = await self.endpoints.create(
            "ada", url=url, events=events or ("*",), description="", secret=None
        )
        return made

    async def job(
        self, webhook: Webhook | None = None, *, account: str = "ada"
    ) -> JobId:
        """Submit a job and cancel it: an end like any other."""
        new = NewJob(
            id=new_job_id(),
            account=account,
            key_id="key_1",
            priority=Priority.NORMAL,
            request=GenerationRequest(model="test/test", prompt="a fox"),
            webhook=webhook,
        )
        await self.jobs.submit(new)
        await self.jobs.cancel(new.id, account=account)
        return new.id

    async def claim(self, most: int = 10) -> tuple[Parcel, ...]:
        claim = await self.leases.claim(most, held={})
        return claim.leases

    async def end(
        self,
        parcels: Sequence[Parcel],
        ending: Ending = "delivered",
        wait: timedelta = timedelta(0),
    ) -> None:
        verdict = Settled(
            next=ending,
            wait=wait,
            at=datetime.now(UTC),
            status=200 if ending == "delivered" else 500,
            took_ms=3,
            error=None if ending == "delivered" else "status",
            answer=b"ok",
        )
        settled = await asyncio.gather(
            *(self.leases.settle(parcel, verdict) for parcel in parcels)
        )
        assert all(settled)

    async def failed(
        self, endpoint: Endpoint, *, first_days_ago: float, last_days_ago: float
    ) -> None:
        """Let failures of an endpoint lie in the past."""
        now_ms = int(time.time() * 1000)
        times = {
            "failing_ms": now_ms - int(first_days_ago * 86_400_000),
            "failed_ms": now_ms - int(last_days_ago * 86_400_000),
        }
        key = f"darkroom:endpoint:{endpoint.id}"
        await self.redis.hset(key, mapping=times)

    async def close(self) -> None:
        await self.leases.aclose()
        await self.jobs.aclose()


@pytest.fixture
async def stand(redis: Redis) -> AsyncIterator[Stand]:
    opened = Stand(redis)
    yield opened
    await opened.close()


async def states(stand: Stand, **wanted: Any) -> list[tuple[str, str]]:
    page = await stand.deliveries.page("ada", limit=100)
    return [(delivery.state, delivery.reason) for delivery in page.deliveries]


async def test_an_end_is_told_to_whoever_asked_once_each(stand: Stand):
    everything = await stand.endpoint()
    failures = await stand.endpoint("job.failed")
    own = Webhook(url="https://b.example/x", secret="whsec_" + "A" * 32)
    job_id = await stand.job(own)

    parcels = {parcel.url: parcel for parcel in await stand.claim()}

    assert parcels.keys() == {"https://a.example/", "https://b.example/x"}
    assert {parcel.type for parcel in parcels.values()} == {"job.canceled"}
    assert {parcel.subject for parcel in parcels.values()} == {job_id}
    assert len({parcel.event for parcel in parcels.values()}) == 1
    assert parcels["https://a.example/"].secrets == (everything.secret,)
    assert parcels["https://b.example/x"].secrets == (own.secret,)
    assert await stand.claim() == ()
    assert failures.events == ("job.failed",)


async def test_attempts_are_numbered_and_the_event_stays_the_same(stand: Stand):
    await stand.endpoint()
    await stand.job()

    events = set()
    for ending in ("again", "again", "exhausted"):
        parcels = await stand.claim()
        events |= {parcel.event for parcel in parcels}
        await stand.end(parcels, ending)
    [dead] = (await stand.deliveries.page("ada", limit=10)).deliveries
    again = await stand.deliveries.redeliver(dead.id, account="ada")
    [parcel] = await stand.claim()
    await stand.end([parcel])

    told = await stand.deliveries.get(dead.id, account="ada")
    assert (dead.state, dead.reason, again.state) == ("failed", "exhausted", "pending")
    assert [attempt.n for attempt in told.log] == [1, 2, 3, 4]
    assert [attempt.error for attempt in told.log] == ["status"] * 3 + [None]
    assert (parcel.attempts, parcel.tries) == (3, 0)
    assert (told.state, told.reason) == ("delivered", "")
    assert events == {parcel.event}


async def test_a_dead_workers_delivery_is_taken_over_and_its_own_word_refused(
    stand: Stand,
):
    await stand.endpoint()
    await stand.job()
    dying = stand.worker("dying", lease=timedelta(milliseconds=30))
    [lost] = (await dying.claim(10, held={})).leases
    await asyncio.sleep(0.05)

    [taken] = await stand.claim()
    late = Settled(
        next="delivered", at=datetime.now(UTC), status=200, took_ms=1, error=None
    )

    assert taken.id == lost.id
    assert await dying.renew([lost]) == [Renewal.FENCED]
    assert not await dying.settle(lost, late)
    assert await stand.leases.renew([taken]) == [Renewal.RENEWED]
    assert await stand.leases.settle(taken, late)
    assert await stand.leases.settle(taken, late)  # its answer was lost
    assert await stand.leases.renew([taken]) == [Renewal.FINAL]
    told = await stand.deliveries.get(taken.id, account="ada")
    assert [attempt.n for attempt in told.log] == [1]
    await dying.aclose()


async def test_after_an_outage_the_living_keep_what_they_hold(redis: Redis):
    stand, lease = Stand(redis), timedelta(milliseconds=200)
    living, other = stand.worker("living", lease), stand.worker("other", lease)
    await stand.endpoint()
    await stand.job()
    [held] = (await living.claim(10, held={})).leases
    await asyncio.sleep(0.25)  # nobody reaches Redis, and every lease lapses

    soon = await other.claim(10, held={})
    kept = await living.renew([held])
    await stand.end([held])

    assert soon.leases == ()
    assert soon.next_due is not None
    assert soon.next_due > timedelta(milliseconds=100)
    assert kept == [Renewal.RENEWED]
    await living.aclose()
    await other.aclose()
    await stand.close()


async def test_what_is_over_a_receivers_limit_waits_without_a_slot(stand: Stand):
    slow = await stand.endpoint(url="https://slow.example/")
    for _ in range(6):
        await stand.job()
    first = await stand.claim()
    quick = await stand.endpoint(url="https://quick.example/")
    await stand.job()

    second = await stand.claim()
    await stand.end(first)
    third = await stand.claim()

    assert [parcel.url for parcel in first] == [slow.url] * 2
    assert [parcel.url for parcel in second] == [quick.url]
    assert [parcel.url for parcel in third] == [slow.url] * 2
    for _ in range(3):
        await stand.end(await stand.claim())
    await stand.end([*second, *third])
    for _ in range(3):
        await stand.end(await stand.claim())
    assert set(await states(stand)) == {("delivered", "")}


async def test_a_crowd_for_one_receiver_delays_nobody_behind_it(stand: Stand):
    crowd = await stand.endpoint("job.canceled", url="https://slow.example/")
    for _ in range(7):
        await asyncio.gather(*(stand.job() for _ in range(50)))
    await stand.endpoints.change(
        crowd.id, account="ada", fields={"events": "job.failed"}
    )
    await stand.job(Webhook(url="https://quick.example/"))

    first = await stand.claim()

    urls = [parcel.url for parcel in first]
    assert urls == ["https://slow.example/"] * 2 + ["https://quick.example/"]
    lane = f"darkroom:deliver:wait:{crowd.id}"
    assert await stand.redis.zcard(lane) == 348


async def test_a_receiver_that_fails_is_tried_by_one_until_it_is_back(redis: Redis):
    rules = RULES.model_copy(update={"max_in_flight": 10, "breaker_s": 3.2})
    stand = Stand(redis, rules)
    await stand.endpoint()
    for _ in range(8):
        await stand.job()
    await stand.end(await stand.claim(), "again")

    soon = (await stand.claim(), (await stand.leases.claim(10, held={})).next_due)
    await asyncio.sleep(0.06)
    [probe] = await stand.claim()
    meanwhile = await stand.claim()
    await stand.end([probe])
    rest = await stand.claim()

    assert soon[0] == ()
    assert soon[1] is not None
    assert soon[1] <= timedelta(seconds=0.05)
    assert meanwhile == ()
    assert len(rest) == 7
    await stand.end(rest)
    assert await states(stand) == [("delivered", "")] * 8
    await stand.close()


async def test_an_endpoint_that_is_gone_hears_no_more_and_others_are_told(stand: Stand):
    gone = await stand.endpoint(url="https://gone.example/")
    other = await stand.endpoint("endpoint.disabled", url="https://other.example/")
    await stand.job()
    await stand.job()
    parcels = await stand.claim()

    await stand.end(parcels[:1], "gone")
    await stand.end(parcels[1:], "again")
    [told] = await stand.claim()

    seen = await stand.endpoints.get(gone.id, account="ada")
    assert (seen.enabled, seen.reason) == (False, "gone")
    assert (told.url, told.type, told.subject) == (
        other.url,
        "endpoint.disabled",
        gone.id,
    )
    assert sorted(await states(stand)) == [
        ("failed", "endpoint_disabled"),
        ("failed", "gone"),
        ("pending", ""),
    ]
    [(_, event)] = await stand.redis.xrevrange("darkroom:events:ada", count=1)
    assert event == {b"endpoint": gone.id.encode(), b"state": b"disabled"}
    with pytest.raises(EndpointDisabled):
        await stand.endpoints.test(gone.id, account="ada")
    await stand.job()
    assert {parcel.url for parcel in await stand.claim()} == set()


async def test_days_of_nothing_but_failures_disable_an_endpoint(redis: Redis):
    stand = Stand(redis)
    endpoint = await stand.endpoint()
    await stand.job()
    await stand.end(await stand.claim(), "again")
    before = await stand.endpoints.get(endpoint.id, account="ada")
    await stand.failed(endpoint, first_days_ago=5.1, last_days_ago=1)

    await stand.end(await stand.claim(), "again")

    after = await stand.endpoints.get(endpoint.id, account="ada")
    assert (before.enabled, before.failing_since is None) == (True, False)
    assert (after.enabled, after.reason) == (False, "failing")
    await stand.endpoints.change(
        endpoint.id, account="ada", fields={"state": "enabled"}
    )
    await stand.job()
    assert len(await stand.claim()) == 2  # the first one goes on where it was
    await stand.close()


async def test_a_failure_after_quiet_days_says_nothing_of_those_before(stand: Stand):
    endpoint = await stand.endpoint()
    await stand.failed(endpoint, first_days_ago=8, last_days_ago=5)
    await stand.job()

    await stand.end(await stand.claim(), "again")

    seen = await stand.endpoints.get(endpoint.id, account="ada")
    assert seen.enabled
    assert seen.failing_since is not None
    assert datetime.now(UTC) - seen.failing_since < timedelta(days=1)


async def test_a_jobs_own_url_that_is_gone_is_not_called_again(stand: Stand):
    own = Webhook(url="https://b.example/x")
    await stand.job(own)
    await stand.end(await stand.claim(), "gone")
    await stand.job(own)

    later = await stand.claim()
    [second, _] = (await stand.deliveries.page("ada", limit=10)).deliveries
    await stand.deliveries.redeliver(second.id, account="ada")

    assert later == ()
    assert (second.state, second.reason) == ("failed", "gone")
    assert await stand.redis.ttl("darkroom:deliveries:ada") > 0
    assert len(await stand.claim()) == 1


async def test_a_url_for_each_job_makes_no_receiver_of_each(stand: Stand):
    urls = [f"https://tarpit.example/hook?job={n}" for n in range(9)]
    for url in urls:
        await stand.job(Webhook(url=url))
    await stand.job(Webhook(url=urls[0]), account="eve")

    first = sorted(await stand.claim(), key=lambda parcel: parcel.account)
    await stand.end(first[:1], "gone")
    second = await stand.claim()
    await stand.end([first[1], *second], "again", timedelta(seconds=5))
    for _ in range(2):
        await stand.end(await stand.claim(), "again", timedelta(seconds=5))
    at_last = await stand.claim()

    assert [parcel.account for parcel in first] == ["ada", "ada", "eve"]
    assert len(second) == 1  # one that is gone says nothing of the rest
    assert at_last == ()  # five failed, wherever at that host: one tries it, later
    assert await states(stand) == [("pending", "")] * 8 + [("failed", "gone")]


async def test_no_account_has_more_than_a_third_of_the_slots(redis: Redis):
    stand = Stand(redis, RULES.model_copy(update={"slots": 6}))
    for n in range(7):
        await stand.job(Webhook(url=f"https://{n}.tarpit.example/"))
    await stand.job(Webhook(url="https://b.example/"), account="bob")

    first = await stand.claim()
    await stand.end([p for p in first if p.account == "ada"])
    second = await stand.claim()

    assert [p.account for p in first] == ["ada", "ada", "bob"]
    assert [p.account for p in second] == ["ada", "ada"]
    await stand.end(second)
    for _ in range(2):
        await stand.end(await stand.claim())
    assert await states(stand) == [("delivered", "")] * 7
    await stand.close()


async def test_a_record_that_was_lost_holds_no_place_for_ever(redis: Redis):
    stand = Stand(redis, RULES.model_copy(update={"slots": 3}))
    await redis.sadd("darkroom:deliver:held:account:ada", "dlv_lost")
    await stand.endpoint()
    await stand.job()

    first, second = await stand.claim(), await stand.claim()

    assert (len(first), len(second)) == (0, 1)
    await stand.close()


async def test_a_host_is_called_no_faster_than_it_may_be(redis: Redis):
    rules = RULES.model_copy(update={"host_per_minute": 120, "max_in_flight": 10})
    stand = Stand(redis, rules)
    for path in "abcd":
        await stand.job(Webhook(url=f"https://b.example/{path}"))
    await stand.job(Webhook(url="https://c.example/"))

    claim = await stand.leases.claim(10, held={})

    hosts = [parcel.url.split("/")[2] for parcel in claim.leases]
    assert sorted(hosts) == ["b.example"] * 3 + ["c.example"]
    assert claim.next_due is not None
    assert timedelta(seconds=0.3) < claim.next_due <= timedelta(seconds=0.5)
    await stand.close()


async def test_what_nobody_may_send_any_more_ends_by_itself(redis: Redis):
    stand = Stand(redis, RULES.model_copy(update={"max_in_flight": 1}))
    endpoint = await stand.endpoint()
    for _ in range(3):
        await stand.job()
    [held] = await stand.claim()
    lane = f"darkroom:deliver:wait:{endpoint.id}"
    [oldest, _] = await redis.zrange(lane, 0, -1)
    await redis.zadd(lane, {oldest: 1})

    assert await stand.claim() == ()
    await stand.endpoints.delete(endpoint.id, account="ada")
    await stand.end([held])
    assert await stand.claim() == ()

    ends = await states(stand)
    assert sorted(ends) == [
        ("delivered", ""),
        ("failed", "endpoint_deleted"),
        ("failed", "exhausted"),
    ]
    await stand.close()


async def test_a_bug_of_ours_costs_an_attempt_and_blames_no_receiver(redis: Redis):
    stand = Stand(redis, RULES.model_copy(update={"max_in_flight": 10}))
    endpoint = await stand.endpoint()
    for _ in range(6):
        await stand.job()
    parcels = await stand.claim()

    for parcel in parcels:
        assert await stand.leases.settle(parcel, stand.leases.crashed(parcel))
    await stand.job()

    told = await stand.deliveries.get(parcels[0].id, account="ada")
    assert (told.state, [a.error for a in told.log]) == ("pending", ["internal"])
    assert told.due_at is not None
    seen = await stand.endpoints.get(endpoint.id, account="ada")
    assert (len(parcels), seen.failing_since) == (6, None)
    assert len(await stand.claim()) == 1  # no breaker is open
    await stand.close()


async def test_a_delivery_that_cannot_be_read_is_put_off_and_the_others_go_out(
    stand: Stand,
):
    job_id = await stand.job(Webhook(url="https://torn.example/"))
    await stand.job(Webhook(url="https://b.example/"))
    torn = f"dlv_{job_id.removeprefix('job_')}_canceled_own"
    await stand.redis.hset(f"darkroom:delivery:{torn}", "type", b"\xff")

    with capture_logs() as lines:
        [parcel] = await stand.claim()

    assert parcel.url == "https://b.example/"
    assert [line["event"] for line in lines] == ["delivery.unreadable"]
    assert await stand.redis.hget(f"darkroom:delivery:{torn}", "state") == b"pending"
    due_ms = await stand.redis.zscore("darkroom:deliver", torn)
    assert due_ms > time.time() * 1000 + 200_000


async def test_a_bug_of_ours_makes_room_for_another_who_tries(redis: Redis):
    rules = RULES.model_copy(update={"max_in_flight": 10, "breaker_s": 0.32})
    stand = Stand(redis, rules)
    await stand.endpoint()
    for _ in range(7):
        await stand.job()
    await stand.end(await stand.claim(), "again", timedelta(milliseconds=10))
    await asyncio.sleep(0.02)
    [probe] = await stand.claim()

    await stand.leases.settle(probe, stand.leases.crashed(probe))

    [another] = await stand.claim()
    assert another.id != probe.id
    await stand.close()


async def test_what_is_given_back_was_never_claimed(stand: Stand):
    await stand.endpoint()
    await stand.job()
    [parcel] = await stand.claim()

    assert await stand.leases.release(parcel)
    [again] = await stand.claim()

    assert (again.id, again.attempts, again.fence) == (parcel.id, 0, 2)


async def test_others_deliveries_are_unknown_and_torn_records_harm_nobody(
    stand: Stand,
):
    torn = await stand.endpoint(url="https://torn.example/")
    await stand.endpoint()
    await stand.job()
    await stand.redis.set(f"darkroom:endpoint:{torn.id}", "no hash")
    await stand.redis.zadd("darkroom:deliver", {"dlv_lost": 1, "dlv_torn": 2})
    await stand.redis.set("darkroom:delivery:dlv_torn", "no hash")

    [parcel] = await stand.claim()

    with pytest.raises(NotFound):
        await stand.deliveries.get(parcel.id, account="eve")
    with pytest.raises(NotFound):
        await stand.deliveries.redeliver(parcel.id, account="eve")
    with pytest.raises(NotFound):
        await stand.deliveries.page("eve", limit=1, after=parcel.id)
    assert await stand.redis.zrange("darkroom:deliver", 0, -1) == [parcel.id.encode()]


async def test_figures_tell_how_it_went_and_how_late_the_oldest_is(stand: Stand):
    await stand.endpoint()
    await stand.job()
    await stand.job()
    await asyncio.sleep(0.02)
    _, late_s = await stand.deliveries.figures()
    first, second = await stand.claim()
    await stand.end([first])
    await stand.end([second], "exhausted")

    counts, no_more_s = await stand.deliveries.figures()

    assert 0.02 <= late_s < 5
    assert (counts, no_more_s) == ({"delivered": 1, "exhausted": 1}, 0.0)
