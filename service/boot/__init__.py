"""Refuses to run on a Redis or a bucket that would break what we promise.

A backend that is away is no reason to refuse: it is looked at as soon as it comes,
and where it is unfit then, the process leaves. `unsafe` turns refusals to warnings.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial

import structlog

from service.boot.flaws import Flaw
from service.boot.redis import look_at_redis
from service.boot.store import look_at_store
from service.job_store.listening import end
from service.settings import ConfigurationError, Settings

log = structlog.get_logger()

_AGAIN_S = 1.0

_Look = Callable[[], Awaitable[Sequence[Flaw] | None]]


@contextlib.asynccontextmanager
async def fit(settings: Settings, *, leave: Callable[[], None]) -> AsyncIterator[None]:
    """Run what is within only while the backends are fit for it.

    Args:
        settings: They name the backends, how durable, and whether to mind.
        leave: Called when one that came later is unfit; it has to end what is within.

    Raises:
        ConfigurationError: One is unfit; at once, or after `leave`.
    """
    looks: list[_Look] = [
        partial(look_at_redis, settings),
        partial(look_at_store, settings),
    ]
    found = await asyncio.gather(*(look() for look in looks))
    _judge(settings, [flaw for flaws in found if flaws is not None for flaw in flaws])
    away = [look for look, flaws in zip(looks, found, strict=True) if flaws is None]
    late = asyncio.create_task(_look_later(settings, away, leave))
    try:
        yield
    finally:
        if not late.done():
            await end([late])
    if not late.cancelled():
        late.result()


async def _look_later(
    settings: Settings, looks: Sequence[_Look], leave: Callable[[], None]
) -> None:
    waiting = list(looks)
    while waiting:
        await asyncio.sleep(_AGAIN_S)
        flaws = await waiting[0]()
        if flaws is None:
            waiting.append(waiting.pop(0))
            continue
        del waiting[0]
        try:
            _judge(settings, flaws)
        except ConfigurationError:
            leave()
            raise


def _judge(settings: Settings, flaws: Sequence[Flaw]) -> None:
    refused = [flaw for flaw in flaws if flaw.breaks and not settings.unsafe]
    for flaw in flaws:
        write = log.error if flaw in refused else log.warning
        write(
            "backend.doubted",
            subject=flaw.subject,
            reason=flaw.text,
            remedy=flaw.remedy,
        )
    if refused:
        raise ConfigurationError(
            "; ".join(str(flaw) for flaw in refused)
            + "; to start all the same: --unsafe, or DARKROOM_UNSAFE=true"
        )
