"""What handlers find on the application and on a request."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from service.accounts import ApiKey
from service.accounts.sessions import Sessions
from service.api.derivatives import Derivatives
from service.api.problems import Problem
from service.api.pulse import Pulse
from service.api.shown import ShownJobs
from service.api.turns import Turns
from service.api.views import Views
from service.backends import Backends
from service.catalog_file import LiveCatalog
from service.core.catalog import Catalog
from service.core.jobs import JobId
from service.events import EventHub
from service.imaging import Imaging
from service.intake import Intake
from service.intake.batches import Acceptance
from service.intake.spool import Spool
from service.job_store.fleet import Fleet
from service.metrics import Metrics
from service.outbound import Outbound
from service.partials import Partials
from service.settings import Settings
from service.waiters import Waiters
from service.webhooks import Deliveries, Endpoints
from service.webhooks.urls import Urls


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """One running front door."""

    settings: Settings
    live: LiveCatalog
    backends: Backends
    sessions: Sessions
    fleet: Fleet
    waiters: Waiters
    partials: Partials
    hub: EventHub
    intake: Intake
    acceptance: Acceptance
    pulse: Pulse
    views: Views
    shown: ShownJobs
    metrics: Metrics
    imaging: Imaging
    derivatives: Derivatives
    uploads: Turns
    outbound: Outbound
    endpoints: Endpoints
    deliveries: Deliveries
    urls: Urls

    @property
    def catalog(self) -> Catalog:
        """The catalog as it is just now; a request reads it once."""
        return self.live.current


@dataclass(slots=True)
class Trace:
    """What becomes known about a request while it is served.

    Attributes:
        request_id: On the answer, in the envelope and in the log line.
        key: Who calls.
        job_id: The job this request made or found; named in the answer's headers.
        headers: More headers for whatever answer comes.
        code: Of the error, where the answer is one.
        reworded: Says a problem as the caller's dialect does; None: as OpenAI does.
        spool: The images that came along; closed behind the answer, at the latest.
        answered: Called once the answer went out whole, and only then.
        hung_up: Called when the caller hangs up before the answer is whole.
    """

    request_id: str
    key: ApiKey | None = None
    job_id: JobId | None = None
    headers: dict[str, str] = field(default_factory=dict)
    code: str | None = None
    reworded: Callable[[Problem], Problem] | None = None
    spool: Spool | None = None
    answered: Callable[[], Awaitable[None]] | None = None
    hung_up: Callable[[], None] | None = None


FRONT = web.AppKey("front", Front)
TRACE = web.RequestKey("trace", Trace)
