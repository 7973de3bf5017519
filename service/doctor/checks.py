"""What is looked at, one function each; each finding has its remedy."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from service.boot.flaws import Flaw
from service.boot.redis import flaws_of as redis_flaws
from service.boot.redis import name_of as redis_name
from service.boot.store import flaws_of as store_flaws
from service.catalog_file import load_catalog
from service.core.errors import CatalogError, QueueUnavailable, StoreUnavailable
from service.doctor.findings import Finding, Grade
from service.doctor.provider_checks import provider_findings
from service.image_store.opening import open_image_store
from service.job_store.fleet import alive
from service.job_store.pool import redis_pool
from service.settings import ConfigurationError, Settings
from service.settings.redis_urls import without_password

_FULL_MB, _TIGHT_MB = 64, 1024
_ANSWER_S = 5


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Look at everything that a running system needs."""
    yield _python()
    yield _disk(settings.data_dir)
    for finding in await asyncio.to_thread(list, _catalog(settings.catalog_file)):
        yield finding
    for finding in await _redis(settings):
        yield finding
    yield await _store(settings)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding(Grade.OK, "python", f"Python {version}")


def _disk(folder: Path) -> Finding:
    there = next(
        p for p in (folder.absolute(), *folder.absolute().parents) if p.exists()
    )
    free_mb = shutil.disk_usage(there).free // 2**20
    text = f"{free_mb:,} MB free for {folder}"
    if not os.access(there, os.W_OK):
        remedy = "make it writable, or set DARKROOM_DATA_DIR"
        return Finding(Grade.FAILURE, "disk", f"{there} cannot be written to", remedy)
    if free_mb < _TIGHT_MB:
        grade = Grade.FAILURE if free_mb < _FULL_MB else Grade.WARNING
        return Finding(grade, "disk", text, "make room, or move the data folder")
    return Finding(Grade.OK, "disk", text)


def _catalog(path: Path) -> Iterator[Finding]:
    try:
        catalog = load_catalog(path)
    except CatalogError as exc:
        remedy = "mend it; `darkroom config check` checks it again"
        yield Finding(Grade.FAILURE, "catalog", str(exc), remedy)
        return
    yield Finding(Grade.OK, "catalog", f"{len(catalog.models)} models in {path}")
    yield from provider_findings(catalog, os.environ)


async def _redis(settings: Settings) -> list[Finding]:
    url = settings.redis_url
    try:
        pool = redis_pool(url, timeout_s=_ANSWER_S)
    except ValueError as exc:
        remedy = "set it to redis://HOST:PORT"
        return [Finding(Grade.FAILURE, "redis", f"DARKROOM_REDIS_URL: {exc}", remedy)]
    async with Redis.from_pool(pool) as redis:
        try:
            flaws = await redis_flaws(redis, settings)
            name, workers = redis_name(await redis.info()), await alive(redis)
        except (RedisError, QueueUnavailable, OSError):
            text = f"Redis at {without_password(url)} does not answer"
            remedy = "start `darkroom up` in this folder, or set DARKROOM_REDIS_URL"
            return [Finding(Grade.FAILURE, "redis", text, remedy)]
    well = Finding(Grade.OK, "redis", f"{name}, durability {settings.durability}")
    return [*_graded(flaws), well, _workers(workers)]


def _graded(flaws: Iterable[Flaw]) -> Iterator[Finding]:
    for flaw in flaws:
        grade = Grade.FAILURE if flaw.breaks else Grade.WARNING
        yield Finding(grade, flaw.subject, flaw.text, flaw.remedy)


def _workers(alive: int) -> Finding:
    if alive:
        return Finding(Grade.OK, "workers", f"{alive} alive")
    remedy = "start `darkroom up` or `darkroom worker`"
    return Finding(Grade.FAILURE, "workers", "none is alive: jobs wait", remedy)


async def _store(settings: Settings) -> Finding:
    kind = settings.storage.kind
    if kind == "local" and not settings.data_dir.exists():
        text = f"there is no data folder {settings.data_dir} yet"
        return Finding(Grade.WARNING, "store", text, "start `darkroom up`")
    try:
        images = open_image_store(settings)
    except ConfigurationError as exc:
        return Finding(Grade.FAILURE, "store", str(exc), "set DARKROOM_STORAGE__*")
    try:
        flaws = await store_flaws(images)
    except StoreUnavailable as exc:
        remedy = "mend it, or set DARKROOM_STORAGE__*"
        return Finding(Grade.FAILURE, "store", str(exc), remedy)
    finally:
        await images.close()
    well = Finding(Grade.OK, "store", f"{kind}: takes, returns and deletes")
    return next(_graded(flaws), well)
