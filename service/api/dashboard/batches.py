"""Batches: all of them, and one with its pace, its failures and its images."""

import time
from typing import NamedTuple
from urllib.parse import quote

from aiohttp import web

from service.accounts import ApiKey, Scope
from service.api import limits
from service.api.batch_creation import begin_retry
from service.api.context import FRONT
from service.api.dashboard.advice import advice
from service.api.dashboard.batch_failures import Failures
from service.api.dashboard.batch_pace import curve_of, latest_of
from service.api.dashboard.forms import read_form_fields
from service.api.dashboard.frame import Pages, go
from service.api.dashboard.rendering import page
from service.api.downloads import send
from service.api.outputs import render
from service.api.serving import HARMLESS
from service.batches import Batch, BatchState, is_batch_id
from service.core.errors import FileNotFound
from service.files import FileKind
from service.files.records import file_id_of

pages = Pages(scope=Scope.GENERATE)
FAILURES = web.AppKey("failures", Failures)

_PER_PAGE = 20
_LOOKS = {
    BatchState.VALIDATING: ("queued", "checking lines"),
    BatchState.IN_PROGRESS: ("running", "running"),
    BatchState.CANCELLING: ("held", "canceling"),
    BatchState.EXPIRING: ("held", "expiring"),
    BatchState.COMPLETED: ("succeeded", "completed"),
    BatchState.CANCELLED: ("canceled", "canceled"),
}
_FILES = {"output": FileKind.OUTPUT, "error": FileKind.ERROR}


class Seen(NamedTuple):
    """A batch as pages show it; times are seconds since 1970.

    Attributes:
        kind: Its state's look.
        word: Its state's name.
        off: Lines that were called off, or had no time.
        left: Lines that are still to end.
        per_s: Images a second, from its beginning on.
        eta_s: When it will have ended, at that pace; None: nobody knows.
    """

    batch: Batch
    name: str
    kind: str
    word: str
    off: int
    left: int
    per_s: float
    eta_s: float | None
    created_s: float
    ended_s: float | None


@pages.get("/ui/batches")
async def show_batches(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """List the account's batches, newest first."""
    front, after = request.app[FRONT], request.query.get("after", "")
    found = await front.backends.batches.page(
        key.account, limit=_PER_PAGE, after=after if is_batch_id(after) else None
    )
    return page(
        request,
        "batches.html",
        key=key,
        part="list",
        batches=[seen(batch) for batch in found.batches],
        older=f"/ui/batches?after={found.batches[-1].id}" if found.more else None,
        is_first=not after,
    )


@pages.get("/ui/batches/{batch_id}")
async def show_batch(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Show one batch as it stands."""
    front, batch = request.app[FRONT], await _found(request, key)
    curve = await curve_of(front, batch)
    groups, is_whole = await request.app[FAILURES].of(front, batch)
    latest = await latest_of(front, batch)
    shown = seen(batch)
    if curve.now > 0 and not batch.state.is_final:
        left = shown.left * batch.images / max(1, batch.total - shown.left)
        shown = shown._replace(per_s=curve.now, eta_s=left / curve.now)
    return page(
        request,
        "batch.html",
        key=key,
        part="batch",
        seen=shown,
        batch=batch,
        curve=curve,
        groups=groups,
        is_whole=is_whole,
        can_retry=batch.state.is_final and batch.completed + batch.bad < batch.total,
        has_output=batch.completed > 0,
        has_errors=batch.failed + batch.canceled + batch.expired > 0,
        latest=[front.views.job(job) for job in latest],
        advice=advice,
    )


@pages.post("/ui/batches/{batch_id}/cancel")
async def cancel_batch(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Let nothing more of it begin."""
    batch_id = request.match_info["batch_id"]
    await request.app[FRONT].backends.batches.cancel(batch_id, account=key.account)
    return go(request, f"/ui/batches/{batch_id}")


@pages.post("/ui/batches/{batch_id}/retry")
async def retry_batch(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Begin another one of what it left undone, or of what failed with one code."""
    front, batch = request.app[FRONT], await _found(request, key)
    await limits.count(request, key)
    fields = await read_form_fields(request) if request.can_read_body else {}
    retry, _ = await begin_retry(front, key, batch, code=fields.get("code"))
    return go(request, f"/ui/batches/{retry.id}")


@pages.get("/ui/batches/{batch_id}/{kind:output|error}.jsonl")
async def get_results(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Send the results that there are, as `/v1/files/{file_id}/content` would."""
    front, batch = request.app[FRONT], await _found(request, key)
    kind = request.match_info["kind"]
    file = await front.backends.files.get(
        file_id_of(batch.id, _FILES[kind]), account=key.account
    )
    if file.batch != batch.id:
        raise FileNotFound("no such file")
    name = quote(f"{batch.id}_{kind}.jsonl")
    headers = {
        **HARMLESS,
        "Content-Type": "application/jsonl",
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        "Cache-Control": "private, no-store",
    }
    return await send(request, render(front, file), headers=headers, size=None)


def seen(batch: Batch) -> Seen:
    """Return a batch as pages show it."""
    ended = batch.completed + batch.failed + batch.canceled + batch.expired
    left = max(0, batch.total - ended)
    kind, word = _look(batch)
    until = time.time() if batch.ended_at is None else batch.ended_at.timestamp()
    begun = batch.in_progress_at
    took_s = 0.0 if begun is None else max(0.001, until - begun.timestamp())
    knows = bool(took_s and ended and not batch.state.is_final)
    return Seen(
        batch=batch,
        name=batch.metadata.get("file") or batch.metadata.get("name") or "",
        kind=kind,
        word=word,
        off=batch.canceled + batch.expired,
        left=left,
        per_s=batch.images / took_s if took_s else 0.0,
        eta_s=left * took_s / ended if knows else None,
        created_s=batch.created_at.timestamp(),
        ended_s=None if batch.ended_at is None else batch.ended_at.timestamp(),
    )


def _look(batch: Batch) -> tuple[str, str]:
    if batch.state is BatchState.COMPLETED and batch.failed:
        return "warning", "completed"
    return _LOOKS.get(batch.state, (batch.state.value, batch.state.value))


async def _found(request: web.Request, key: ApiKey) -> Batch:
    return await request.app[FRONT].backends.batches.get(
        request.match_info["batch_id"], account=key.account
    )
