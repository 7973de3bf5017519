"""The dashboard at `/ui`: pages that do what the API does, for who has signed in.

To add a page: a module with `pages = Pages()`, a template, a line in `nav.py`, and a
line here.
"""

from weakref import WeakValueDictionary

from aiohttp import web

from service.api.dashboard import (
    batch_form,
    batches,
    gallery,
    job,
    jobs,
    keys,
    live,
    pictures,
    playground,
    providers,
    queue,
    session,
    static_files,
    system,
    webhooks,
)
from service.api.dashboard.activity import Activity
from service.api.dashboard.batch_failures import Failures
from service.api.dashboard.batches import FAILURES
from service.api.dashboard.depths import DEPTHS, depths, new_depths
from service.api.dashboard.live import ACTIVITY
from service.api.dashboard.pictures import TURNS
from service.api.dashboard.providers import RECENT
from service.api.dashboard.system import EXAMINED

_PAGES = (
    session,
    live,
    pictures,
    playground,
    jobs,
    job,
    batch_form,
    batches,
    gallery,
    queue,
    providers,
    webhooks,
    keys,
    system,
)

routes = [
    *static_files.routes,
    *session.routes,
    *(route for module in _PAGES for route in module.pages.routes),
]


def prepare(app: web.Application) -> None:
    """Give the pages what they remember while the front door runs, which is open."""
    app[ACTIVITY] = Activity()
    app[FAILURES] = Failures()
    app[DEPTHS], app[RECENT], app[EXAMINED] = new_depths(), {}, {}
    app.cleanup_ctx.append(depths)
    app[TURNS] = WeakValueDictionary()
