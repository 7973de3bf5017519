"""What callers write of endpoints and webhooks.

The same `webhook` may stand in a job and in a batch. The text below a field is what
the API's document says of it.
"""

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from service.core.errors import InvalidRequest
from service.core.webhooks import checked_secret
from service.job_store.records import Webhook
from service.webhooks.urls import Urls

EventType = Literal[
    "*",
    "job.started",
    "job.progress",
    "job.held",
    "job.succeeded",
    "job.failed",
    "job.canceled",
    "job.expired",
    "batch.in_progress",
    "batch.completed",
    "batch.failed",
    "batch.expired",
    "batch.cancelling",
    "batch.cancelled",
    "endpoint.disabled",
]
EVENT_TYPES: tuple[str, ...] = get_args(EventType)

_CONFIG = ConfigDict(
    strict=True, extra="forbid", frozen=True, use_attribute_docstrings=True
)
Events = Annotated[list[EventType], Field(min_length=1, max_length=len(EVENT_TYPES))]
Description = Annotated[str, Field(max_length=256)]
Overlap = Annotated[int, Field(ge=0, le=7 * 86_400)]


class WebhookDraft(BaseModel):
    """Who is told of this one; a call that joins an earlier one tells nobody anew."""

    model_config = _CONFIG

    url: str
    """An https: URL on the public internet, at port 443, 80 or 8443."""
    events: Events | None = None
    """Types of events, a job's or a batch's as it is about; unsaid, or `*`: all but
    `job.started` and `job.progress`."""
    secret: str | None = None
    """Signs what is sent: `whsec_` and standard base64 of 24 to 64 bytes. Unsaid, the
    account's own does; see `/v1/webhooks/default/secret`."""


class EndpointDraft(BaseModel):
    """The body of `POST /v1/endpoints`."""

    model_config = _CONFIG

    url: str
    """An https: URL on the public internet, at port 443, 80 or 8443."""
    events: Events | None = None
    """Types of events; unsaid, or `*`: all but `job.started` and `job.progress`."""
    description: Description = ""
    """Your own note."""
    secret: str | None = None
    """One that you have already; unsaid, a new one is made."""


class EndpointChange(BaseModel):
    """The body of `PATCH /v1/endpoints/{endpoint_id}`: what is to be different."""

    model_config = _CONFIG

    url: str | None = None
    """See `POST /v1/endpoints`."""
    events: Events | None = None
    """In place of those so far."""
    description: Description | None = None
    """Your own note."""
    status: Literal["enabled", "disabled"] | None = None
    """A disabled endpoint hears of nothing, and what was on its way to it fails."""


class Rotation(BaseModel):
    """The body of `POST /v1/endpoints/{endpoint_id}/rotate`."""

    model_config = _CONFIG

    secret: str | None = None
    """The new secret; unsaid, one is made."""
    overlap_s: Overlap = 86_400
    """For so many seconds the old secret signs as well."""


def webhook_of(
    draft: WebhookDraft, urls: Urls, *, about: Literal["job", "batch"]
) -> Webhook:
    """Return whom a job or batch is to tell.

    Raises:
        InvalidRequest: See `Urls.checked` and `checked_secret`; or it names events
            that never happen to what it is about (`invalid_enum`).
    """
    for number, name in enumerate(draft.events or ()):
        if name != "*" and not name.startswith(f"{about}."):
            raise InvalidRequest(
                f"{name} never happens to a {about}; make an endpoint that hears of it",
                code="invalid_enum",
                param=f"webhook.events.{number}",
            )
    secret = draft.secret
    return Webhook(
        url=urls.checked(draft.url, param="webhook.url"),
        events=tuple(draft.events or ("*",)),
        secret=None
        if secret is None
        else checked_secret(secret, param="webhook.secret"),
    )


def fields_of(change: EndpointChange, urls: Urls) -> dict[str, Any]:
    """Return what is to be written anew of an endpoint.

    Raises:
        InvalidRequest: See `Urls.checked`.
    """
    fields = dict[str, Any]()
    if change.url is not None:
        fields["url"] = urls.checked(change.url, param="url")
    if change.events is not None:
        fields["events"] = " ".join(change.events)
    if change.description is not None:
        fields["description"] = change.description
    if change.status is not None:
        fields["state"] = change.status
    return fields
