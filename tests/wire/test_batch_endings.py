"""Batches that end otherwise than with their last line, and those that never began."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis

from service.batches import BatchState, Endings, Feeds, line_job_id
from service.core.errors import (
    AlreadyFinished,
    BatchDeleted,
    BatchNotFound,
    BatchOver,
    IdempotencyMismatch,
    InvalidRequest,
    JobDeleted,
    QueueUnavailable,
)
from service.core.jobs import Job, JobState
from service.files import Line
from service.image_store import ImageStore
from service.job_store import keys
from service.job_store.lease import Lease
from service.job_store.leases import Leases
from service.job_store.outcomes import Outcome
from service.settings import Limits
from tests.fakes.batching import DAY, BatchStand, batch_stand, coming, foxes
from tests.fakes.store_jobs import ATTEMPT
from tests.fakes.valkey import Valkey
from tests.fakes.worker import FakeWorker
from workers.sweep import Sweep


@pytest.fixture
async def stand(shared_valkey: Valkey, redis: Redis, tmp_path: Path):
    limits = Limits(batch_window=10, batch_lines=2000)
    async with batch_stand(shared_valkey.url, tmp_path, limits=limits) as opened:
        yield opened


@pytest.fixture
def endings(stand: BatchStand, redis: Redis) -> Endings:
    return Endings(redis, stand.backends.images, retention=DAY)


async def begun(stand: BatchStand, leases: Leases, count: int) -> tuple:
    """Take in thirty lines, ten of which are under way, some of them running."""
    batch = await stand.take(foxes(30))
    async with asyncio.timeout(10):
        while len(await stand.under_way(batch)) < 10:
            await asyncio.sleep(0.005)
    return batch, (await leases.claim(count, held={})).leases


async def succeed(leases: Leases, running: list[Lease]) -> None:
    outcome = Outcome(state=JobState.SUCCEEDED, attempt=ATTEMPT)
    await asyncio.gather(*(leases.commit(lease, outcome) for lease in running))


async def kept(stand: BatchStand) -> list[str]:
    """What there is of batches in Redis and in the store."""
    found = await stand.backends.redis.keys("darkroom:*batch*")
    in_redis = [key.decode() for key in found]
    return in_redis + await stand.backends.images.list("batches/")


async def test_canceling_leaves_exactly_those_lines_finished_that_had_begun(
    stand, leases
):
    async with stand.feeder():
        batch, running = await begun(stand, leases, 4)
        canceled = await stand.batches.cancel(batch.id, account="ada")
        under_way = await stand.under_way(batch)
        await succeed(leases, running)
        again = await stand.batches.cancel(batch.id, account="ada")

    ran = {lease.job_id for lease in running}
    assert canceled.state is BatchState.CANCELLING
    assert {line_job_id(batch.id, line) for line in under_way} == ran
    assert again.state is BatchState.CANCELLED
    assert (again.completed, again.canceled, again.total) == (4, 26, 30)
    assert not (await leases.claim(30, held={})).leases
    done = [
        *await stand.batches.done(again, after=0, limit=12),
        *await stand.batches.done(again, after=12, limit=99),
    ]
    assert sorted(done) == [*range(30)]
    assert done[10:] == [*range(10, 30)]
    assert [line_job_id(batch.id, line) in ran for line in done[6:10]] == [True] * 4


async def test_a_batch_that_has_ended_is_not_canceled(stand, redis):
    async with stand.feeder(), FakeWorker(redis, stand.backends.images):
        batch = await stand.ended(await stand.take(foxes(2)))

    with pytest.raises(AlreadyFinished):
        await stand.batches.cancel(batch.id, account="ada")
    with pytest.raises(BatchNotFound):
        await stand.batches.cancel(batch.id, account="bob")


async def test_what_has_not_begun_expires_with_its_batch(stand, leases, endings, redis):
    async with stand.feeder():
        batch, running = await begun(stand, leases, 3)
        await redis.zadd(keys.BATCHES_EXPIRY, {batch.id: 1})
        await endings.end_due()
        expiring = await stand.get(batch)
        await succeed(leases, running)

    batch = await stand.get(batch)
    assert (expiring.state, expiring.expired) == (BatchState.EXPIRING, 7)
    assert batch.state is BatchState.EXPIRED
    assert (batch.completed, batch.expired) == (3, 27)


async def test_a_call_off_that_was_broken_off_is_gone_on_with(
    stand, leases, endings, redis
):
    async with stand.feeder():
        batch, _ = await begun(stand, leases, 0)
        await redis.hset(keys.batch(batch.id), "state", "cancelling")
        await redis.zadd(keys.BATCHES_EXPIRY, {batch.id: 1})

        await endings.end_due()

    assert (await stand.get(batch)).state is BatchState.CANCELLED


async def test_a_batch_whose_record_is_torn_keeps_nobody_from_the_others(
    stand, leases, endings, redis
):
    batch = await stand.take(foxes(3))
    torn, lines_torn = "batch_" + "t" * 26, await stand.take(foxes(3))
    await redis.set(keys.batch(torn), "x")
    await redis.zadd(keys.FEED, {torn: 1})
    await redis.sadd(keys.batch(lines_torn.id, "open"), "x")

    taken = {await stand.batches.feeds.take(f"door {n}") for n in range(3)}
    due = {torn: 1, lines_torn.id: 2, batch.id: 3}
    await redis.zadd(keys.BATCHES_EXPIRY, due)
    await endings.end_due()
    await redis.zadd(keys.BATCHES_OVER, {torn: 1})
    gone = await endings.forget_due()

    assert taken == {lines_torn.id, batch.id, None}
    assert (await stand.get(batch)).state is BatchState.EXPIRED
    assert (await stand.get(lines_torn)).state is BatchState.EXPIRING
    assert await redis.zrange(keys.BROKEN, 0, -1) == [torn.encode()]
    assert (gone, await redis.exists(keys.batch(torn))) == (1, 0)


async def test_a_line_whose_record_was_removed_by_hand_ends_with_its_batch(
    stand, leases, redis
):
    async with stand.feeder():
        batch, _ = await begun(stand, leases, 0)
        await redis.delete(keys.job(line_job_id(batch.id, 3)))

        batch = await stand.batches.cancel(batch.id, account="ada")

    assert batch.state is BatchState.CANCELLED
    assert (batch.failed, batch.canceled) == (1, 29)


@pytest.mark.parametrize("hold", [True, False], ids=["held", "due later"])
async def test_a_line_that_waits_for_another_attempt_ends_with_its_batch(
    stand, leases, hold
):
    async with stand.feeder():
        batch, [waiting, *running] = await begun(stand, leases, 3)
        await leases.retry(waiting, ATTEMPT, wait=timedelta(hours=1), hold=hold)

        canceled = await stand.batches.cancel(batch.id, account="ada")
        await succeed(leases, running)

    job = await stand.backends.jobs.get(waiting.job_id, account="ada")
    assert (canceled.state, job.state) == (BatchState.CANCELLING, JobState.CANCELED)
    batch = await stand.get(batch)
    assert batch.state is BatchState.CANCELLED
    assert (batch.completed, batch.canceled) == (2, 28)


async def test_a_line_whose_end_was_lost_ends_with_its_batch(stand, leases, redis):
    async with stand.feeder():
        batch, running = await begun(stand, leases, 1)
        await succeed(leases, running)
        [line] = await stand.batches.done(batch, after=0, limit=9)
        key = keys.batch(batch.id)
        await redis.rpop(f"{key}:done")
        await redis.sadd(f"{key}:open", line)
        await redis.hincrby(key, "completed", -1)

        batch = await stand.batches.cancel(batch.id, account="ada")

    assert batch.state is BatchState.CANCELLED
    assert (batch.completed, batch.canceled) == (1, 29)


async def test_bad_lines_fail_alone(stand, redis):
    lines = foxes(6)
    lines[1] = b"not JSON"
    lines[2]["model"] = "nobody/nothing"
    lines[4]["custom_id"] = "c0"
    async with stand.feeder(), FakeWorker(redis, stand.backends.images):
        batch = await stand.ended(await stand.take(lines))

    assert batch.state is BatchState.COMPLETED
    assert (batch.total, batch.completed, batch.failed, batch.bad) == (6, 3, 3, 3)
    assert [(error.code, error.number) for error in batch.errors] == [
        ("invalid_json", 2),
        ("unknown_model", 3),
        ("duplicate_custom_id", 5),
    ]
    stored = await stand.batches.lines(batch, [2, 3])
    assert stored[2].error["code"] == "unknown_model"
    assert stored[3].body["prompt"] == "fox 3"
    assert await stand.batches.bad(batch, range(6)) == {}


@pytest.mark.parametrize(
    ("lines", "code"), [([b"{}", b"[]"], "missing_field"), ([], "empty_file")]
)
async def test_a_batch_without_a_sound_line_has_failed(stand, lines, code):
    batch = await stand.take(lines)

    assert (batch.state, batch.failed) == (BatchState.FAILED, len(lines))
    assert batch.errors[0].code == code
    assert await stand.batches.done(batch, after=0, limit=9) == [*range(len(lines))]


async def test_of_an_upload_that_is_cut_nothing_is_left_and_its_name_is_free(stand):
    async def cut() -> AsyncIterator[Line]:
        async for line in coming(foxes(1500)):
            yield line
        raise InvalidRequest("the body ended before its end", code="body_incomplete")

    batch = await stand.begin(name="mine")
    with pytest.raises(InvalidRequest):
        await stand.acceptance.take(batch, cut(), key=stand.key)
    too_many = await stand.begin(name="mine")
    with pytest.raises(InvalidRequest) as refused:
        await stand.acceptance.take(too_many, coming(foxes(2001)), key=stand.key)

    assert refused.value.code == "too_many_lines"
    assert await kept(stand) == []
    with pytest.raises(BatchNotFound):
        await stand.get(batch)


class ForgetfulFeeds(Feeds):
    """Begins batches, and loses the answer; or the pool, which asks again, does."""

    asks_again = False

    async def opened(self, batch_id, reading, *, holder=""):
        await super().opened(batch_id, reading, holder=holder)
        if not self.asks_again:
            raise QueueUnavailable("the queue is not available")
        await super().opened(batch_id, reading, holder=holder)


@pytest.mark.parametrize("asks_again", [False, True])
async def test_a_batch_that_has_begun_is_accepted_although_the_answer_was_lost(
    stand, redis, asks_again
):
    stand.batches.feeds = ForgetfulFeeds(redis)
    stand.batches.feeds.asks_again = asks_again

    batch = await stand.take(foxes(3))

    assert (batch.state, batch.total) == (BatchState.IN_PROGRESS, 3)


async def test_an_upload_begun_anew_takes_the_place_of_the_first(stand, endings):
    first = await stand.begin(name="mine")
    second = await stand.begin(name="mine")

    with pytest.raises(BatchOver):
        await stand.acceptance.take(first, coming(foxes(1200)), key=stand.key)
    taken = await stand.acceptance.take(second, coming(foxes(3)), key=stand.key)
    joined = await stand.begin(name="mine")

    assert taken.id == second.id == joined.id
    await stand.acceptance.check_same(joined, coming(foxes(3)))
    with pytest.raises(IdempotencyMismatch):
        await stand.acceptance.check_same(joined, coming(foxes(4)))
    with pytest.raises(IdempotencyMismatch):
        await stand.begin(name="mine", content_hash="other")
    assert await stand.backends.images.list(f"batches/{first.id}/") == []


async def test_an_upload_whose_front_door_died_is_dropped_in_time(
    stand, endings, redis
):
    batch = await stand.begin(name="mine")
    writer = stand.batches.writer(batch.id)
    for line in (await _stored(stand, 1000)).values():
        await writer.add(line)
    await redis.zadd(keys.BATCHES_OVER, {batch.id: 1})

    await endings.forget_due()

    with pytest.raises(BatchNotFound):
        await stand.get(batch)
    assert await stand.backends.images.list(f"batches/{batch.id}/") == []


async def _stored(stand: BatchStand, count: int) -> dict:
    batch = await stand.take(foxes(count))
    return await stand.batches.lines(batch, range(count))


async def test_retention_leaves_nothing_but_the_word_that_it_is_gone(
    stand, endings, redis
):
    async with stand.feeder(), FakeWorker(redis, stand.backends.images):
        batch = await stand.ended(await stand.take(foxes(3), name="mine"))
    too_early = await endings.forget_due()
    await redis.zadd(keys.BATCHES_OVER, {batch.id: 1})

    gone = await endings.forget_due()
    await stand.backends.files.forget_due()

    assert (too_early, gone) == (0, 1)
    assert batch.forgotten_at - batch.ended_at == timedelta(days=7)
    left = [key for key in await kept(stand) if "dlv" not in key]
    assert left == [keys.gone(batch.id)]
    assert (await stand.backends.files.page("ada", limit=9)).files == ()
    with pytest.raises(BatchDeleted):
        await stand.get(batch)
    with pytest.raises(BatchNotFound):
        await stand.batches.get(batch.id, account="bob")


async def test_results_are_kept_as_long_as_their_batch(stand, leases, endings, redis):
    sweep = Sweep(redis, stand.backends.images, retention=timedelta(seconds=1))

    async def swept() -> Job:
        await redis.zadd(keys.RETENTION, {first.job_id: 1})
        await sweep.forget_old()
        return await stand.backends.jobs.get(first.job_id, account="ada")

    async with stand.feeder():
        batch, [first, *others] = await begun(stand, leases, 2)
        await succeed(leases, [first])
        under_way = await swept()
        await stand.batches.cancel(batch.id, account="ada")
        await succeed(leases, others)
    ended, batch = await swept(), await stand.get(batch)
    await redis.zadd(keys.BATCHES_OVER, {batch.id: 1})
    await endings.forget_due()

    assert under_way.expires_at - under_way.completed_at >= timedelta(days=7)
    assert under_way.expires_at <= ended.expires_at == batch.forgotten_at
    with pytest.raises(JobDeleted):
        await swept()


class CrowdedStore:
    """A store that notes how much is deleted at once."""

    def __init__(self, images: ImageStore) -> None:
        self._images, self.at_once, self.most = images, 0, 0

    async def list(self, prefix):
        return await self._images.list(prefix)

    async def delete(self, key):
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await self._images.delete(key)
        self.at_once -= 1


async def test_of_a_large_batch_some_pieces_go_at_a_time(stand, redis):
    batch, store = await stand.begin(), CrowdedStore(stand.backends.images)
    for piece in range(40):
        key = f"batches/{batch.id}/lines/{piece}"
        await stand.backends.images.put(key, b"{}", content_type="text/plain")

    await Endings(redis, store, retention=DAY).drop(batch.id)

    assert await kept(stand) == []
    assert 1 < store.most <= 16


async def test_batches_are_listed_newest_first(stand):
    made = [await stand.take(foxes(1)) for _ in range(3)]

    first = await stand.batches.page("ada", limit=2)
    second = await stand.batches.page("ada", limit=2, after=first.batches[-1].id)

    listed = [batch.id for batch in (*first.batches, *second.batches)]
    assert listed == [batch.id for batch in reversed(made)]
    assert (first.more, second.more) == (True, False)
    assert (await stand.batches.page("bob", limit=2)).batches == ()
