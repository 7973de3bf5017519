"""Composition root of the front door: what it holds open, closed in reverse."""

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta

from service.accounts.sessions import Sessions
from service.api import files
from service.api.batch_lines import BatchLines
from service.api.context import Front
from service.api.derivatives import Derivatives
from service.api.followed import shown_with_the_end
from service.api.pulse import Pulse
from service.api.shown import ShownJobs
from service.api.turns import Turns
from service.api.views import Views
from service.backends import Backends, open_backends
from service.catalog_file import LiveCatalog
from service.events import EventHub
from service.imaging import Imaging
from service.intake import Intake
from service.intake.batches import Acceptance
from service.intake.feeding import Feeder
from service.intake.inputs import Inputs
from service.intake.links import Links
from service.intake.repeats import Repeats
from service.job_store.fleet import Fleet
from service.metrics import Metrics
from service.outbound import Outbound
from service.partials import Partials
from service.settings import Settings
from service.waiters import Waiters
from service.webhooks import Deliveries, Endpoints
from service.webhooks.urls import Urls


@contextlib.asynccontextmanager
async def open_front(
    settings: Settings, live: LiveCatalog, *, beat_s: float
) -> AsyncIterator[Front]:
    """Open all that handlers work with; batches are fed from then on.

    Args:
        settings: See `make_app`.
        live: What may be asked for.
        beat_s: See `make_app`.
    """
    async with contextlib.AsyncExitStack() as stack:
        opened = stack.enter_async_context
        backends = await opened(open_backends(settings))
        outbound = await opened(Outbound(settings.outbound))
        imaging = Imaging(processes=settings.worker.imaging_processes)
        stack.push_async_callback(imaging.close)
        copying = Imaging(processes=1)  # so that copies keep no edit waiting
        stack.push_async_callback(copying.close)
        fleet = Fleet(backends.redis)
        views = Views(backends.images, base_url=settings.base_url)
        inputs = Inputs(backends.images, imaging, _links(settings, outbound))
        hub = await opened(_hub(settings, backends, views))
        front = Front(
            settings=settings,
            live=live,
            backends=backends,
            sessions=Sessions(backends.redis, backends.accounts),
            fleet=fleet,
            waiters=await opened(Waiters(backends.redis, backends.jobs)),
            partials=await opened(Partials(backends.redis)),
            hub=hub,
            intake=_intake(live, backends, fleet, inputs),
            acceptance=_acceptance(settings, live, backends),
            pulse=await opened(Pulse(backends, fleet, live, beat_s=beat_s)),
            views=views,
            shown=ShownJobs(views),
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
        await opened(Feeder(front.intake, front.acceptance, backends.redis))
        yield front


def _hub(settings: Settings, backends: Backends, views: Views) -> EventHub:
    return EventHub(
        backends.redis,
        shown_with_the_end(
            backends.jobs, backends.batches, views, base_url=settings.base_url
        ),
        backends.accounts.is_good,
        heartbeat_s=settings.heartbeat_s,
        write_s=settings.limits.write_s,
    )


def _links(settings: Settings, outbound: Outbound) -> Links:
    return Links(
        outbound,
        most_bytes=settings.limits.file_bytes,
        most_together=settings.limits.upload_bytes,
        within=timedelta(seconds=settings.limits.reference_s),
    )


def _intake(
    live: LiveCatalog, backends: Backends, fleet: Fleet, inputs: Inputs
) -> Intake:
    return Intake(
        live=live,
        fleet=fleet,
        jobs=backends.jobs,
        images=backends.images,
        repeats=Repeats(backends.redis),
        inputs=inputs,
    )


def _acceptance(
    settings: Settings, live: LiveCatalog, backends: Backends
) -> Acceptance:
    return Acceptance(
        live=live,
        accounts=backends.accounts,
        batches=backends.batches,
        jobs=backends.jobs,
        files=backends.files,
        reader=BatchLines(settings.limits, default_model=settings.default_model),
        most_lines=settings.limits.batch_lines,
    )
