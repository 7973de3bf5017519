"""The engine on a real Valkey: claims, leases, drains, deaths and outages."""

import asyncio
import hashlib
import inspect
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from arq.connections import ArqRedis
from arq.worker import Worker, func
from redis.asyncio import Redis

from service.core.jobs import Attempt, JobId, JobState, new_job_id
from service.core.requests import GenerationRequest, Priority
from service.job_store import JobStore, keys
from service.job_store.lease import Lease, Renewal
from service.job_store.leases import Leases
from service.job_store.outcomes import Later, Outcome
from service.job_store.pool import redis_pool
from service.job_store.records import NewJob
from tests.fakes.valkey import Valkey
from workers.engine import LeaseWorker
from workers.sweep import Sweep

Verdict = Outcome | Later
ATTEMPT = Attempt(provider="p", model="m", started_at=datetime.now(UTC), ms=1)
DONE = Outcome(state=JobState.SUCCEEDED, attempt=ATTEMPT)
SHORT = timedelta(seconds=1.5)


def new_job(account: str = "ada", priority: Priority = Priority.NORMAL) -> NewJob:
    return NewJob(
        id=new_job_id(),
        account=account,
        key_id="key_1",
        priority=priority,
        request=GenerationRequest(model="test/test", prompt="a fox"),
    )


@asynccontextmanager
async def working(
    url: str,
    function: Callable[[dict, Lease], Awaitable[Verdict]],
    *,
    name: str = "w1",
    slots: int = 10,
    lease: timedelta = SHORT,
    drain: timedelta = timedelta(seconds=5),
) -> AsyncIterator[LeaseWorker]:
    """A worker in this process, drained at the end."""
    redis = ArqRedis(redis_pool(url, timeout_s=5))
    worker = LeaseWorker(
        func(function, name="generate"),
        name=name,
        redis_pool=redis,
        leases=Leases(redis, worker=name, slots=slots, lease=lease),
        max_jobs=slots,
        lease=lease,
        drain=drain,
        handle_signals=False,
    )
    running = asyncio.create_task(worker.async_run())
    try:
        yield worker
    finally:
        worker.handle_sig(signal.SIGTERM)
        await asyncio.gather(running, return_exceptions=True)
        await worker.close()


@asynccontextmanager
async def dying(url: str, function, *, name: str, slots: int = 10):
    """A worker that vanishes in the middle of its work, as by SIGKILL."""
    redis = ArqRedis(redis_pool(url, timeout_s=5))
    leases = Leases(redis, worker=name, slots=slots, lease=SHORT)
    claim = await leases.claim(slots, held={})
    yield claim
    await redis.aclose(close_connection_pool=True)


async def until(store: JobStore, job: NewJob, *states: JobState, within_s=10.0):
    async with asyncio.timeout(within_s):
        while (now := await store.get(job.id, account=job.account)).state not in states:
            await asyncio.sleep(0.01)
    return now


@pytest.fixture
async def store(redis: Redis) -> AsyncIterator[JobStore]:
    store = JobStore(redis)
    yield store
    await store.aclose()


@pytest.fixture
async def own_store(valkey: Valkey) -> AsyncIterator[JobStore]:
    """A store on a server that may be killed or frozen."""
    redis = Redis(connection_pool=redis_pool(valkey.url, timeout_s=2.5))
    store = JobStore(redis)
    yield store
    await store.aclose()
    await redis.aclose(close_connection_pool=True)


async def succeed(ctx: dict, lease: Lease) -> Verdict:
    return DONE


async def test_submitted_jobs_succeed(redis, store, shared_valkey):
    jobs = [new_job() for _ in range(50)]

    async with working(shared_valkey.url, succeed):
        await asyncio.gather(*(store.submit(job) for job in jobs))
        done = [await until(store, job, JobState.SUCCEEDED) for job in jobs]

    assert {job.attempts for job in done} == {1}
    assert await redis.zcard(keys.QUEUE) == 0


