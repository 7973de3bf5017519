"""What a caller writes of a batch: as OpenAI's JSON, or in the query beside lines."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import orjson
from aiohttp import web
from pydantic import BaseModel

from service.api.files import ExpiresAfter
from service.api.wishes import refuse_unknown
from service.core.errors import InvalidRequest
from service.intake.draft import DRAFT_CONFIG, Metadata
from service.intake.fields import read_fields
from service.webhooks.wishes import WebhookDraft

USUAL_WINDOW = "24h"
MOST_WINDOW_S = 30 * 86_400

_WINDOW = re.compile(r"([1-9][0-9]{0,6})([smhd])")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SECONDS = re.compile(r"[1-9][0-9]{0,6}")
_METADATA = "metadata."


class BatchDraft(BaseModel):
    """The body of `POST /v1/batches`."""

    model_config = DRAFT_CONFIG

    input_file_id: str
    """A file of purpose `batch`; each line names a call by its `custom_id`, `method`,
    `url` and `body`."""
    endpoint: Literal["/v1/images/generations", "/v1/images/edits"]
    """The `url` of all lines."""
    completion_window: str
    """Lines that have not begun by then do so no more: `24h`, or another time of at
    most thirty days, such as `90m` or `7d`."""
    metadata: Metadata | None = None
    """Your own notes: at most 16 pairs, of 64 and 512 characters."""
    output_expires_after: ExpiresAfter | None = None
    """When the files of its results are to be gone."""
    webhook: WebhookDraft | None = None
    """Who is to be told of this batch, beside the account's endpoints."""


class _Options(BaseModel):
    model_config = DRAFT_CONFIG

    model: str | None = None
    metadata: Metadata | None = None
    webhook: WebhookDraft | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineOptions:
    """What the query of a native batch says.

    Attributes:
        model: For lines that name none.
        window: As `completion_window`.
    """

    model: str | None
    window: str
    metadata: dict[str, str]
    webhook: WebhookDraft | None


def read_options(request: web.Request) -> LineOptions:
    """Read the query of a native batch.

    Raises:
        InvalidRequest: `unknown_param`, `duplicate_param`, `out_of_range` or
            `invalid_metadata`.
    """
    refuse_unknown(request, "model", "webhook", "window_s", _METADATA)
    query = request.query
    window_s = query.get("window_s")
    if window_s is not None and not _SECONDS.fullmatch(window_s):
        raise _bad_window("window_s")
    url = query.get("webhook")
    fields = {
        "model": query.get("model"),
        "metadata": metadata_of(query),
        "webhook": None if url is None else {"url": url},
    }
    options = read_fields(_Options, fields)
    return LineOptions(
        model=options.model,
        window=USUAL_WINDOW if window_s is None else f"{window_s}s",
        metadata=options.metadata or {},
        webhook=options.webhook,
    )


def metadata_of(query: Mapping[str, str]) -> dict[str, str]:
    """Return the pairs that stand in a query as `metadata.NAME=VALUE`."""
    return {
        name.removeprefix(_METADATA): value
        for name, value in query.items()
        if name.startswith(_METADATA)
    }


def duration_of(window: str, *, param: str = "completion_window") -> timedelta:
    """Return how long a batch may take.

    Raises:
        InvalidRequest: Nobody can read it, or it is too long (`out_of_range`).
    """
    match = _WINDOW.fullmatch(window)
    seconds = 0 if match is None else int(match[1]) * _UNIT_S[match[2]]
    if not 1 <= seconds <= MOST_WINDOW_S:
        raise _bad_window(param)
    return timedelta(seconds=seconds)


def hash_of(*said: Any) -> str:
    """Return what is equal for equal values, whatever their order of names."""
    text = orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()


def _bad_window(param: str) -> InvalidRequest:
    return InvalidRequest(
        f"{param} must be a time of at most thirty days",
        code="out_of_range",
        param=param,
    )
