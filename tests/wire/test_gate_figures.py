"""Operators see on `/metrics` whom the fleet may call, and who waits for it."""

from datetime import UTC, datetime, timedelta

from service.core.jobs import Attempt
from service.job_store.gates import Gate
from service.job_store.leases import Leases
from tests.fakes.door import front_door

CATALOG = """
[providers.dear]
adapter = "test"
max_in_flight = 6
[providers.free]
adapter = "test"
[models.fox]
routes = ["dear/fox"]
sizes = ["64x64"]
max_n = 4
[models.owl]
routes = ["dear/owl", "free/owl"]
sizes = ["64x64"]
"""


async def test_the_page_of_metrics_tells_of_gates_and_breakers(
    redis, shared_valkey, tmp_path
):
    catalog = tmp_path / "catalog.toml"
    catalog.write_text(CATALOG)
    leases = Leases(redis, worker="w", slots=9, gates={"dear": Gate(6)})
    await leases.announce()
    attempt = Attempt(
        provider="dear", model="fox", started_at=datetime.now(UTC), outcome="failed"
    )
    pause, wait = timedelta(seconds=9), timedelta(hours=1)
    async with front_door(shared_valkey.url, tmp_path, catalog_file=catalog) as door:
        before = (await door.get("/metrics")).raw.decode()
        for _ in range(8):
            await door.submit(model="fox", n=2)
        broken, *_ = (await leases.claim(9, held={})).leases
        await leases.retry(broken, attempt, wait=wait, report="shut", closed=pause)
        after = (await door.get("/metrics")).raw.decode()
    await leases.aclose()

    assert 'darkroom_provider_calls{provider="dear"} 0.0' in before
    assert 'darkroom_route_broken{route="dear/fox"} 0.0' in before
    assert 'provider="free"' not in before
    for line in (
        'darkroom_provider_calls{provider="dear"} 5.0',
        'darkroom_provider_images{provider="dear"} 10.0',
        'darkroom_provider_closed{provider="dear"} 1.0',
        'darkroom_route_broken{route="dear/fox"} 1.0',
        'darkroom_route_broken{route="dear/owl"} 0.0',
        "darkroom_jobs_waiting 2.0",
    ):
        assert line in after
