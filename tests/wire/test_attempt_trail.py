"""A job that met a 429, a 500 and half an image tells exactly that, wherever asked."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest
from redis.asyncio import Redis

from service.catalog_file import LiveCatalog
from service.settings import Worker
from tests.fakes.door import SECRET, FrontDoor, front_door
from tests.fakes.openai_upstream import KEY, OpenAIUpstream
from tests.fakes.valkey import Valkey
from workers.__main__ import make_worker

CATALOG = """
[providers.openai]
adapter = "openai"
base_url = "{url}"
api_key_file = "{key}"
[models."fox"]
routes = ["openai/gpt-image-1"]
sizes = ["1024x1024"]
price_usd = 0.04
"""
ROOT = Path(__file__).parents[2]
TROUBLE = ("throttled", "status:500", "half_image")


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIUpstream]:
    async with OpenAIUpstream(thumbnails=True) as running:
        yield running


@pytest.fixture
async def house(
    shared_valkey: Valkey, redis: Redis, upstream: OpenAIUpstream, tmp_path: Path
) -> AsyncIterator[FrontDoor]:
    """A front door and a worker that waits little between attempts."""
    key, catalog = tmp_path / "key", tmp_path / "catalog.toml"
    key.write_text(KEY)
    catalog.write_text(CATALOG.format(url=upstream.base_url, key=key))
    own = Worker(retry_base_s=0.1, imaging_processes=1, max_jobs=4)
    async with front_door(
        shared_valkey.url, tmp_path, catalog_file=catalog, worker=own
    ) as door:
        settings = door.settings
        async with make_worker(settings, LiveCatalog(catalog)) as worker:
            running = asyncio.create_task(worker.async_run())
            yield door
            worker.handle_sig(signal.SIGTERM)
            await running


async def shown(door: FrontDoor, job_id: str) -> str:
    """Return what `darkroom jobs show` prints."""
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("darkroom"),
        *("jobs", "show", job_id, "--url", door.url),
        env={**os.environ, "DARKROOM_API_KEY": SECRET, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    return said.decode()


async def test_the_trail_tells_every_attempt_over_the_api_and_on_the_command_line(
    house, upstream
):
    upstream.fail_with(*TROUBLE)
    job = await house.submit("a fox", model="fox")

    done = (await house.get(f"/v1/jobs/{job['id']}?wait=20")).body
    lines = [
        line for line in (await shown(house, job["id"])).splitlines() if "gpt" in line
    ]

    usage = (await house.get("/v1/usage")).body
    trail = done["attempts"]
    told = ("outcome", "error_code", "billed", "cost", "cost_source")
    assert done["status"] == "succeeded"
    assert [tuple(attempt[name] for name in told) for attempt in trail] == [
        ("failed", "provider_throttled", False, None, None),
        ("failed", "provider_unavailable", None, None, None),
        ("failed", "provider_bad_output", True, 0.04, "priced"),
        ("succeeded", None, True, 0.04, "priced"),
    ]
    assert {(a["provider"], a["provider_model"]) for a in trail} == {
        ("openai", "gpt-image-1")
    }
    assert (done["cost"], done["cost_source"]) == (0.08, "priced")
    assert usage["total"]["cost"]["priced"] == 0.08
    times = [attempt["started_at"] for attempt in trail]
    assert times == sorted(times)
    assert all(attempt["ms"] is not None for attempt in trail)
    assert done["created_at"] <= times[0]
    assert len(lines) == 4
    for line, attempt, words in zip(
        lines,
        trail,
        (
            "failed (provider_throttled) after {} ms, not billed",
            "failed (provider_unavailable) after {} ms, bill unknown",
            "failed (provider_bad_output) after {} ms, billed $0.04 (priced)",
            "succeeded after {} ms, billed $0.04 (priced)",
        ),
        strict=True,
    ):
        assert line.endswith(words.format(attempt["ms"]))
        began = datetime.fromtimestamp(attempt["started_at"]).astimezone()
        assert f"{began:%Y-%m-%d %H:%M:%S} openai/gpt-image-1" in line
