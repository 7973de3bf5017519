"""What is live on every page: the one stream of events, and the pulse in the corner."""

from typing import NamedTuple

from aiohttp import web

from service.accounts import ApiKey
from service.api.context import FRONT, Front
from service.api.dashboard.activity import Activity
from service.api.dashboard.frame import Pages
from service.api.dashboard.rendering import page
from service.api.event_streams import follow_all

pages = Pages(live=False)
ACTIVITY = web.AppKey("activity", Activity)

_PACE_MINUTES = 5


class Pulse(NamedTuple):
    """How an account fares.

    Attributes:
        running: Jobs in work.
        queued: Jobs that wait.
        per_minute: Jobs that succeeded, over the last minutes.
        failed: Jobs that failed within the hour.
        is_whole: Whether that counts all of them.
    """

    running: int
    queued: int
    per_minute: float
    failed: int
    is_whole: bool


@pages.get("/ui/events")
async def follow(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Tell the browser what happens in the account, until it leaves."""
    return await follow_all(request, key)


@pages.get("/ui/pulse")
async def show_pulse(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Show how the account fares."""
    front, activity = request.app[FRONT], request.app[ACTIVITY]
    pulse = await _pulse_of(front, activity, key.account)
    return page(request, "pulse.html", key=key, pulse=pulse)


async def _pulse_of(front: Front, activity: Activity, account: str) -> Pulse:
    load = await front.backends.accounts.loads.of(account)
    hour = await activity.hour_of(account, front.hub.log)
    done = hour.of("job.succeeded", minutes=_PACE_MINUTES)
    return Pulse(
        running=load.running,
        queued=max(0, load.open - load.running),
        per_minute=done / _PACE_MINUTES,
        failed=hour.of("job.failed"),
        is_whole=hour.is_whole,
    )
