"""What a request may say: the fields of `POST /v1/jobs`, images as files too."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Required, TypedDict

from service.client.bodies import ImageSource, Json, with_images


class Webhook(TypedDict, total=False):
    """Who is told of one job or batch.

    `events` are types such as `job.succeeded`, final ones where none are named;
    without `secret` it is signed with the account's own.
    """

    url: Required[str]
    events: Sequence[str]
    secret: str


Wish = str | Mapping[str, Any]
"""A prompt alone, or all the fields of a request."""


class JobFields(TypedDict, total=False):
    """What may be said by name; `/docs` of a front door tells more of each.

    `images` and `mask` are bytes, Paths or URLs; `webhook` may be a mere URL;
    `deadline_s` is how soon the job must have started.
    """

    prompt: str
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


def body_of(wish: Wish | None, fields: JobFields) -> Json:
    """Return a request as it is sent."""
    told = {"prompt": wish} if isinstance(wish, str) else wish or {}
    body = with_images({**told, **fields})
    if isinstance(body.get("webhook"), str):
        body["webhook"] = {"url": body["webhook"]}
    return Json(body)


def named(key: str | None) -> Mapping[str, str]:
    """Return the header under which sending a call again makes nothing twice."""
    return {"Idempotency-Key": key or secrets.token_hex(16)}