async def test_a_failed_attempt_is_made_again_when_it_is_due(store, shared_valkey):
    job = new_job()

    async def flaky(ctx, lease):
        if lease.attempts == 0:
            return Later(attempt=ATTEMPT, wait=timedelta(milliseconds=200))
        return DONE

    async with working(shared_valkey.url, flaky):
        await store.submit(job)
        done = await until(store, job, JobState.SUCCEEDED)

    assert (done.attempts, done.interruptions, len(done.trail)) == (2, 0, 2)


async def test_a_dead_workers_jobs_run_again_when_their_lease_lapses(
    store, shared_valkey
):
    job = new_job()
    await store.submit(job)

    async with dying(shared_valkey.url, succeed, name="dead") as claim:
        assert [lease.job_id for lease in claim.leases] == [job.id]
    async with working(shared_valkey.url, succeed, name="alive"):
        done = await until(store, job, JobState.SUCCEEDED)

    assert (done.attempts, done.interruptions, done.fence) == (1, 1, 2)
    assert [attempt.outcome for attempt in done.trail] == ["interrupted", "succeeded"]


async def test_a_stale_worker_cannot_commit(store, shared_valkey, redis):
    job = new_job()
    await store.submit(job)
    stale = Leases(redis, worker="stale", slots=10, lease=SHORT)
    [lease] = (await stale.claim(1, held={})).leases

    async with working(shared_valkey.url, succeed):
        done = await until(store, job, JobState.SUCCEEDED)
        failed = Outcome(state=JobState.FAILED, attempt=ATTEMPT, error={"code": "x"})
        kept = await stale.commit(lease, failed)

    assert not kept
    assert await store.get(job.id, account="ada") == done
    await stale.aclose()


async def test_a_drain_gives_running_jobs_back_without_an_attempt(store, shared_valkey):
    job, begun = new_job(), asyncio.Event()

    async def endless(ctx, lease):
        begun.set()
        await asyncio.Event().wait()

    await store.submit(job)
    async with working(shared_valkey.url, endless, drain=timedelta(0)):
        await begun.wait()
    given_back = await store.get(job.id, account="ada")
    async with working(shared_valkey.url, succeed, name="next"):
        done = await until(store, job, JobState.SUCCEEDED, within_s=1)

    assert given_back.state is JobState.QUEUED
    assert (done.attempts, done.interruptions) == (1, 0)


async def test_a_drain_waits_for_what_can_finish(store, shared_valkey):
    job, begun, go = new_job(), asyncio.Event(), asyncio.Event()

    async def slow(ctx, lease):
        begun.set()
        await go.wait()
        return DONE

    await store.submit(job)
    async with working(shared_valkey.url, slow) as worker:
        await begun.wait()
        worker.handle_sig(signal.SIGTERM)
        go.set()

    done = await store.get(job.id, account="ada")
    assert (done.state, done.attempts, done.fence) == (JobState.SUCCEEDED, 1, 1)


async def test_a_canceled_job_is_aborted_within_two_seconds(store, shared_valkey):
    job, begun, ended = new_job(), asyncio.Event(), asyncio.Event()

    async def endless(ctx, lease):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with working(shared_valkey.url, endless, lease=timedelta(seconds=60)):
        await store.submit(job)
        await begun.wait()
        canceled = await store.cancel(job.id, account="ada")
        async with asyncio.timeout(2):
            await ended.wait()

    assert canceled.state is JobState.CANCELED


async def test_results_outlive_a_redis_that_is_killed(valkey, own_store):
    store, job, go = own_store, new_job(), asyncio.Event()
    begun, calls = asyncio.Event(), list[JobId]()

    async def paid(ctx, lease):
        calls.append(lease.job_id)
        begun.set()
        await go.wait()
        return DONE

    async with working(valkey.url, paid):
        await store.submit(job)
        await begun.wait()
        await asyncio.sleep(1.1)  # everysec: let the AOF reach the disk's cache
        valkey.kill()
        go.set()
        await asyncio.sleep(3)  # longer than the lease
        valkey.start()
        done = await until(store, job, *FINAL)

    assert done.state is JobState.SUCCEEDED
    assert calls == [job.id]


