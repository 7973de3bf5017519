"""A new batch: a sheet of prompts, what it comes to, and only then the start.

What was read lies in the store as a file of the account's, as `POST /v1/files` would
keep it; starting begins a batch from that file, as `POST /v1/batches` would.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from aiohttp import web

from service.accounts import ApiKey, Scope
from service.api import limits
from service.api.batch_drafts import duration_of, hash_of
from service.api.body import Body
from service.api.context import FRONT, TRACE
from service.api.dashboard.batch_sheet import ENDPOINT, Sheet, read_sheet
from service.api.dashboard.forms import read_form_fields
from service.api.dashboard.frame import Pages, go
from service.api.dashboard.models import choices
from service.api.dashboard.playground import RATIOS
from service.api.dashboard.rendering import page
from service.api.form_fields import FormFields
from service.api.multipart import events_in
from service.api.parts import PartHead
from service.api.problems import problem_of
from service.batches import BatchKind, NewBatch
from service.core.errors import InvalidRequest, ServiceError
from service.core.sizing import Size, nearest_ratio
from service.files import Terms

pages = Pages(scope=Scope.GENERATE)

_MOST_BYTES = 16 * 2**20
_WINDOWS = ("24h", "3d", "7d")
_OPTIONS = ("model", "n", "aspect_ratio", "output_format")
_FIRST = {"model": "", "n": "1", "aspect_ratio": "", "output_format": "png"}
_LONGEST_NAME = 120


class _Form(NamedTuple):
    fields: dict[str, str]
    content: bytes
    filename: str


@pages.get("/ui/batches/new")
async def show_form(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Show the form, filled in as the job that `?job=` names."""
    wish = dict(_FIRST)
    if job_id := request.query.get("job"):
        jobs = request.app[FRONT].backends.jobs
        asked = (await jobs.get(job_id, account=key.account)).request
        wish |= {"model": asked.model, "n": str(asked.n)}
        wish |= {"output_format": asked.output_format, "prompts": asked.prompt}
        if asked.requested_size is not None:
            size = Size(asked.width, asked.height)
            wish["aspect_ratio"] = nearest_ratio(size, RATIOS) or ""
    return await _page(request, key, wish=wish)


@pages.post("/ui/batches/new")
async def look_at_sheet(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Show what the sheet comes to; nothing begins."""
    front, wish = request.app[FRONT], dict(_FIRST)
    try:
        with front.uploads.taken_by(key.account):
            form = await _read(request)
            wish |= form.fields
            sheet = await read_sheet(
                front,
                key,
                form.content,
                filename=form.filename,
                options=_options(form.fields),
            )
            if not sheet.total and not sheet.left_out:
                raise InvalidRequest("there are no prompts in it", code="empty_file")
            name = form.filename or "pasted.jsonl"
            file_id = await _kept(request, key, sheet, name) if sheet.total else ""
    except ServiceError as exc:
        problem = problem_of(exc)
        if problem is None:
            raise
        request[TRACE].code = exc.code
        return await _page(
            request, key, wish=wish, status=problem.status, wrong=problem
        )
    return await _page(
        request, key, wish=wish, sheet=sheet, file_id=file_id, filename=name
    )


@pages.post("/ui/batches")
async def start_batch(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Begin the batch of a sheet that was looked at; twice begins one."""
    await limits.count(request, key)
    front, fields = request.app[FRONT], await read_form_fields(request)
    file_id, window = fields.get("file", ""), fields.get("window", _WINDOWS[0])
    file = await front.backends.files.get(file_id, account=key.account)
    new = NewBatch(
        account=key.account,
        key_id=key.id,
        kind=BatchKind.OPENAI,
        endpoint=ENDPOINT,
        expires_after=duration_of(window),
        completion_window=window,
        input_file_id=file.id,
        metadata={"file": file.filename},
        name=f"dashboard-{file.id}",
        content_hash=hash_of(file.id, window),
    )
    batch, _ = await front.backends.batches.begin(new)
    return go(request, f"/ui/batches/{batch.id}")


async def _page(
    request: web.Request, key: ApiKey, *, wish: dict[str, str], **about: Any
) -> web.Response:
    models = await choices(request.app[FRONT], key)
    default = request.app[FRONT].settings.default_model
    model = wish["model"] or default or (models[0].name if models else "")
    return page(
        request,
        "batch_new.html",
        key=key,
        part="sheet",
        models=models,
        ratios=RATIOS,
        windows=_WINDOWS,
        wish={"prompts": "", **wish, "model": model},
        **{"wrong": None, "sheet": None, "file_id": "", "filename": "", **about},
    )


async def _kept(request: web.Request, key: ApiKey, sheet: Sheet, filename: str) -> str:
    """Keep the sheet's lines for a day; return the id of the file."""
    terms = Terms(
        account=key.account,
        filename=filename,
        purpose="batch",
        expires_after=duration_of("1d"),
    )
    async with request.app[FRONT].backends.files.writing() as writing:
        await writing.add(sheet.content)
        return (await writing.keep(terms)).file_id


def _options(fields: Mapping[str, str]) -> dict[str, Any]:
    """Return what all lines ask for, as the API's JSON has it."""
    options: dict[str, Any] = {n: fields[n] for n in _OPTIONS if fields.get(n)}
    if "n" in options:
        if not options["n"].isascii() or not options["n"].isdigit():
            raise InvalidRequest(
                "n must be a whole number", code="invalid_n", param="n"
            )
        options["n"] = int(options["n"])
    return options


async def _read(request: web.Request) -> _Form:
    """Read the form with its sheet, which may be a file or pasted text."""
    own = request.app[FRONT].settings.limits
    body = Body(
        request,
        most_bytes=_MOST_BYTES,
        within_s=own.body_s,
        bytes_per_s=own.upload_bytes_per_s,
    )
    texts, content, filename = FormFields(most_bytes=_MOST_BYTES), bytearray(), ""
    is_file = False
    async for event in events_in(request, body):
        if isinstance(event, PartHead):
            texts.begin(event.name)
            is_file = event.is_file
            filename = event.filename if is_file else filename
        elif isinstance(event, bytes) and is_file:
            content += event
        elif isinstance(event, bytes):
            texts.more(event)
        elif not is_file:
            texts.put()
    fields = {n: v.replace("\r\n", "\n") for n, v in texts.values.items()}
    if content:
        return _Form(fields | {"prompts": ""}, bytes(content), _harmless(filename))
    return _Form(fields, fields.get("prompts", "").encode(), "")


def _harmless(filename: str) -> str:
    """Return the name as it may be shown; it begins no path."""
    name = filename.replace("\\", "/").rpartition("/")[2]
    shown = "".join(character for character in name if character.isprintable())
    return shown.strip()[-_LONGEST_NAME:] or "sheet.txt"
