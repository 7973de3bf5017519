"""What happens to jobs, batches and endpoints, as streams of events tell it."""

from typing import Literal, NotRequired

from service.api.openapi.shapes import Shape
from service.api.openapi.shapes.batches import Batch
from service.api.openapi.shapes.jobs import Job


class Happening(Shape):
    """One thing that happened; its id is the `id` of the event, too."""

    type: str
    """What happened, such as `job.succeeded`."""
    id: str
    """Of the event; later ones have higher ids. Send it as `Last-Event-ID`."""
    created_at: float
    """Unix seconds."""
    job_id: str | None
    """Null where it happened to a batch or an endpoint."""
    batch_id: str | None
    """The batch, or the one that the job belongs to."""
    endpoint_id: NotRequired[str]
    status: str
    """How the job or batch stands since."""
    progress: float | None
    """From 0 to 1, where the event tells it."""
    job: NotRequired[Job]
    """The whole job, in a stream of its own, with the first event and the last."""
    batch: NotRequired[Batch]
    """Likewise the whole batch."""


class Missed(Shape):
    """Some of what came after `Last-Event-ID` cannot be told any more: look around."""

    type: Literal["snapshot"]
    id: str
    created_at: float


Happened = Happening | Missed
