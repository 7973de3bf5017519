"""What a submission would come to: checked like one, and nothing of it is written."""

from typing import NamedTuple

from service.accounts import ApiKey
from service.core.catalog import Catalog, Route
from service.core.requests import Priority
from service.intake.compose import Composed, compose
from service.intake.draft import Draft
from service.intake.routing import in_order
from service.intake.terms import Terms
from service.intake.uploads import Uploads
from service.intake.words import check_metadata
from service.job_store import JobStore
from service.job_store.fleet import Fleet


class Preview(NamedTuple):
    """What would be submitted, and where it would go.

    Attributes:
        routes: Of its model, best first.
        uploads: The images it would start from; nobody has looked at them.
        priority: How soon it should start.
        available: Whether a worker that is alive can call one of the routes.
        position: Its place in the queue; 1 is next.
    """

    composed: Composed
    routes: tuple[Route, ...]
    uploads: Uploads
    priority: Priority
    available: bool
    position: int


async def preview(
    draft: Draft,
    *,
    key: ApiKey,
    operation: str,
    uploads: Uploads,
    terms: Terms,
    catalog: Catalog,
    fleet: Fleet,
    jobs: JobStore,
) -> Preview:
    """Do all that `Intake.submit` does before it writes, and look at the queue.

    Links are not followed, and images not decoded.

    Raises:
        InvalidRequest: The draft cannot be honored.
        Forbidden: The key may not ask for this model.
        QueueUnavailable: There is no looking at the queue.
    """
    composed = compose(
        draft, key=key, catalog=catalog, operation=operation, uploads=uploads
    )
    check_metadata(terms.metadata or {})
    position = await jobs.place_of_next(
        key.account, terms.priority, key_id=key.id, running=key.running_jobs
    )
    model = catalog.model(composed.request.model)
    routes = await in_order(composed.routes, model, jobs)
    return Preview(
        composed,
        routes,
        uploads,
        terms.priority,
        fleet.can_call(composed.routes),
        position,
    )
