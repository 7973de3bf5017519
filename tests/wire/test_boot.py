"""Processes refuse what would break promises, and say what to do about it."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from service.boot import fit
from service.boot.redis import flaws_of
from service.settings import ConfigurationError, Settings
from tests.fakes.front_process import front_process
from tests.fakes.sentinels import replicated
from tests.fakes.stands import S3Place
from tests.fakes.valkey import Valkey


class Ahead(Redis):
    """A Redis whose clock is ahead of ours."""

    async def time(self) -> tuple[int, int]:
        seconds, micros = await super().time()
        return seconds + 5, micros


def never() -> None:
    raise AssertionError("nobody had to leave")


async def refusal(settings: Settings) -> str:
    """Return why nothing is run, or nothing where it is."""
    try:
        async with fit(settings, leave=never):
            return ""
    except ConfigurationError as exc:
        return str(exc)


@pytest.fixture
async def server(valkey: Valkey) -> AsyncIterator[Redis]:
    """The administrator's connection to a server of the test's own."""
    async with Redis.from_url(valkey.url) as redis:
        yield redis


async def test_a_sound_redis_and_folder_are_taken(shared_valkey, redis, tmp_path):
    settings = Settings(redis_url=shared_valkey.url, data_dir=tmp_path)

    assert await refusal(settings) == ""


async def test_all_that_breaks_promises_is_named_at_once_with_its_remedy(
    valkey: Valkey, server: Redis, tmp_path: Path
):
    settings = Settings(redis_url=valkey.url, data_dir=tmp_path)
    await server.config_set("maxmemory-policy", "allkeys-lru")
    await server.config_set("appendonly", "no")
    await server.replicaof("127.0.0.1", "1")

    said = await refusal(settings)
    unsafe = await refusal(settings.model_copy(update={"unsafe": True}))

    assert "evicts under memory pressure (allkeys-lru)" in said
    assert "set maxmemory-policy noeviction" in said
    assert "set appendonly yes" in said
    assert "point DARKROOM_REDIS_URL at the primary" in said
    assert "--unsafe" in said
    assert unsafe == ""


async def test_a_clock_that_is_off_is_a_flaw(shared_valkey, tmp_path: Path):
    settings = Settings(redis_url=shared_valkey.url, data_dir=tmp_path)

    async with Ahead.from_url(shared_valkey.url) as redis:
        [flaw] = await flaws_of(redis, settings)

    assert "s ahead of this machine's" in flaw.text
    assert flaw.breaks


async def test_strict_wants_every_answer_synced_and_trusts_who_may_not_look(
    valkey: Valkey, server: Redis, tmp_path: Path
):
    settings = Settings(redis_url=valkey.url, data_dir=tmp_path, durability="strict")

    early = await refusal(settings)
    await server.acl_setuser(
        "blind",
        enabled=True,
        nopass=True,
        keys=["*"],
        categories=["+@all", "-@admin"],
        commands=["-config|get"],
    )
    async with Redis.from_url(valkey.url, username="blind") as blind:
        unseen = await flaws_of(blind, settings)
    await server.config_set("appendfsync", "always")
    synced = await refusal(settings)

    assert "set appendfsync always" in early
    assert [flaw.breaks for flaw in unseen] == [False]
    assert synced == ""


async def test_strict_trusts_a_server_that_has_no_config_command(tmp_path: Path):
    with contextlib.closing(Valkey(rename_command='CONFIG ""').start()) as hidden:
        settings = Settings(
            redis_url=hidden.url, data_dir=tmp_path, durability="strict"
        )

        said = await refusal(settings)

    assert said == ""


async def test_replicated_wants_a_replica_that_writes_wait_for(
    shared_valkey, redis, tmp_path: Path
):
    settings = Settings(
        redis_url=shared_valkey.url, data_dir=tmp_path, durability="replicated"
    )

    alone = await refusal(settings)
    with replicated() as pair:
        paired = settings.model_copy(update={"redis_url": pair.primary.url})
        eager = await refusal(paired)
        async with Redis.from_url(pair.primary.url) as server:
            await server.config_set("min-replicas-to-write", 1)
        waiting = await refusal(paired)

    assert "has no replica" in alone
    assert "set min-replicas-to-write 1" in eager
    assert waiting == ""


async def test_a_redis_that_comes_late_and_unfit_is_left(
    valkey: Valkey, tmp_path: Path
):
    settings = Settings(redis_url=valkey.url, data_dir=tmp_path)
    leave = asyncio.Event()
    unfit = Valkey(valkey.folder, appendonly="no")
    unfit.socket = valkey.socket
    valkey.kill()

    async def run() -> None:
        async with fit(settings, leave=leave.set):
            await asyncio.to_thread(unfit.start)
            await leave.wait()

    with pytest.raises(ConfigurationError, match="set appendonly yes"):
        await asyncio.wait_for(run(), 20)
    unfit.close()


async def test_a_password_that_is_not_known_is_said_without_it(
    valkey: Valkey, tmp_path: Path
):
    url = f"unix://me:hunter2@{valkey.socket}"

    said = await refusal(Settings(redis_url=url, data_dir=tmp_path))

    assert "check user and password in DARKROOM_REDIS_URL" in said
    assert "hunter2" not in said


async def test_a_bucket_that_anybody_may_read_is_refused(shared_valkey, moto: S3Place):
    settings = moto.settings(bucket=moto.make_bucket())

    said = await refusal(settings.model_copy(update={"redis_url": shared_valkey.url}))

    assert "anybody may read the images without a signature" in said
    assert "make the bucket private" in said


@pytest.mark.swift
async def test_a_private_bucket_is_taken_and_a_missing_one_refused(
    shared_valkey, redis, swift: S3Place
):
    url = {"redis_url": shared_valkey.url}
    private = swift.settings(bucket=swift.make_bucket()).model_copy(update=url)
    missing = swift.settings(bucket="never-made").model_copy(update=url)

    assert await refusal(private) == ""
    assert "there is no bucket never-made" in await refusal(missing)


async def test_a_store_that_is_away_keeps_nobody_from_starting(
    shared_valkey, redis, swift: S3Place
):
    away = swift.settings(endpoint_url="http://127.0.0.1:1")

    said = await refusal(away.model_copy(update={"redis_url": shared_valkey.url}))

    assert said == ""


async def test_a_process_touches_nothing_says_it_in_one_line_and_ends_with_code_two(
    valkey: Valkey, server: Redis, tmp_path: Path
):
    await server.config_set("appendonly", "no")

    async with contextlib.AsyncExitStack() as stack:
        door = await stack.enter_async_context(front_process(valkey.url, tmp_path))
        code, said = await door.ended(within_s=60)
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "workers"),
            stderr=asyncio.subprocess.PIPE,
            env={
                "DARKROOM_REDIS_URL": valkey.url,
                "DARKROOM_DATA_DIR": str(tmp_path),
            },
        )
        _, also_said = await worker.communicate()
    written = await server.keys()

    assert written == []
    assert (code, worker.returncode) == (2, 2)
    for lines in (said, also_said.decode()):
        [line] = [line for line in lines.splitlines() if not line.startswith("{")]
        assert line.startswith("darkroom: redis: keeps no append-only file")
