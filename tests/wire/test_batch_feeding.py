"""Lines on their way into the queue: a window at a time, each once, in fair shares."""

import asyncio
import signal
from base64 import b64encode
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis

from service.accounts import Grant
from service.batches import Batch, BatchKind, BatchState, Unfit, line_job_id
from service.core.errors import BatchOver
from service.core.jobs import JobState
from service.core.requests import Priority
from service.intake import Intake, Terms
from service.intake.draft import Draft
from service.job_store import keys
from service.job_store.leases import Leases
from service.job_store.records import Place
from service.settings import Limits, Outbound
from tests.fakes.batching import BatchStand, batch_stand, foxes, in_file
from tests.fakes.front_process import front_process
from tests.fakes.picture_host import PNG, PictureHost
from tests.fakes.valkey import Valkey
from tests.fakes.worker import FakeWorker

LENIENT = Outbound(allowed_networks=["127.0.0.0/8"], allow_http=True)
UNITS = 5_000
"""What one image of the test model takes of a quota."""


@pytest.fixture
async def stand(shared_valkey: Valkey, redis: Redis, tmp_path: Path):
    limits = Limits(batch_window=10)
    async with batch_stand(shared_valkey.url, tmp_path, limits=limits) as opened:
        yield opened


@pytest.fixture
async def worker(stand: BatchStand, redis: Redis):
    async with FakeWorker(redis, stand.backends.images) as fake:
        yield fake


async def until(condition, *, within_s: float = 10) -> None:
    async with asyncio.timeout(within_s):
        while not await condition():
            await asyncio.sleep(0.005)


async def test_each_line_becomes_a_job_and_the_batch_their_sum(stand, worker, redis):
    async with stand.feeder():
        batch = await stand.take(foxes(45))
        batch = await stand.ended(batch)

    assert batch.state is BatchState.COMPLETED
    assert (batch.total, batch.completed, batch.images) == (45, 45, 45)
    assert batch.ms_p50 <= batch.ms_p95
    assert sorted(await stand.batches.done(batch, after=0, limit=99)) == [*range(45)]
    assert Counter(lease.job_id for lease in worker.seen) == Counter(
        line_job_id(batch.id, line) for line in range(45)
    )
    job = await stand.backends.jobs.get(line_job_id(batch.id, 7), account="ada")
    assert (job.batch, job.line, job.custom_id) == (batch.id, 7, "c7")
    assert job.priority is Priority.BATCH
    assert await redis.zcard(keys.FEED) == await redis.zcard(keys.BATCHES_EXPIRY) == 0


async def test_a_window_is_never_exceeded_and_refilled_when_half_empty(stand, worker):
    let, finish = asyncio.Semaphore(0), worker.succeed

    async def when_let(lease):
        await let.acquire()
        return await finish(lease)

    async def stands(cursor: int, under_way: int) -> bool:
        found = (await stand.get(batch)).cursor, len(await stand.under_way(batch))
        return found == (cursor, under_way)

    worker.verdict = when_let
    async with stand.feeder():
        batch = await stand.take(foxes(30))
        await until(lambda: stands(10, 10))
        [let.release() for _ in range(4)]
        await until(lambda: stands(10, 6))
        await asyncio.sleep(0.05)
        still = await stands(10, 6)
        let.release()
        await until(lambda: stands(15, 10))
        [let.release() for _ in range(30)]
        batch = await stand.ended(batch)

    assert still
    assert batch.completed == 30


async def test_a_feeder_that_is_killed_makes_nothing_twice(
    shared_valkey, redis, tmp_path
):
    limits = Limits(batch_window=300)
    environment = {"DARKROOM_LIMITS__BATCH_WINDOW": "300"}
    async with batch_stand(shared_valkey.url, tmp_path, limits=limits) as stand:
        batch = await stand.take(foxes(300))

        async def has_begun() -> bool:
            return len(await stand.under_way(batch)) > 20

        async with front_process(shared_valkey.url, tmp_path, **environment) as process:
            await until(has_begun, within_s=30)
            process.signal(signal.SIGKILL)
            await process.ended()
        cut_at = len(await stand.under_way(batch))
        await redis.zadd(keys.FEED, {batch.id: 1})  # the dead one's time is over
        async with stand.feeder(), FakeWorker(redis, stand.backends.images) as worker:
            batch = await stand.ended(batch, within_s=30)

    assert 20 < cut_at < 300
    assert batch.completed == 300
    assert len(worker.seen) == len({lease.job_id for lease in worker.seen}) == 300


