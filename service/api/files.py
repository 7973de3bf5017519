"""`/v1/files`: OpenAI's resource; the content of uploads, and of what batches made."""

from datetime import timedelta
from typing import Annotated, Any, Literal
from urllib.parse import quote

from aiohttp import web
from pydantic import BaseModel, Field

from service.api import limits
from service.api.answers import answer
from service.api.auth import authorized
from service.api.body import FORM, media_type
from service.api.context import FRONT, TRACE
from service.api.downloads import send
from service.api.large_forms import read_large_form
from service.api.listing import bad_cursor, page_of, read_limit
from service.api.outputs import render
from service.api.serving import HARMLESS
from service.api.wishes import idempotency_name, refuse_unknown
from service.core.errors import FileNotFound, InvalidRequest
from service.files import File, FileKind, Order, Terms
from service.intake.draft import DRAFT_CONFIG
from service.intake.fields import read_fields

routes = web.RouteTableDef()

MOST_UPLOADS = 16
"""Of an account, on their way to one front door: each holds some megabytes."""
MOST_LISTED = 10_000

_LEAST_S, _MOST_S = 3600, 30 * 86_400
_USUAL_LIFE = {"batch": timedelta(days=30)}
_TYPES = {FileKind.UPLOAD: "application/octet-stream"}
_LINES = "application/jsonl"


class ExpiresAfter(BaseModel):
    """When a file is to be gone."""

    model_config = DRAFT_CONFIG

    anchor: Literal["created_at"]
    """From when on the seconds count."""
    seconds: Annotated[int, Field(ge=_LEAST_S, le=_MOST_S)]
    """An hour to thirty days."""


class FileDraft(BaseModel):
    """What a form says of its file."""

    model_config = DRAFT_CONFIG

    purpose: Literal["batch", "vision", "user_data"]
    """`batch` for lines that `POST /v1/batches` is to run; it is gone after thirty
    days. The others stay until they are deleted."""
    expires_after: ExpiresAfter | None = None
    """When it is to be gone instead."""

    @property
    def life(self) -> timedelta | None:
        """How long the file is kept; None: until it is deleted."""
        if self.expires_after is None:
            return _USUAL_LIFE.get(self.purpose)
        return timedelta(seconds=self.expires_after.seconds)


@routes.post("/v1/files")
async def upload_file(request: web.Request) -> web.Response:
    """Take a file in, while it comes."""
    key = await authorized(request)
    await limits.count(request, key)
    if media_type(request) != FORM:
        raise InvalidRequest(
            f"Content-Type must be {FORM}", code="unsupported_media_type"
        )
    name, front = idempotency_name(request), request.app[FRONT]
    files = front.backends.files
    with front.uploads.taken_by(key.account):
        async with files.writing() as writing:
            form = await read_large_form(request, writing, limits=front.settings.limits)
            draft = read_fields(FileDraft, form.fields, text=True)
            terms = Terms(
                account=key.account,
                filename=form.filename,
                purpose=draft.purpose,
                expires_after=draft.life,
                name=name,
            )
            kept = await writing.keep(terms)
    if kept.joined:
        request[TRACE].headers["Idempotent-Replayed"] = "true"
    return answer(_shown(await files.get(kept.file_id, account=key.account)))


@routes.get("/v1/files")
async def list_files(request: web.Request) -> web.Response:
    """Answer with a page of the account's files, newest first."""
    key = await authorized(request)
    refuse_unknown(request, "after", "limit", "order", "purpose")
    given = request.query.get("limit")
    try:
        page = await request.app[FRONT].backends.files.page(
            key.account,
            limit=read_limit(given, usual=MOST_LISTED, most=MOST_LISTED),
            after=request.query.get("after"),
            order=_order(request),
            purpose=request.query.get("purpose"),
        )
    except FileNotFound as exc:
        raise bad_cursor("file") from exc
    shown = (_shown(file) for file in page.files)
    return answer(page_of(shown, more=page.more))


@routes.get("/v1/files/{file_id}")
async def get_file(request: web.Request) -> web.Response:
    """Answer with what is known of a file."""
    return answer(_shown(await _found(request)))


@routes.delete("/v1/files/{file_id}")
async def delete_file(request: web.Request) -> web.Response:
    """Delete a file; nobody finds it from then on."""
    key = await authorized(request)
    file_id = request.match_info["file_id"]
    await request.app[FRONT].backends.files.delete(file_id, account=key.account)
    return answer({"id": file_id, "object": "file", "deleted": True})


@routes.get("/v1/files/{file_id}/content")
async def get_content(request: web.Request) -> web.StreamResponse:
    """Send a file's content, while it is read or written out."""
    file, front = await _found(request), request.app[FRONT]
    headers = {
        **HARMLESS,
        "Content-Type": _TYPES.get(file.kind, _LINES),
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.filename)}",
        "Cache-Control": "private, no-store",
    }
    if file.kind is FileKind.UPLOAD:
        pieces = front.backends.files.read(file)
        return await send(request, pieces, headers=headers, size=file.size_bytes)
    pieces = render(front, file)
    return await send(request, pieces, headers=headers, size=None)


async def _found(request: web.Request) -> File:
    key = await authorized(request)
    refuse_unknown(request)
    return await request.app[FRONT].backends.files.get(
        request.match_info["file_id"], account=key.account
    )


def _order(request: web.Request) -> Order:
    match request.query.get("order", "desc"):
        case "asc":
            return "asc"
        case "desc":
            return "desc"
    raise InvalidRequest(
        "order must be asc or desc", code="invalid_enum", param="order"
    )


def _shown(file: File) -> dict[str, Any]:
    expires_at = file.expires_at
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.size_bytes,
        "created_at": int(file.created_at.timestamp()),
        "expires_at": None if expires_at is None else int(expires_at.timestamp()),
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
    }
