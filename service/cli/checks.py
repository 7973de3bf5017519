"""What `darkroom doctor` looks at, one function each; each finding has its remedy."""

import asyncio
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from service.catalog_file import load_catalog
from service.cli.context import with_redis
from service.cli.failure import Failure
from service.cli.findings import Finding, Grade
from service.cli.provider_checks import provider_findings
from service.core.errors import CatalogError, StoreUnavailable
from service.image_store.opening import open_image_store
from service.job_store import keys
from service.settings import ConfigurationError, Settings

_WORKER_SILENT_S = 30
_FULL_MB, _TIGHT_MB = 64, 1024
_OLDEST = {"redis": (7,), "valkey": (7, 2)}


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
    async def look(redis: Redis) -> list[Finding]:
        since = time.time() * 1000 - _WORKER_SILENT_S * 1000
        workers = await redis.zcount(keys.WORKERS, since, "+inf")
        return [*_server(await redis.info()), _workers(workers)]

    try:
        return await with_redis(settings, look)
    except Failure as exc:
        return [Finding(Grade.FAILURE, "redis", exc.what, exc.remedy)]


def _server(info: dict[str, Any]) -> Iterator[Finding]:
    kind = "valkey" if "valkey_version" in info else "redis"
    version = str(info[f"{kind}_version"])
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    name = f"{kind.capitalize()} {version}"
    if numbers < _OLDEST[kind]:
        remedy = "use Redis 7, Valkey 7.2 or newer"
        yield Finding(Grade.FAILURE, "redis", f"{name} is too old", remedy)
    if info.get("role") != "master":
        remedy = "point DARKROOM_REDIS_URL at the primary"
        yield Finding(Grade.FAILURE, "redis", "is a replica: no writes", remedy)
    policy = info.get("maxmemory_policy")
    if policy != "noeviction":
        text = f"evicts under memory pressure ({policy}): jobs would be lost"
        remedy = "set maxmemory-policy noeviction"
        yield Finding(Grade.FAILURE, "redis", text, remedy)
    if not info.get("aof_enabled"):
        text = "keeps no append-only file: a crash loses jobs"
        yield Finding(Grade.FAILURE, "redis", text, "set appendonly yes")
    yield Finding(Grade.OK, "redis", name)


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
        await images.check()
    except StoreUnavailable as exc:
        remedy = "mend it, or set DARKROOM_STORAGE__*"
        return Finding(Grade.FAILURE, "store", str(exc), remedy)
    finally:
        await images.close()
    return Finding(Grade.OK, "store", f"{kind}: takes, returns and deletes")
