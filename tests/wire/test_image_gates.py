"""How many images a provider may be drawing for us at a time, in the claim."""

import asyncio

from service.job_store import keys
from service.job_store.gates import Gate
from tests.fakes.crew import Crew
from tests.fakes.fleet import claimed, claimed_within, fail, images, submitted, succeed
from tests.fakes.providers import ScriptedProvider


async def test_a_job_takes_as_much_of_a_providers_images_as_it_asks_for(
    redis, store, fleet
):
    one, two = [await fleet(dear=Gate(max_images_in_flight=5)) for _ in range(2)]
    await submitted(store, "dear/fox", count=3, n=2)
    first, second = await claimed(one)

    beside = await claimed(two)
    await succeed(one, first)
    await fail(one, second)
    [third] = await claimed(two, 1)

    assert beside == ()
    assert await images(redis, "dear") == 2
    await store.cancel(third.job_id, account="ada")
    assert await images(redis, "dear") == 0


async def test_room_for_many_images_is_saved_for_whoever_waits_for_it(store, fleet):
    worker = await fleet(dear=Gate(max_images_in_flight=4))
    await submitted(store, "dear/fox", count=2, n=2)
    first, second = await claimed(worker)
    [many] = await submitted(store, "dear/fox", n=4)
    await submitted(store, "dear/owl", count=2)

    await succeed(worker, first)
    meanwhile = await claimed(worker)
    await succeed(worker, second)
    [lease] = await claimed(worker)
    await succeed(worker, lease)

    assert meanwhile == ()
    assert lease.job_id == many
    assert len(await claimed(worker)) == 2


async def test_a_job_for_more_images_than_there_may_be_goes_alone(store, fleet):
    worker = await fleet(dear=Gate(max_images_in_flight=2))
    [small] = await submitted(store, "dear/fox")
    [large] = await submitted(store, "dear/fox", n=4)
    [first] = await claimed(worker)
    beside = await claimed(worker)

    await succeed(worker, first)
    [second] = await claimed(worker)

    assert (first.job_id, second.job_id) == (small, large)
    assert beside == ()
    await submitted(store, "dear/fox")
    assert await claimed(worker) == ()


async def test_a_dead_workers_images_stay_counted_until_somebody_ends_its_job(
    redis, store, fleet
):
    dying = await fleet(lease=0.2, dear=Gate(max_images_in_flight=3))
    heir = await fleet(lease=0.2, dear=Gate(max_images_in_flight=3))
    await submitted(store, "dear/fox", n=3)
    await claimed(dying)

    [lease] = await claimed_within(heir, 5)

    assert await images(redis, "dear") == 3
    await succeed(heir, lease)
    assert await images(redis, "dear") == 0


async def test_images_that_an_older_version_did_not_count_are_forgotten(
    redis, store, fleet
):
    worker = await fleet(dear=Gate(max_images_in_flight=3))
    await submitted(store, "dear/fox", n=3)
    [lease] = await claimed(worker)
    await redis.hset(keys.gate("dear"), "images", 0)

    await succeed(worker, lease)

    assert await images(redis, "dear") == 0


async def test_what_the_catalog_allows_is_told_by_whoever_can_call(
    redis, store, shared_valkey, tmp_path
):
    catalog = """
[providers.dear]
adapter = "test"
max_in_flight = 7
max_images_in_flight = 9
requests_per_minute = 60
[models.fox]
routes = ["dear/fox"]
sizes = ["64x64"]
"""
    crew = Crew(url=shared_valkey.url, redis=redis, folder=tmp_path, catalog=catalog)
    async with crew, crew.worker(dear=ScriptedProvider(picture=b"")):
        async with asyncio.timeout(5):
            while not await redis.exists(keys.gate("dear")):
                await asyncio.sleep(0.01)

    told = (await store.gates(["dear/fox"])).providers["dear"]
    assert (told.max_in_flight, told.max_images_in_flight) == (7, 9)
    assert told.requests_per_minute == 60
