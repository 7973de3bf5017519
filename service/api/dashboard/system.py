"""The system: what the doctor finds, the worst first, and what this place runs with."""

import asyncio
import platform
import time
from importlib import metadata
from typing import Any, NamedTuple

from aiohttp import web
from pydantic import BaseModel
from redis.exceptions import RedisError

from service.accounts import ApiKey, Scope
from service.api.context import FRONT, Front
from service.api.dashboard.frame import Pages
from service.api.dashboard.rendering import page
from service.boot.redis import name_of
from service.doctor import Finding, Grade, examine
from service.job_store.fleet import version_here
from service.settings.redis_urls import without_password

pages = Pages(scope=Scope.ADMIN)
EXAMINED = web.AppKey("examined", dict[str, "Examined"])

_TRUST_S = 10.0
_ANSWER_S = 3.0
_KINDS = {Grade.FAILURE: "failed", Grade.WARNING: "warning", Grade.OK: "succeeded"}
_PACKAGES = ("aiohttp", "redis", "pillow", "jinja2")


class Examined(NamedTuple):
    """What was found, which takes some seconds to find."""

    at: float
    findings: list[Finding]


@pages.get("/ui/system")
async def show_system(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Show what this place runs with; the findings come behind it."""
    front = request.app[FRONT]
    return page(
        request,
        "system.html",
        key=key,
        versions=_versions(),
        redis=await _redis_figures(front),
        report=front.pulse.report(),
        settings=_flat(front.settings),
    )


@pages.get("/ui/system/findings")
async def show_findings(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Examine everything, and show what was found, the worst first."""
    known = request.app[EXAMINED]
    found = known.get("all")
    if found is None or time.monotonic() - found.at > _TRUST_S:
        settings = request.app[FRONT].settings
        findings = [finding async for finding in examine(settings)]
        findings.sort(key=lambda finding: finding.grade)
        found = known["all"] = Examined(time.monotonic(), findings)
    return page(
        request,
        "system_findings.html",
        key=key,
        part="findings",
        findings=[(_KINDS[finding.grade], finding) for finding in found.findings],
    )


def _versions() -> dict[str, str]:
    return {
        "darkroom": version_here(),
        "python": platform.python_version(),
        "system": platform.platform(),
        **{name: metadata.version(name) for name in _PACKAGES},
    }


async def _redis_figures(front: Front) -> dict[str, Any] | None:
    """Return what Redis says of itself; None: it is away."""
    try:
        async with asyncio.timeout(_ANSWER_S):
            told = await front.backends.redis.info()
    except (RedisError, OSError, TimeoutError):
        return None
    return {
        "name": name_of(told),
        "memory": told.get("used_memory_human", ""),
        "most memory": told.get("maxmemory_human", ""),
        "clients": told.get("connected_clients", ""),
        "commands/s": told.get("instantaneous_ops_per_sec", ""),
        "persistence": "append only file" if told.get("aof_enabled") else "snapshots",
        "up for": f"{told.get('uptime_in_days', 0)} days",
    }


def _flat(settings: BaseModel, prefix: str = "") -> dict[str, tuple[str, bool]]:
    """Return settings by name as text, and whether each was set; secrets as stars."""
    flat: dict[str, tuple[str, bool]] = {}
    for name in type(settings).model_fields:
        value, path = getattr(settings, name), f"{prefix}{name}"
        if isinstance(value, BaseModel):
            flat |= _flat(value, f"{path}__")
        else:
            flat[f"DARKROOM_{path.upper()}"] = (
                _text(value),
                name in settings.model_fields_set,
            )
    return flat


def _text(value: Any) -> str:
    if value is None:
        return "–"  # noqa: RUF001 - the dash that pages show
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(map(str, value)) or "–"  # noqa: RUF001
    text = str(value)  # a SecretStr shows itself as stars; a URL must be told to
    return without_password(text) if "://" in text else text