async def test_a_feeder_that_was_taken_for_dead_does_no_harm(stand, redis):
    batch, feeds = await stand.take(foxes(3)), stand.batches.feeds
    fault = {"code": "reference_unreachable", "message": "", "param": None}
    unfit = [Unfit(line, line_job_id(batch.id, line), fault) for line in (0, 1)]

    await feeds.take("taken for dead")
    await submit(stand, batch, 0)
    await redis.zadd(keys.FEED, {batch.id: 1})
    await feeds.take("its successor")
    await feeds.advance(batch.id, range(2), unfit, holder="its successor")
    await submit(stand, batch, 1)
    with pytest.raises(BatchOver):
        await feeds.advance(batch.id, range(2), (), holder="taken for dead")

    assert await stand.under_way(batch) == {0}
    assert await stand.batches.done(batch, after=0, limit=9) == [1]
    assert list(await stand.batches.bad(batch, range(3))) == [1]


async def submit(stand: BatchStand, batch: Batch, line: int) -> None:
    place = Place(batch_id=batch.id, line=line)
    draft = Draft(model="test/test", prompt="a fox")
    await stand.intake.submit(draft, key=stand.key, terms=Terms(place=place))


async def test_two_batches_of_one_account_progress_together(stand, redis):
    async with stand.feeder():
        first = await stand.take(foxes(40))
        await until(lambda: _is_fed(stand, first))
        second = await stand.take(foxes(40))
        await until(lambda: _is_fed(stand, second))
    leases = Leases(redis, worker="w", slots=100)

    claimed = (await leases.claim(10, held={})).leases

    jobs = [
        await stand.backends.jobs.get(lease.job_id, account="ada") for lease in claimed
    ]
    shares = Counter(job.batch for job in jobs)
    assert min(shares[first.id], shares[second.id]) >= 3
    await leases.aclose()


async def _is_fed(stand: BatchStand, batch) -> bool:
    return len(await stand.under_way(batch)) == 10


async def test_lines_wait_while_their_key_has_as_many_jobs_as_it_may(
    shared_valkey, redis, tmp_path
):
    grant = Grant(account="ada", queued_jobs=3)
    async with (
        batch_stand(shared_valkey.url, tmp_path, grant=grant) as stand,
        stand.feeder(),
        FakeWorker(redis, stand.backends.images) as worker,
    ):
        let = worker.hold()
        batch = await stand.take(foxes(5))

        async def is_full() -> bool:
            return len(await stand.under_way(batch)) == 3

        await until(is_full)
        let.set()
        batch = await stand.ended(batch)

    assert (batch.completed, batch.failed) == (5, 0)


class CountingIntake:
    """An intake that notes what is asked of it, and has a bug for who asks `cursed`."""

    def __init__(self, intake: Intake, *, cursed: str = "") -> None:
        self._intake, self._cursed = intake, cursed
        self.asked: list[str] = []

    async def submit(self, draft, **terms):
        self.asked.append(draft.prompt)
        if draft.prompt == self._cursed:
            raise KeyError("a bug")
        return await self._intake.submit(draft, **terms)


class UnreadableReader:
    """A reader with a bug."""

    def read(self, data, *, endpoint, model):
        raise KeyError("a bug")


async def stands_at(stand: BatchStand, batch: Batch, **wanted: object) -> Batch:
    """Wait until a batch has these values."""

    async def has_them() -> bool:
        found = await stand.get(batch)
        return all(getattr(found, name) == value for name, value in wanted.items())

    await until(has_them)
    return await stand.get(batch)


async def looked_at(stand: BatchStand, batch: Batch, **wanted: object) -> Batch:
    """Let a feeder look now at a batch that was put off, until it has these values."""
    await stand.backends.redis.zadd(keys.FEED, {batch.id: 1})
    await stand.backends.redis.publish(keys.FEED, batch.id)
    return await stands_at(stand, batch, **wanted)


