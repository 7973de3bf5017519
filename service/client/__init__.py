"""The Python client: `Darkroom` blocks, `AsyncDarkroom` awaits, and they do the same.

    with Darkroom() as darkroom:
        job = darkroom.generate("a lighthouse in fog", model="test/test")
        Path("lighthouse.png").write_bytes(darkroom.image(job))

It needs httpx and nothing else of this project. docs/client.md tells the rest.
"""

from service.client.bodies import ImageSource, Line, LineSource
from service.client.clients import AsyncDarkroom, Darkroom
from service.client.errors import (
    Busy,
    Conflict,
    DarkroomError,
    Deleted,
    Forbidden,
    InvalidWebhook,
    JobFailed,
    NotDarkroom,
    NotFound,
    QuotaExceeded,
    Refused,
    StillRunning,
    Unauthenticated,
    Unavailable,
    Unreachable,
)
from service.client.fields import JobFields, Webhook
from service.client.holdings import Delivery, DeliveryAttempt, Endpoint, File
from service.client.objects import (
    Attempt,
    Batch,
    BatchResult,
    Counts,
    Error,
    Event,
    Image,
    Job,
    LineError,
    LineErrors,
    Queue,
    Result,
    Summary,
)
from service.client.signatures import verify_webhook

__all__ = [
    "AsyncDarkroom",
    "Attempt",
    "Batch",
    "BatchResult",
    "Busy",
    "Conflict",
    "Counts",
    "Darkroom",
    "DarkroomError",
    "Deleted",
    "Delivery",
    "DeliveryAttempt",
    "Endpoint",
    "Error",
    "Event",
    "File",
    "Forbidden",
    "Image",
    "ImageSource",
    "InvalidWebhook",
    "Job",
    "JobFailed",
    "JobFields",
    "Line",
    "LineError",
    "LineErrors",
    "LineSource",
    "NotDarkroom",
    "NotFound",
    "Queue",
    "QuotaExceeded",
    "Refused",
    "Result",
    "StillRunning",
    "Summary",
    "Unauthenticated",
    "Unavailable",
    "Unreachable",
    "Webhook",
    "verify_webhook",
]