FINAL = [state for state in JobState if state.is_final]


async def test_a_frozen_redis_makes_no_second_call_for_what_is_in_flight(
    valkey, own_store
):
    store, jobs, go = own_store, [new_job() for _ in range(20)], asyncio.Event()
    calls = list[JobId]()

    async def slow(ctx, lease):
        calls.append(lease.job_id)
        await go.wait()
        return DONE

    async with (
        working(valkey.url, slow, name="w1"),
        working(valkey.url, slow, name="w2"),
    ):
        await asyncio.gather(*(store.submit(job) for job in jobs))
        while len(calls) < len(jobs):
            await asyncio.sleep(0.01)
        valkey.freeze()
        await asyncio.sleep(4)  # more than twice the lease
        valkey.thaw()
        await asyncio.sleep(2)
        go.set()
        done = [await until(store, job, *FINAL) for job in jobs]

    assert {job.state for job in done} == {JobState.SUCCEEDED}
    assert len(calls) == len(jobs)


async def test_one_poison_job_is_parked_and_the_innocent_succeed(store, shared_valkey):
    poison, innocent = new_job(), [new_job() for _ in range(30)]
    await asyncio.gather(*(store.submit(job) for job in (poison, *innocent)))
    deaths = 0

    async def until_it_dies(name: str) -> bool:
        """Work as a process would that the poison kills; whether it lived."""
        dead = asyncio.Event()

        async def deadly(ctx, lease):
            if lease.job_id == poison.id:
                dead.set()
            await (asyncio.Event().wait() if dead.is_set() else asyncio.sleep(0.05))
            return DONE

        async with working(shared_valkey.url, deadly, name=name) as worker:
            while await store_open(store) and not dead.is_set():
                await asyncio.sleep(0.01)
            for task in list(worker.tasks.values()):
                task.cancel("killed")  # no release, no commit: as by SIGKILL
        return not dead.is_set()

    while not await until_it_dies(f"w{deaths}"):
        deaths += 1
        assert deaths < 10

    done = [await store.get(job.id, account="ada") for job in innocent]
    parked = await store.get(poison.id, account="ada")
    assert {job.state for job in done} == {JobState.SUCCEEDED}
    assert parked.state is JobState.FAILED
    assert parked.error is not None
    assert parked.error["code"] == "poison"
    assert deaths <= 6


async def store_open(store: JobStore) -> int:
    return int(await store._redis.get(f"{keys.QUEUE}:open") or 0)


async def test_ten_jobs_do_not_wait_behind_the_backlog_of_another_account(
    store, shared_valkey
):
    async def brief(ctx, lease):
        await asyncio.sleep(0.02)
        return DONE

    await asyncio.gather(*(store.submit(new_job("big")) for _ in range(2000)))
    small = [new_job("small") for _ in range(10)]
    async with working(shared_valkey.url, brief):
        await asyncio.gather(*(store.submit(job) for job in small))
        done = [await until(store, job, JobState.SUCCEEDED) for job in small]
        waiting = await store_open(store)

    assert len(done) == 10
    assert waiting > 1500


async def test_ten_jobs_do_not_wait_behind_due_retries_of_another_account(
    store, shared_valkey
):
    async def brief(ctx, lease):
        if lease.account == "big" and lease.attempts == 0:
            return Later(attempt=ATTEMPT, wait=timedelta(milliseconds=300))
        await asyncio.sleep(0.02)
        return DONE

    await asyncio.gather(*(store.submit(new_job("big")) for _ in range(2000)))
    small = [new_job("small") for _ in range(10)]
    async with working(shared_valkey.url, brief):
        await asyncio.sleep(1.5)  # by now all 2,000 have failed once and fall due
        await asyncio.gather(*(store.submit(job) for job in small))
        done = [await until(store, job, JobState.SUCCEEDED) for job in small]
        waiting = await store_open(store)

    assert len(done) == 10
    assert waiting > 500


