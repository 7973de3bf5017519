"""What a request may say: the fields of `POST /v1/jobs`, images as files too."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Required, TypedDict

from service.client.bodies import ImageSource


class Webhook(TypedDict, total=False):
    """Who is told of one job or batch.

    `events` are types such as `job.succeeded`, final ones where none are named;
    without `secret` it is signed with the account's own.
    """

    url: Required[str]
    events: Sequence[str]
    secret: str


class JobFields(TypedDict, total=False):
    """Everything besides the prompt; docs/client.md and `/docs` tell more.

    `images` and `mask` are bytes, paths or URLs; `webhook` may be a mere URL;
    `deadline_s` is how soon the job must have started.
    """

    model: str
    operation: Literal["generate", "edit", "variation"]
    n: int
    size: str
    aspect_ratio: str
    image_config: Mapping[str, str]
    quality: str
    style: str
    background: str
    moderation: str
    input_fidelity: str
    output_format: Literal["png", "jpeg", "jpg", "webp"]
    output_compression: int
    seed: int
    negative_prompt: str
    user: str
    images: Sequence[ImageSource]
    mask: ImageSource
    priority: Literal["interactive", "normal", "batch"]
    deadline_s: int
    metadata: Mapping[str, str]
    webhook: str | Webhook
    max_cost: float
    cache: bool
    provider: str | Sequence[str]
    exclude_providers: Sequence[str]
    strict: bool


def webhook_of(given: str | Webhook) -> dict[str, Any]:
    """Return a webhook as it is sent."""
    return {"url": given} if isinstance(given, str) else dict(given)


def named(key: str | None) -> Mapping[str, str]:
    """Return the header under which sending a call again makes nothing twice."""
    return {"Idempotency-Key": key or secrets.token_hex(16)}
