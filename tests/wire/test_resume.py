"""What was bought upstream is looked at again, not bought again, whoever dies."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from service import settings
from service.core.catalog import parse_catalog
from service.core.jobs import JobState, new_job_id
from service.core.requests import GenerationRequest, Priority
from service.core.retries import OnAmbiguous, RetryPolicy
from service.image_store.local import LocalImageStore
from service.imaging import Imaging
from service.job_store import JobStore
from service.job_store.lease import Kept, Lease
from service.job_store.leases import Leases
from service.job_store.outcomes import Later, Outcome
from service.job_store.records import NewJob
from service.outbound import Outbound
from tests.fakes.upstreams.bfl import BFLFake
from tests.fakes.upstreams.words import KEY
from workers.context import WorkerContext
from workers.generate import generate
from workers.inputs import Inputs
from workers.partials import Partials
from workers.providers import adapter

CATALOG = """
[providers.bfl]
adapter = "bfl"
base_url = "{url}"
timeout_s = 20
[models."flux"]
routes = ["bfl/flux-2-pro"]
size_multiple = 16
size_min = 64
size_max = 2048
max_n = 4
"""
LEASE = timedelta(seconds=1)


@pytest.fixture
async def upstream() -> AsyncIterator[BFLFake]:
    async with BFLFake() as running:
        yield running


@pytest.fixture
async def jobs(redis) -> AsyncIterator[JobStore]:
    store = JobStore(redis)
    yield store
    await store.aclose()


@pytest.fixture
async def worker(redis, upstream, tmp_path: Path) -> AsyncIterator:
    """Makes workers that know the fake, each with leases of its own."""
    images = LocalImageStore(
        tmp_path, base_url="http://x", secret=b"s" * 32, lifetime=timedelta(hours=1)
    )
    imaging, opened = Imaging(processes=1), list[Leases]()
    catalog = parse_catalog(CATALOG.format(url=upstream.base_url), file="test")
    async with Outbound(settings.Outbound()) as outbound:

        def build(attempt_timeout: float = 10) -> WorkerContext:
            leases = Leases(redis, worker=f"w{len(opened)}", slots=4, lease=LEASE)
            opened.append(leases)
            return WorkerContext(
                catalog=catalog,
                leases=leases,
                providers={
                    "bfl": adapter("bfl")(catalog.providers["bfl"], outbound, KEY)
                },
                images=images,
                imaging=imaging,
                inputs=Inputs(images, imaging, most_bytes=1_000_000),
                partials=Partials(redis, images, imaging),
                retries=RetryPolicy(max_attempts=3, base=timedelta(0)),
                attempt_timeout=timedelta(seconds=attempt_timeout),
            )

        yield build
    for leases in opened:
        await leases.aclose()
    await imaging.close()


async def submitted(jobs: JobStore, n: int = 1, **wishes: object) -> str:
    request = GenerationRequest(model="flux", prompt="a fox", n=n)
    new = NewJob(
        id=new_job_id(),
        account="ada",
        key_id="key_1",
        priority=Priority.NORMAL,
        request=request,
        **wishes,
    )
    return (await jobs.submit(new)).job_id


async def claimed(worker: WorkerContext) -> Lease:
    """Return the one job there is, as soon as it may be claimed."""
    async with asyncio.timeout(10):
        while True:
            claim = await worker.leases.claim(1, held={})
            if claim.leases:
                return claim.leases[0]
            await asyncio.sleep(0.1)


async def until_kept(worker: WorkerContext, upstream: BFLFake, count: int) -> None:
    async with asyncio.timeout(5):
        while len(upstream.looks) < count:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("n", [1, 3])
async def test_a_worker_that_dies_over_a_task_leaves_it_to_the_next(
    jobs, worker, upstream, n
):
    upstream.takes = timedelta(seconds=1.5)
    job_id = await submitted(jobs, n)
    first, second = worker(), worker()
    dying = asyncio.create_task(generate({"worker": first}, await claimed(first)))
    await until_kept(first, upstream, n)
    dying.cancel()

    lease = await claimed(second)
    done = await generate({"worker": second}, lease)
    await second.leases.commit(lease, done)

    job = await jobs.get(job_id, account="ada")
    assert job.state is JobState.SUCCEEDED
    assert len(job.images) == n
    assert len(upstream.calls) == n
    assert [attempt.outcome for attempt in job.trail] == ["interrupted", "succeeded"]


@pytest.mark.parametrize("policy", list(OnAmbiguous))
async def test_an_attempt_that_ran_out_of_time_is_looked_at_by_the_next(
    jobs, worker, upstream, policy
):
    upstream.takes = timedelta(seconds=1)
    await submitted(jobs, on_ambiguous=policy)
    hasty, patient = worker(attempt_timeout=0.6), worker()
    lease = await claimed(hasty)
    verdict = await generate({"worker": hasty}, lease)
    assert isinstance(verdict, Later)
    await hasty.leases.retry(
        lease, verdict.attempt, wait=verdict.wait, goes_on=verdict.goes_on
    )

    done = await generate({"worker": patient}, await claimed(patient))

    assert verdict.attempt.error_code == "provider_ambiguous"
    assert isinstance(done, Outcome)
    assert done.state is JobState.SUCCEEDED
    assert len(upstream.calls) == 1


async def test_a_task_that_was_lost_is_bought_again(jobs, worker, upstream):
    upstream.fail_with("lost")
    await submitted(jobs)
    only = worker()
    lease = await claimed(only)
    verdict = await generate({"worker": only}, lease)
    assert isinstance(verdict, Later)
    await only.leases.retry(
        lease, verdict.attempt, wait=verdict.wait, goes_on=verdict.goes_on
    )

    lease = await claimed(only)
    done = await generate({"worker": only}, lease)

    assert verdict.attempt.error_code == "provider_task_lost"
    assert lease.kept is None
    assert isinstance(done, Outcome)
    assert len(upstream.calls) == 2


async def test_whoever_lost_the_job_puts_nothing_on_its_record(jobs, worker):
    await submitted(jobs)
    one = worker()
    lease = await claimed(one)
    stale = replace(lease, fence=lease.fence - 1)

    kept = await one.leases.keep(lease, Kept("bfl/flux-2-pro", ("new",)))
    late = await one.leases.keep(stale, Kept("bfl/flux-2-pro", ("old",)))

    assert kept
    assert not late
    await one.leases.release(lease)
    assert (await claimed(one)).kept == Kept("bfl/flux-2-pro", ("new",))