async def test_a_batch_leaves_a_slot_for_interactive_work(store, shared_valkey):
    go = asyncio.Event()

    async def slow(ctx, lease):
        if lease.priority is Priority.BATCH:
            await go.wait()
        return DONE

    batch = [new_job(priority=Priority.BATCH) for _ in range(50)]
    await asyncio.gather(*(store.submit(job) for job in batch))
    quick = new_job(priority=Priority.INTERACTIVE)
    async with working(shared_valkey.url, slow, slots=10):
        while len(await store._redis.zrange(f"{keys.QUEUE}:batch", 0, -1)) > 41:
            await asyncio.sleep(0.01)
        await store.submit(quick)
        done = await until(store, quick, JobState.SUCCEEDED, within_s=1)
        go.set()

    assert done.state is JobState.SUCCEEDED


async def test_a_keys_next_job_starts_as_soon_as_one_ends(store, shared_valkey):
    jobs = [replace(new_job(), most_running=2) for _ in range(20)]
    running, most = 0, 0

    async def draw(ctx, lease):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return DONE

    async with (
        working(shared_valkey.url, draw, name="w1"),
        working(shared_valkey.url, draw, name="w2"),
    ):
        began = time.monotonic()
        await asyncio.gather(*(store.submit(job) for job in jobs))
        for job in jobs:
            await until(store, job, JobState.SUCCEEDED)
        took_s = time.monotonic() - began

    assert most == 2
    assert took_s < 2.5, "ten rounds, none of which waits for a poll of 0.5 s"


async def test_a_stock_arq_worker_on_the_queue_loses_nothing(
    redis, store, shared_valkey
):
    jobs = [new_job() for _ in range(20)]
    await asyncio.gather(*(store.submit(job) for job in jobs))

    async def generate(ctx):
        return None

    pool = ArqRedis(redis_pool(shared_valkey.url, timeout_s=5))
    stock = Worker(
        [generate],
        queue_name=keys.QUEUE,
        redis_pool=pool,
        burst=True,
        handle_signals=False,
        poll_delay=0.01,
    )
    await stock.async_run()
    thrown_out = 20 - await redis.zcard(keys.QUEUE)
    await pool.aclose(close_connection_pool=True)
    await Sweep(redis, None, retention=timedelta(days=1)).repair()
    async with working(shared_valkey.url, succeed):
        done = [await until(store, job, JobState.SUCCEEDED) for job in jobs]

    assert thrown_out == 20
    assert len(done) == 20


async def test_an_entry_without_a_record_goes_to_the_broken_ones(
    redis, store, shared_valkey
):
    await redis.zadd(keys.QUEUE, {"job_nobody": -5, "job_nothing": 5})

    async with working(shared_valkey.url, succeed):
        job = new_job()
        await store.submit(job)
        await until(store, job, JobState.SUCCEEDED)

    assert await redis.zcard(keys.BROKEN) == 2
    assert await redis.zcard(keys.QUEUE) == 0


async def test_a_claim_whose_answer_was_lost_is_answered_again(redis, store):
    jobs = [new_job() for _ in range(3)]
    await asyncio.gather(*(store.submit(job) for job in jobs))
    leases = Leases(redis, worker="w", slots=10)
    first = await leases.claim(2, held={})

    leases._answered = False  # as if the answer had not come
    again = await leases.claim(2, held={})

    def ids(claim):
        return {(lease.job_id, lease.fence) for lease in claim.leases}

    assert ids(again) == ids(first)


async def test_a_crashing_function_fails_its_job_and_no_other(store, shared_valkey):
    bad, good = new_job(), new_job()

    async def buggy(ctx, lease):
        if lease.job_id == bad.id:
            raise ZeroDivisionError
        return DONE

    async with working(shared_valkey.url, buggy):
        await asyncio.gather(store.submit(bad), store.submit(good))
        await until(store, good, JobState.SUCCEEDED)
        failed = await until(store, bad, JobState.FAILED)

    assert failed.error is not None
    assert failed.error["code"] == "internal"


