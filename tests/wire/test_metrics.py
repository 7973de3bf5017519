"""Operators see on `/metrics` how the queue, the workers and the providers do."""

import asyncio
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from service.core.jobs import Attempt, JobId
from service.job_store import keys
from service.job_store.tally import Tally, read_tally
from tests.fakes.door import FrontDoor
from tests.fakes.studio import studio

FOX = {"size": "64x64"}


@pytest.fixture
async def nobody(tmp_path):
    """Leads to a Redis that is not there."""
    client = Redis(unix_socket_path=str(tmp_path / "none"))
    yield client
    await client.aclose()


async def figures(door: FrontDoor) -> str:
    return (await door.get("/metrics")).raw.decode()


async def test_the_page_tells_how_deep_the_queue_is_and_how_old(door):
    for priority in ("interactive", "normal", "normal", "batch"):
        await door.submit(priority=priority, **FOX)
    await door.get("/v1/jobs/nonsense")

    page = await figures(door)

    for line in (
        'darkroom_queue_ready{priority="interactive"} 1.0',
        'darkroom_queue_ready{priority="normal"} 2.0',
        'darkroom_queue_ready{priority="batch"} 1.0',
        "darkroom_workers 0.0",
        'darkroom_up{part="redis"} 1.0',
        'darkroom_errors_total{code="queue_unavailable"} 0.0',
        'darkroom_errors_total{code="not_found"} 1.0',
    ):
        assert line in page
    assert "darkroom_queue_oldest_seconds 0." in page


async def test_attempts_are_counted_by_provider_and_their_stages_timed(door):
    async with studio(door.settings):
        jobs = [await door.submit(**FOX) for _ in range(3)]
        for job in jobs:
            await door.get(f"/v1/jobs/{job['id']}?wait=10")
    page = await figures(door)

    assert 'darkroom_attempts_total{outcome="succeeded",provider="test"} 3.0' in page
    for stage in ("wait", "keep", "settle", "whole"):
        assert f'seconds_count{{provider="",stage="{stage}"}} 3.0' in page
    assert 'seconds_count{provider="test",stage="attempt"} 3.0' in page
    assert "darkroom_leases_lost_total 0.0" in page


async def test_what_could_not_be_written_down_is_written_later(redis, nobody):
    tally = Tally()
    tally.attempted(
        Attempt(
            provider="dear",
            model="fox",
            started_at=None,
            outcome="failed",
            error_code="provider_auth",
            cost_usd="0.042",
            cost_source="catalog",
        )
    )
    tally.ended(JobId("job_that-is-gone"))
    tally.lost(2)

    with pytest.raises(RedisError):
        await tally.flush(nobody)
    await tally.flush(redis)
    await tally.flush(redis)

    told = await read_tally(redis)
    assert told.attempts == {("dear", "provider_auth"): 1}
    assert told.cost_usd == {("dear", "catalog"): 0.042}
    assert told.lost == 2
    assert await redis.hlen(keys.TALLY) == 3


async def test_prometheus_finds_no_fault_with_the_page(door):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    await door.submit(**FOX)
    page = await figures(door)

    checked = await asyncio.to_thread(
        subprocess.run,
        [promtool, "check", "metrics"],
        input=page.encode(),
        capture_output=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stderr.decode()


async def test_boards_and_alerts_ask_for_figures_that_are_there(door, worker):
    infra = Path(__file__).parents[2] / "infra"
    await door.submit(**FOX)
    page = await figures(door)
    told = set(re.findall(r"^# TYPE (darkroom_\w+)", page, re.MULTILINE))
    ends = re.compile("_(bucket|count|sum)$")

    asked = {
        ends.sub("", name)
        for path in (
            infra / "prometheus" / "alerts.yml",
            infra / "grafana" / "dashboards" / "darkroom.json",
            infra / "k8s" / "base" / "scaling.yaml",
            infra.parent / "docs" / "scaling.md",
        )
        for name in re.findall(r"\bdarkroom_\w+", path.read_text())
    }

    assert asked - told == set()
