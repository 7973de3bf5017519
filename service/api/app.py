"""The front door as an application: its routes, and what is open while it runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import structlog
from aiohttp import web

from service.accounts import Accounts, Grant, Scope, checked_secret
from service.api import (
    around,
    batch_creation,
    batches,
    dashboard,
    deliveries,
    endpoints,
    event_streams,
    files,
    health,
    images,
    jobs,
    keys,
    models,
    providers,
    usage,
)
from service.api.context import FRONT
from service.api.dialects import chat, embed, imagerouter, openai
from service.api.openapi import documents
from service.api.opening import open_front
from service.catalog_file import LiveCatalog
from service.core.catalog import Catalog
from service.core.errors import QueueUnavailable, UnknownModel
from service.job_store.listening import end
from service.settings import ConfigurationError, Settings

log = structlog.get_logger()

BEAT_S = 5.0
_BOOTSTRAP = Grant(account="default", scopes=frozenset(Scope))
_PATIENCE_S = 3.0
_PAUSE_S = 0.5
_PARTS = (
    health,
    jobs,
    files,
    event_streams,
    batches,
    batch_creation,
    images,
    models,
    usage,
    keys,
    providers,
    openai,
    imagerouter,
    around,
    chat,
    embed,
    endpoints,
    deliveries,
    documents,
    dashboard,
)
"""The modules that have routes."""


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
        async with open_front(settings, live, beat_s=beat_s) as opened:
            app[FRONT] = opened
            async with _adopted(opened.backends.accounts, secret):
                yield

    app = web.Application()
    app[documents.DOCUMENTS] = documents.Documents(settings.base_url)
    app.cleanup_ctx.append(front)
    dashboard.prepare(app)
    for part in _PARTS:
        app.add_routes(part.routes)
    return app


def _check_default(settings: Settings, catalog: Catalog) -> None:
    if settings.default_model is None:
        return
    try:
        catalog.model(settings.default_model)
    except UnknownModel as exc:
        raise ConfigurationError(f"DARKROOM_DEFAULT_MODEL: {exc}") from exc


@asynccontextmanager
async def _adopted(accounts: Accounts, secret: str | None) -> AsyncIterator[None]:
    """Make a key of the secret; without Redis behind the scenes, when it is back."""
    if secret is None:
        yield
        return
    adoption = asyncio.create_task(_adopt(accounts, secret))
    try:
        await asyncio.wait([adoption], timeout=_PATIENCE_S)
        yield
    finally:
        await end([adoption])


async def _adopt(accounts: Accounts, secret: str) -> None:
    while True:
        try:
            key = await accounts.adopt(secret, _BOOTSTRAP)
        except QueueUnavailable:
            await asyncio.sleep(_PAUSE_S)
        else:
            log.info("key.adopted", key_id=key.id, account=key.account)
            return
