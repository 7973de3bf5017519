"""What a caller writes in a line of a batch, and the draft that becomes of it.

A line of OpenAI's names a call: `custom_id`, `method`, `url`, `body`. A native one is
the call itself, with its `custom_id` among the fields. Of either the body is kept as
it was written; it is read once when the batch is taken in, to find fault with it, and
once more when its turn comes.
"""

from typing import Annotated, Any, Literal, TypeGuard

import orjson
from pydantic import BaseModel, Field

from service.api.body import parse_object
from service.api.data_urls import DataUrls
from service.api.input_images import InputImages
from service.core.errors import InvalidRequest
from service.intake.draft import DRAFT_CONFIG, Draft, Metadata
from service.intake.fields import read_fields
from service.intake.lines import Drafted, ReadLine
from service.intake.spool import Spool
from service.settings import Limits

EDITS = "/v1/images/edits"
JOBS = "/v1/jobs"

_LONGEST_ID = 256
_DATA_URL = b'"data:'
_CustomId = Annotated[str, Field(min_length=1, max_length=_LONGEST_ID)]


class CallLine(BaseModel):
    """A line as OpenAI has them."""

    model_config = DRAFT_CONFIG

    custom_id: _CustomId
    method: Literal["POST"]
    url: str
    body: dict[str, Any]


class _Named(BaseModel):
    model_config = DRAFT_CONFIG

    custom_id: _CustomId | None


class CallDraft(Draft):
    """The body of a line as OpenAI has them: nobody waits for it, or sees it come."""

    response_format: Literal["url", "b64_json"] | None = None
    stream: bool | None = None
    partial_images: int | None = None
    safety_identifier: str | None = None


class BatchLine(Draft):
    """One line of a batch that comes line by line."""

    custom_id: _CustomId | None = None
    """What you call it, at most 256 characters; no other line may have it."""
    operation: Literal["generate", "edit", "variation"] | None = None
    """Unsaid, it is `edit` where there are images, and else `generate`."""
    metadata: Metadata | None = None
    """Your own notes: at most 16 pairs, of 64 and 512 characters."""
    response_format: Literal["url", "b64_json"] | None = None
    """A link, or besides the bytes as base64 in the line's result."""


class BatchLines:
    """Reads lines; a `LineReader`.

    Args:
        limits: `file_bytes`, of each image that stands in one.
        default_model: For those that name none; None: they must.
    """

    def __init__(self, limits: Limits, *, default_model: str | None) -> None:
        self._file_bytes, self._default_model = limits.file_bytes, default_model

    def read(self, data: bytes, *, endpoint: str, model: str | None) -> ReadLine:
        """Read what stands around the body.

        Args:
            data: The line.
            endpoint: Of the batch.
            model: For lines that name none.
        """
        custom_id = None
        try:
            fields = parse_object(data, what="the line")
            custom_id = _shown_id(fields)
            read = _read_job if endpoint == JOBS else _read_call
            body = read(fields, endpoint)
        except InvalidRequest as exc:
            return ReadLine(custom_id, None, exc)
        if body.get("model") is None and (model or self._default_model) is not None:
            body["model"] = model or self._default_model
        return ReadLine(custom_id, body)

    def write(
        self, custom_id: str | None, body: dict[str, Any], *, endpoint: str
    ) -> bytes:
        """Return a line that reads as `body` under that name."""
        if endpoint == JOBS:
            named = {} if custom_id is None else {"custom_id": custom_id}
            return orjson.dumps({**named, **body})
        call = {"custom_id": custom_id, "method": "POST", "url": endpoint, "body": body}
        return orjson.dumps(call)

    async def draft(
        self, body: dict[str, Any], *, endpoint: str, spool: Spool
    ) -> Drafted:
        """Return what the body of a line asks for; it stays as it is.

        Args:
            body: As `read` returned it.
            endpoint: Of the batch.
            spool: Holds the images that stand in it as `data:` URLs.

        Raises:
            InvalidRequest: A field is wrong.
            Unavailable: There is no room for the images.
        """
        fields, images = await self._with_images(body, spool), InputImages()
        images.take_from(fields)
        uploads = images.uploads()
        if endpoint == JOBS:
            line = read_fields(BatchLine, fields)
            operation = line.operation or ("edit" if uploads.images else "generate")
            _check(line)
            return Drafted(line, operation, uploads, line.metadata)
        call = read_fields(CallDraft, fields)
        _check(call)
        _check_nobody_watches(call)
        if call.safety_identifier is not None:
            call = call.model_copy(update={"user": call.safety_identifier})
        is_edit = endpoint == EDITS or uploads.images
        return Drafted(call, "edit" if is_edit else "generate", uploads, None)

    async def _with_images(self, body: dict[str, Any], spool: Spool) -> dict[str, Any]:
        """Return a copy in which a `Held` stands for each image given as data URL."""
        text = orjson.dumps(body)
        if _DATA_URL not in text:
            return dict(body)
        images = DataUrls(spool, most_bytes=self._file_bytes)
        await images.feed(text)
        return images.finish()


def wants_bytes(body: dict[str, Any]) -> bool:
    """Whether the images of such a line are to stand in its result."""
    return body.get("response_format") == "b64_json"


def _shown_id(fields: dict[str, Any]) -> str | None:
    """Return the name of a line that may be wrong in any way."""
    given = fields.get("custom_id")
    return given if _is_id(given) else None


def _is_id(given: object) -> TypeGuard[str]:
    return isinstance(given, str) and 0 < len(given) <= _LONGEST_ID


def _read_job(fields: dict[str, Any], _: str) -> dict[str, Any]:
    named = fields.pop("custom_id", None)
    if named is not None and not _is_id(named):
        read_fields(_Named, {"custom_id": named})
    return fields


def _read_call(fields: dict[str, Any], endpoint: str) -> dict[str, Any]:
    call = read_fields(CallLine, fields)
    if call.url != endpoint:
        raise InvalidRequest(
            f"url must be that of the batch, {endpoint}",
            code="invalid_enum",
            param="url",
        )
    return call.body


def _check(draft: Draft) -> None:
    if draft.cache:
        raise InvalidRequest(
            "a line of a batch is made anew: it has a place of its own",
            code="unsupported_field",
            param="cache",
        )


def _check_nobody_watches(call: CallDraft) -> None:
    for param in ("stream", "partial_images"):
        if getattr(call, param):
            raise InvalidRequest(
                f"{param} is for a caller who sees the images come",
                code="incompatible_options",
                param=param,
            )