async def test_a_batch_of_a_full_key_asks_with_one_line_and_ever_less_often(
    shared_valkey, redis, tmp_path
):
    async def wait_s() -> float:
        seconds, _ = await redis.time()
        return await redis.zscore(keys.FEED, batch.id) / 1000 - seconds

    grant = Grant(account="ada", queued_jobs=3)
    async with batch_stand(shared_valkey.url, tmp_path, grant=grant) as stand:
        stand.intake = intake = CountingIntake(stand.intake)
        batch = await stand.take(foxes(8))
        async with stand.feeder():
            await stands_at(stand, batch, delays=1, cursor=3)
            intake.asked.clear()
            await looked_at(stand, batch, delays=2)
            second = await wait_s()
            await redis.hset(keys.batch(batch.id), "delays", 60)
            await looked_at(stand, batch, delays=61)
            last, asked = await wait_s(), list(intake.asked)
            async with FakeWorker(redis, stand.backends.images):
                batch = await stand.ended(batch)

    assert asked == ["fox 3", "fox 3"]
    assert 1 < second < 3
    assert 28 < last < 31
    assert (batch.completed, batch.delays) == (8, 0)


async def test_a_line_that_meets_a_bug_fails_alone_after_some_tries(
    stand, worker, redis
):
    stand.intake = intake = CountingIntake(stand.intake, cursed="fox 5")
    batch = await stand.take(foxes(30))

    async with stand.feeder():
        await stands_at(stand, batch, crashes=1)
        await looked_at(stand, batch, crashes=2)
        await looked_at(stand, batch, crashes=3)
        await looked_at(stand, batch, crashes=0)
        batch = await stand.ended(batch)

    assert (batch.state, batch.completed) == (BatchState.COMPLETED, 29)
    [(line, error)] = (await stand.batches.bad(batch, range(30))).items()
    assert (line, error["code"]) == (5, "internal")
    assert intake.asked.count("fox 5") == 3


async def test_a_file_that_meets_a_bug_fails_after_some_tries(stand, redis):
    stand.acceptance = replace(stand.acceptance, reader=UnreadableReader())
    file_id = await stand.upload(in_file(foxes(3)))
    batch = await stand.begin(
        kind=BatchKind.OPENAI,
        endpoint="/v1/images/generations",
        input_file_id=file_id,
    )

    async with stand.feeder():
        await stands_at(stand, batch, crashes=1)
        await looked_at(stand, batch, crashes=2)
        await looked_at(stand, batch, crashes=3)
        batch = await looked_at(stand, batch, state=BatchState.FAILED)

    assert [error.code for error in batch.errors] == ["internal"]


async def test_lines_fail_when_the_quota_is_used_up_and_not_before(
    shared_valkey, redis, tmp_path
):
    grant = Grant(account="ada", quota_units=3 * UNITS)
    async with (
        batch_stand(shared_valkey.url, tmp_path, grant=grant) as stand,
        stand.feeder(),
        FakeWorker(redis, stand.backends.images),
    ):
        batch = await stand.take(foxes(6))
        batch = await stand.ended(batch)
        errors = await stand.batches.bad(batch, range(6))

    assert (batch.completed, batch.failed) == (3, 3)
    assert {line: error["code"] for line, error in errors.items()} == dict.fromkeys(
        range(3, 6), "quota_exceeded"
    )


async def test_lines_of_a_key_that_was_revoked_fail(stand, worker):
    batch = await stand.take(foxes(3))
    await stand.backends.accounts.revoke(stand.key.id)
    async with stand.feeder():
        batch = await stand.ended(batch)

    assert batch.failed == 3
    errors = await stand.batches.bad(batch, [0, 2])
    assert [error["code"] for error in errors.values()] == ["key_revoked"] * 2


