"""The same sentences on jobs as in `tests/unit`, on a real Valkey."""

import asyncio
import time

import pytest
from redis.asyncio import Redis

from service.core.errors import JobNotFound, QueueUnavailable
from service.job_store import JobStore
from service.job_store.pool import redis_pool
from tests.fakes.store_jobs import job
from tests.unit.test_job_cache import *  # noqa: F403
from tests.unit.test_job_claims import *  # noqa: F403
from tests.unit.test_job_queues_of_keys import *  # noqa: F403
from tests.unit.test_job_store import *  # noqa: F403
from tests.unit.test_job_submissions import *  # noqa: F403
from tests.unit.test_job_units import *  # noqa: F403
from tests.unit.test_job_words import *  # noqa: F403


async def test_a_refused_submission_does_not_appear_after_the_thaw(valkey):
    client = Redis(connection_pool=redis_pool(valkey.url, timeout_s=2.5))
    store = JobStore(client)
    await store.submit(job())
    refused, begun = [job() for _ in range(5)], time.monotonic()

    valkey.freeze()
    answers = await asyncio.gather(
        *(store.submit(new) for new in refused), return_exceptions=True
    )
    took_s = time.monotonic() - begun
    await asyncio.sleep(0.5)
    valkey.thaw()
    await store.submit(job())

    assert {type(answer) for answer in answers} == {QueueUnavailable}
    assert took_s < 3
    for new in refused:
        with pytest.raises(JobNotFound):
            await store.get(new.id, account="ada")
    await store.aclose()
    await client.aclose(close_connection_pool=True)


async def test_submissions_go_on_when_redis_was_restarted(valkey):
    client = Redis(connection_pool=redis_pool(valkey.url, timeout_s=2.5))
    store = JobStore(client)
    first = await store.submit(job())
    await asyncio.sleep(1.1)  # everysec

    valkey.kill()
    with pytest.raises(QueueUnavailable):
        await store.submit(job())
    valkey.start()
    second = await store.submit(job())

    for submitted in (first, second):
        assert (await store.get(submitted.job_id, account="ada")).id
    await store.aclose()
    await client.aclose(close_connection_pool=True)
