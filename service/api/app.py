"""Composition root of the front door."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial

import structlog
from aiohttp import web

from service.accounts import Accounts, Grant, Scope, checked_secret
from service.api import (
    around,
    batch_creation,
    batches,
    deliveries,
    endpoints,
    event_streams,
    files,
    health,
    images,
    jobs,
    models,
    usage,
)
from service.api.batch_lines import BatchLines
from service.api.context import FRONT, Front
from service.api.derivatives import Derivatives
from service.api.dialects import chat, embed, imagerouter, openai
from service.api.followed import shown_with_the_end
from service.api.openapi import documents
from service.api.pulse import Pulse
from service.api.turns import Turns
from service.api.views import Views
from service.backends import open_backends
from service.catalog_file import LiveCatalog
from service.core.catalog import Catalog
from service.core.errors import QueueUnavailable, UnknownModel
from service.events import EventHub
from service.imaging import Imaging
from service.intake import Intake
from service.intake.batches import Acceptance
from service.intake.feeding import Feeder
from service.intake.inputs import Inputs
from service.intake.links import Links
from service.intake.repeats import Repeats
from service.job_store.fleet import Fleet
from service.job_store.listening import end
from service.metrics import Metrics
from service.outbound import Outbound
from service.partials import Partials
from service.settings import ConfigurationError, Settings
from service.waiters import Waiters
from service.webhooks import Deliveries, Endpoints
from service.webhooks.urls import Urls

log = structlog.get_logger()

BEAT_S = 5.0
_BOOTSTRAP = Grant(account="default", scopes=frozenset(Scope))
_PATIENCE_S = 3.0
_PAUSE_S = 0.5


def make_app(
    settings: Settings, live: LiveCatalog, *, beat_s: float = BEAT_S
) -> web.Application:
    """Build the front door; connections open when the app starts.

    Args:
        settings: With the real port where links are to lead.
        live: What may be asked for.
        beat_s: How often Redis is tried for `/readyz`.

    Raises:
        ConfigurationError: The bootstrap key is none that a client could send, or
            the catalog does not know the default model.
    """
    _check_default(settings, live.current)
    live.follow(partial(_check_default, settings))
    preset = settings.bootstrap_key
    secret = None if preset is None else checked_secret(preset.get_secret_value())

    async def front(app: web.Application) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            backends = await stack.enter_async_context(open_backends(settings))
            outbound = await stack.enter_async_context(Outbound(settings.outbound))
            imaging = Imaging(processes=settings.worker.imaging_processes)
            stack.push_async_callback(imaging.close)
            copying = Imaging(processes=1)  # so that copies keep no edit waiting
            stack.push_async_callback(copying.close)
            waiters = Waiters(backends.redis, backends.jobs)
            fleet = Fleet(backends.redis)
            views = Views(backends.images, base_url=settings.base_url)
            hub = EventHub(
                backends.redis,
                shown_with_the_end(
                    backends.jobs,
                    backends.batches,
                    views,
                    base_url=settings.base_url,
                ),
                heartbeat_s=settings.heartbeat_s,
                write_s=settings.limits.write_s,
            )
            pulse = Pulse(backends, fleet, live, beat_s=beat_s)
            app[FRONT] = Front(
                settings=settings,
                live=live,
                backends=backends,
                fleet=fleet,
                waiters=await stack.enter_async_context(waiters),
                partials=await stack.enter_async_context(Partials(backends.redis)),
                hub=await stack.enter_async_context(hub),
                intake=Intake(
                    live=live,
                    fleet=fleet,
                    jobs=backends.jobs,
                    images=backends.images,
                    repeats=Repeats(backends.redis),
                    inputs=Inputs(
                        backends.images,
                        imaging,
                        Links(
                            outbound,
                            most_bytes=settings.limits.file_bytes,
                            most_together=settings.limits.upload_bytes,
                            within=timedelta(seconds=settings.limits.reference_s),
                        ),
                    ),
                ),
                acceptance=Acceptance(
                    live=live,
                    accounts=backends.accounts,
                    batches=backends.batches,
                    jobs=backends.jobs,
                    files=backends.files,
                    reader=BatchLines(
                        settings.limits, default_model=settings.default_model
                    ),
                    most_lines=settings.limits.batch_lines,
                ),
                pulse=await stack.enter_async_context(pulse),
                views=views,
                metrics=Metrics(open_streams=lambda: len(hub.followers)),
                imaging=imaging,
                derivatives=Derivatives(backends.images, copying, backends.jobs),
                uploads=Turns(
                    files.MOST_UPLOADS,
                    refusal=f"{files.MOST_UPLOADS} uploads of this account are on "
                    "their way already",
                ),
                outbound=outbound,
                endpoints=Endpoints(
                    backends.redis,
                    most=settings.webhooks.endpoints,
                    idempotency=timedelta(seconds=settings.idempotency_s),
                ),
                deliveries=Deliveries(backends.redis),
                urls=Urls(settings.outbound, base_url=settings.base_url),
            )
            feeder = Feeder(app[FRONT].intake, app[FRONT].acceptance, backends.redis)
            await stack.enter_async_context(feeder)
            if secret is not None:
                adoption = asyncio.create_task(_adopt(backends.accounts, secret))
                stack.push_async_callback(end, [adoption])
                # Without Redis it goes on behind the scenes, and `/readyz` is red.
                await asyncio.wait([adoption], timeout=_PATIENCE_S)
            yield

    app = web.Application()
    app[documents.DOCUMENTS] = documents.Documents(settings.base_url)
    app.cleanup_ctx.append(front)
    for part in (
        health,
        jobs,
        files,
        event_streams,
        batches,
        batch_creation,
        images,
        models,
        usage,
        openai,
        imagerouter,
        around,
        chat,
        embed,
        endpoints,
        deliveries,
        documents,
    ):
        app.add_routes(part.routes)
    return app


def _check_default(settings: Settings, catalog: Catalog) -> None:
    if settings.default_model is None:
        return
    try:
        catalog.model(settings.default_model)
    except UnknownModel as exc:
        raise ConfigurationError(f"DARKROOM_DEFAULT_MODEL: {exc}") from exc


async def _adopt(accounts: Accounts, secret: str) -> None:
    while True:
        try:
            key = await accounts.adopt(secret, _BOOTSTRAP)
        except QueueUnavailable:
            await asyncio.sleep(_PAUSE_S)
        else:
            log.info("key.adopted", key_id=key.id, account=key.account)
            return