async def test_a_redis_without_memory_is_waited_for_with_the_results_in_hand(
    redis, store, shared_valkey
):
    job, begun, go = new_job(), asyncio.Event(), asyncio.Event()
    calls = list[JobId]()

    async def paid(ctx, lease):
        calls.append(lease.job_id)
        begun.set()
        await go.wait()
        return DONE

    async with working(shared_valkey.url, paid):
        await store.submit(job)
        await begun.wait()
        await redis.config_set("maxmemory", "1mb")
        try:
            go.set()
            await asyncio.sleep(1)
        finally:
            await redis.config_set("maxmemory", "0")
        done = await until(store, job, *FINAL)

    assert (done.state, done.attempts) == (JobState.SUCCEEDED, 1)
    assert calls == [job.id]


async def test_whoever_speaks_first_after_an_outage_declares_the_truce(redis, store):
    jobs = [new_job() for _ in range(2)]
    await asyncio.gather(*(store.submit(job) for job in jobs))
    brief = timedelta(milliseconds=200)
    first = Leases(redis, worker="first", slots=10, lease=brief)
    second = Leases(redis, worker="second", slots=10, lease=brief)
    mine = (await first.claim(1, held={})).leases
    theirs = (await second.claim(1, held={})).leases

    await asyncio.sleep(0.3)  # nobody could speak, and every lease has lapsed
    renewed = await first.renew(mine)
    taken_over = (await first.claim(5, held={})).leases
    late = await second.renew(theirs)

    assert taken_over == ()
    assert renewed == late == [Renewal.RENEWED]


@pytest.mark.parametrize(
    "torn",
    [{"tag": "x"}, {"cost": ""}, {"priority": "turbo"}, {"fence": "-"}, None],
)
async def test_a_record_that_is_none_is_set_aside_and_harms_no_other(
    redis, store, shared_valkey, torn
):
    bad, good = new_job(), [new_job() for _ in range(3)]
    await asyncio.gather(*(store.submit(job) for job in (bad, *good)))
    if torn is None:
        await redis.delete(keys.job(bad.id))
        await redis.set(keys.job(bad.id), "not a hash")
    else:
        await redis.hset(keys.job(bad.id), mapping=torn)

    async with working(shared_valkey.url, succeed):
        done = [await until(store, job, *FINAL) for job in good]

    assert {(job.state, job.interruptions) for job in done} == {(JobState.SUCCEEDED, 0)}
    assert await redis.zrange(keys.BROKEN, 0, -1) == [bad.id.encode()]
    assert await redis.zcard(keys.QUEUE) == 0
    assert await store_open(store) == 0


async def test_a_cancellation_that_nobody_sent_fails_the_job(store, shared_valkey):
    job = new_job()

    async def confused(ctx, lease):
        raise asyncio.CancelledError

    async with working(shared_valkey.url, confused):
        await store.submit(job)
        failed = await until(store, job, *FINAL)

    assert failed.error is not None
    assert failed.error["code"] == "internal"


async def test_a_thousand_and_more_jobs_are_held_at_once(store, shared_valkey):
    jobs, go = [new_job() for _ in range(4500)], asyncio.Event()
    running = 0

    async def slow(ctx, lease):
        nonlocal running
        running += 1
        await go.wait()
        return DONE

    await asyncio.gather(*(store.submit(job) for job in jobs))
    async with working(shared_valkey.url, slow, slots=5000):
        while running < len(jobs):
            await asyncio.sleep(0.01)
        await asyncio.sleep(2)  # two heartbeats, and longer than the lease
        go.set()
        while await store_open(store):
            await asyncio.sleep(0.01)

    assert running == len(jobs)


@pytest.mark.parametrize(
    ("method", "digest"),
    [
        ("main", "45ca1591"),
        ("handle_sig", "985ff7ba"),
        ("close", "5bcc9cb3"),
        ("__init__", "edfb0cd7"),
    ],
)
def test_what_is_overridden_is_what_arq_0_28_has(method: str, digest: str):
    source = inspect.getsource(getattr(Worker, method)).encode()

    assert hashlib.sha256(source).hexdigest()[:8] == digest
