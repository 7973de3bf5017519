"""Images for pages: small copies, which cost nobody a turn of his key's rate."""

import asyncio
from weakref import WeakValueDictionary

from aiohttp import web

from service.accounts import ApiKey, Scope
from service.api.dashboard.frame import Pages
from service.api.images import show_image

pages = Pages(scope=Scope.GENERATE, live=False)

TURNS = web.AppKey("turns", WeakValueDictionary[str, asyncio.Semaphore])
_AT_ONCE = 2
"""Of one account: a page asks for dozens, and others want copies, too."""


@pages.get("/ui/jobs/{job_id}/images/{index}")
async def get_picture(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Serve an image, or the copy that `?width=` and `?format=` ask for."""
    turns = request.app[TURNS]
    turn = turns.setdefault(key.account, asyncio.Semaphore(_AT_ONCE))
    async with turn:
        return await show_image(request, key, before=_free)


async def _free() -> None:
    """Charge nothing."""