async def test_edits_follow_links_when_their_turn_comes_and_fail_alone(
    shared_valkey, redis, tmp_path
):
    limits = Limits(batch_window=10, reference_s=0.5)
    edit = {"model": "test/test", "prompt": "a hat", "operation": "edit"}
    data_url = f"data:image/png;base64,{b64encode(PNG).decode()}"
    async with PictureHost() as host:
        links = [data_url, f"{host.url}/fox.png", f"{host.url}/page.html"]
        async with batch_stand(
            shared_valkey.url, tmp_path, outbound=LENIENT, limits=limits
        ) as stand:
            batch = await stand.take([{**edit, "image": link} for link in links])
            before = list(host.seen)
            async with stand.feeder(), FakeWorker(redis, stand.backends.images):
                batch = await stand.ended(batch)

            assert before == []
            assert (batch.completed, batch.failed) == (2, 1)
            [error] = (await stand.batches.bad(batch, range(3))).values()
            assert error["code"] == "reference_not_image"
            for line in (0, 1):
                job_id = line_job_id(batch.id, line)
                job = await stand.backends.jobs.get(job_id, account="ada")
                assert job.state is JobState.SUCCEEDED
                [image] = job.request.images
                assert await stand.backends.images.get(image.key)


async def test_a_line_is_not_fetched_again_where_its_job_is_there(
    shared_valkey, redis, tmp_path
):
    edit = {"model": "test/test", "prompt": "a hat", "operation": "edit"}
    async with PictureHost() as host:
        async with batch_stand(shared_valkey.url, tmp_path, outbound=LENIENT) as stand:
            batch = await stand.take([{**edit, "image": f"{host.url}/fox.png"}])

            async def is_under_way() -> bool:
                return await stand.under_way(batch) == {0}

            async with stand.feeder():
                await until(is_under_way)
            # As if the front door had died before it noted that.
            await redis.hset(keys.batch(batch.id), "cursor", 0)
            await redis.zadd(keys.FEED, {batch.id: 1})
            async with stand.feeder(), FakeWorker(redis, stand.backends.images):
                batch = await stand.ended(batch)

        assert host.seen == ["fox.png"]
    assert batch.completed == 1


async def test_links_that_hang_hold_up_nobody_elses_batches(
    shared_valkey, redis, tmp_path
):
    edit = {"model": "test/test", "prompt": "a hat", "operation": "edit"}
    async with (
        PictureHost() as host,
        batch_stand(shared_valkey.url, tmp_path, outbound=LENIENT) as stand,
        FakeWorker(redis, stand.backends.images),
    ):
        for _ in range(9):
            await stand.take([{**edit, "image": f"{host.url}/hang"}])
        bob, _ = await stand.backends.accounts.create(Grant(account="bob"))
        other = replace(stand, key=bob)

        async with stand.feeder():
            batch = await other.ended(await other.take(foxes(3)), within_s=5)

    assert batch.completed == 3


async def test_a_front_door_that_closes_lets_go_of_its_batches_at_once(
    shared_valkey, redis, tmp_path
):
    edit = {"model": "test/test", "prompt": "a hat", "operation": "edit"}
    async with (
        PictureHost() as host,
        batch_stand(shared_valkey.url, tmp_path, outbound=LENIENT) as stand,
    ):
        batch = await stand.take([{**edit, "image": f"{host.url}/hang"}])

        async def is_followed() -> bool:
            return host.seen == ["hang"]

        async with stand.feeder():
            await until(is_followed)

        assert await stand.batches.feeds.take("the next") == batch.id


async def test_lines_in_a_file_are_read_by_whoever_takes_the_batch(
    stand, worker, redis
):
    file_id = await stand.upload(in_file(foxes(3)))
    wishes = {"kind": BatchKind.OPENAI, "endpoint": "/v1/images/generations"}
    batch = await stand.begin(input_file_id=file_id, **wishes)
    lost = await stand.begin(input_file_id="file-" + "a" * 26, **wishes)
    await stand.batches.feeds.take("a front door that dies")
    await redis.zadd(keys.FEED, {batch.id: 1})

    async with stand.feeder():
        batch, lost = await stand.ended(batch), await stand.ended(lost)

    assert (batch.state, batch.completed) == (BatchState.COMPLETED, 3)
    assert lost.state is BatchState.FAILED
    assert [error.code for error in lost.errors] == ["not_found"]


async def test_lines_that_have_not_begun_take_no_memory_in_redis(stand, redis):
    await stand.take(foxes(10))
    before = (await redis.info("memory"))["used_memory"]

    batch = await stand.take(foxes(5000))

    after = (await redis.info("memory"))["used_memory"]
    assert batch.total == 5000
    assert (after - before) / 5000 < 10
