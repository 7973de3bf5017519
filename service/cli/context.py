"""What commands share: their common options, the settings, and the way to Redis."""

import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from service.cli.failure import Failure

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from service.core.catalog import Catalog
    from service.settings import Settings

_T = TypeVar("_T")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="Folder of a `darkroom up` on this machine; default .darkroom.",
        show_default=False,
    ),
]


def read_settings(data_dir: Path | None = None, **overrides: Any) -> "Settings":
    """Return the settings; what is given on the command line wins.

    Raises:
        Failure: One of them is wrong.
    """
    from service.settings import ConfigurationError, load_settings

    given = {name: value for name, value in overrides.items() if value is not None}
    if data_dir is not None:
        given["data_dir"] = data_dir
    try:
        return load_settings(**given)
    except ConfigurationError as exc:
        raise Failure(str(exc), exit_code=2) from exc


def read_catalog(settings: "Settings") -> "Catalog":
    """Return the catalog that the settings name.

    Raises:
        Failure: Something in it is wrong.
    """
    from service.catalog_file import load_catalog
    from service.core.errors import CatalogError

    try:
        return load_catalog(settings.catalog_file)
    except CatalogError as exc:
        raise Failure(str(exc), exit_code=2) from exc


def redis_url(settings: "Settings") -> str:
    """Return where Redis is: as set, else that of `up` in the data folder."""
    from service.up.folder import read_runtime

    runtime = read_runtime(settings.data_dir)
    if "redis_url" in settings.model_fields_set or not (runtime and runtime.redis_url):
        return settings.redis_url
    return runtime.redis_url


def read_time(given: str) -> datetime:
    """Return the time that `--expires` names; without a zone it is UTC.

    Raises:
        Failure: It is none.
    """
    try:
        at = datetime.fromisoformat(given)
    except ValueError as exc:
        raise Failure(
            f"--expires {given} is no ISO time, such as 2027-01-31T12:00Z", exit_code=2
        ) from exc
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


async def with_redis(
    settings: "Settings", work: Callable[["Redis"], Awaitable[_T]]
) -> _T:
    """Connect, do the work and close.

    Raises:
        Failure: Redis is not there, or nobody knows whether what it took stays.
    """
    from redis.exceptions import RedisError

    from service.core.errors import QueueUnavailable
    from service.job_store.pool import redis_pool
    from service.job_store.replicated import NotCopied, lasting_redis
    from service.settings.redis_urls import without_password

    url = redis_url(settings)
    try:
        pool = redis_pool(url, timeout_s=5)
    except ValueError as exc:
        raise Failure(f"DARKROOM_REDIS_URL: {exc}", exit_code=2) from exc
    async with lasting_redis(pool, durability=settings.durability) as redis:
        try:
            return await work(redis)
        except (RedisError, QueueUnavailable, OSError) as exc:
            if isinstance(exc.__cause__, NotCopied):
                raise Failure(
                    f"no replica of Redis at {without_password(url)} has it yet, so "
                    "that a failover may undo it",
                    remedy="look whether it is there, and do it again if it is not",
                ) from exc
            raise Failure(
                f"Redis at {without_password(url)} does not answer",
                remedy="start `darkroom up` in this folder, or set DARKROOM_REDIS_URL",
            ) from exc


def shown_path(path: Path) -> str:
    """Return a path as a person would type it from here."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
