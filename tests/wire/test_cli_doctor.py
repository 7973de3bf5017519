"""`darkroom doctor` names what is wrong, the worst first, each with a remedy."""

import time
from pathlib import Path

import pytest
from redis.asyncio import Redis

from service.doctor.checks import examine
from service.doctor.findings import Finding, Grade
from service.job_store import keys
from service.settings import Settings
from tests.fakes.valkey import Valkey


@pytest.fixture
def settings(valkey: Valkey, tmp_path: Path) -> Settings:
    return Settings(redis_url=valkey.url, data_dir=tmp_path)


async def look(settings: Settings) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    async for finding in examine(settings):
        found.setdefault(finding.subject, []).append(finding)
    return found


def worst(findings: list[Finding]) -> Finding:
    return min(findings, key=lambda finding: finding.grade)


async def test_a_system_with_a_worker_is_well(settings: Settings, valkey: Valkey):
    async with Redis.from_url(valkey.url) as redis:
        await redis.zadd(keys.WORKERS, {"w": time.time() * 1000})

    found = await look(settings)

    for subject in ("python", "disk", "catalog", "redis", "workers", "store"):
        assert worst(found[subject]).grade is Grade.OK, subject


async def test_a_worker_that_fell_silent_is_none(settings: Settings, valkey: Valkey):
    async with Redis.from_url(valkey.url) as redis:
        await redis.zadd(keys.WORKERS, {"w": time.time() * 1000 - 60_000})

    found = await look(settings)

    assert worst(found["workers"]).text == "none is alive: jobs wait"


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("maxmemory-policy", "allkeys-lru", "set maxmemory-policy noeviction"),
        ("appendonly", "no", "set appendonly yes"),
    ],
)
async def test_a_redis_that_may_lose_jobs_is_a_failure(
    settings: Settings, valkey: Valkey, name: str, value: str, remedy: str
):
    async with Redis.from_url(valkey.url) as redis:
        await redis.config_set(name, value)

    found = await look(settings)

    assert worst(found["redis"]).grade is Grade.FAILURE
    assert worst(found["redis"]).remedy == remedy


async def test_a_replica_is_a_failure(settings: Settings, valkey: Valkey):
    async with Redis.from_url(valkey.url) as redis:
        await redis.replicaof("127.0.0.1", "1")

    found = await look(settings)

    assert worst(found["redis"]).text == "is a replica: no writes"


async def test_a_redis_that_is_away_is_a_failure_and_the_rest_is_looked_at(
    settings: Settings, valkey: Valkey
):
    valkey.kill()

    found = await look(settings)

    assert worst(found["redis"]).grade is Grade.FAILURE
    assert "darkroom up" in (worst(found["redis"]).remedy or "")
    assert worst(found["store"]).grade is Grade.OK


async def test_a_catalog_that_is_wrong_is_a_failure(valkey: Valkey, tmp_path: Path):
    settings = Settings(
        redis_url=valkey.url, data_dir=tmp_path, catalog_file=tmp_path / "nix.toml"
    )

    found = await look(settings)

    assert worst(found["catalog"]).grade is Grade.FAILURE


async def test_a_folder_that_is_not_there_yet_is_not_made(
    valkey: Valkey, tmp_path: Path
):
    folder = tmp_path / "not yet"

    found = await look(Settings(redis_url=valkey.url, data_dir=folder))

    assert worst(found["store"]).grade is Grade.WARNING
    assert not folder.exists()
