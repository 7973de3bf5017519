"""How batches begin: from a file, from lines in the body, from what another left."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from aiohttp import web

from service.accounts import ApiKey
from service.api import limits
from service.api.answers import answer
from service.api.auth import authorized
from service.api.batch_drafts import BatchDraft, duration_of, hash_of, read_options
from service.api.batch_lines import JOBS, written
from service.api.batch_results import Result, results
from service.api.body import NDJSON, media_type, read_json
from service.api.context import FRONT, Front
from service.api.ndjson import lines_of
from service.api.problems import Problem, Refused
from service.api.wishes import idempotency_name, refuse_unknown, sdk_retry
from service.batch_views import shown_batch
from service.batches import Batch, BatchKind, NewBatch
from service.core.errors import InvalidRequest, NotFinished
from service.core.jobs import JobState
from service.files import FileKind, Line
from service.intake.fields import read_fields
from service.webhooks.wishes import webhook_of

routes = web.RouteTableDef()

_PURPOSE = "batch"
_RETRIED_WITHIN = timedelta(minutes=10)
_LOOKED_AT = 20
_NOTHING = Problem(
    status=HTTPStatus.CONFLICT,
    code="nothing_failed",
    message="every sound line of the batch has its images",
)


@routes.post("/v1/batches")
async def create_batch(request: web.Request) -> web.Response:
    """Create a batch of the lines of a file, or of those in the body."""
    key = await authorized(request)
    await limits.count(request, key)
    if media_type(request) in NDJSON:
        return await _from_lines(request, key)
    return await _from_file(request, key)


@routes.post("/v1/batches/{batch_id}/retry-failed")
async def retry_failed(request: web.Request) -> web.Response:
    """Create a batch of those lines of an ended one that made no image."""
    key = await authorized(request)
    await limits.count(request, key)
    front, batch_id = request.app[FRONT], request.match_info["batch_id"]
    batch = await front.backends.batches.get(batch_id, account=key.account)
    if not batch.state.is_final:
        raise NotFinished("the batch goes on; wait for its end, or cancel it")
    if batch.completed + batch.bad >= batch.total:
        raise Refused(_NOTHING)
    new = NewBatch(
        account=key.account,
        key_id=key.id,
        kind=BatchKind.NATIVE,
        endpoint=batch.endpoint,
        expires_after=duration_of(batch.completion_window),
        completion_window=batch.completion_window,
        metadata=batch.metadata,
        webhook=batch.webhook,
        output_life=batch.output_life,
        retry_of=batch.id,
        name=idempotency_name(request),
        content_hash=hash_of("retry", batch.id),
    )
    retry, joined = await front.backends.batches.begin(new)
    if not joined:
        lines = _failed_lines(front, batch)
        retry = await front.acceptance.take(retry, lines, key=key, model=None)
    return _answered(front, retry, joined=joined, status=HTTPStatus.ACCEPTED)


async def _from_file(request: web.Request, key: ApiKey) -> web.Response:
    refuse_unknown(request)
    front = request.app[FRONT]
    own = front.settings.limits
    fields = await read_json(request, most_bytes=own.json_bytes, within_s=own.body_s)
    draft = read_fields(BatchDraft, fields)
    await _check_file(front, draft.input_file_id, key)
    life, told = draft.output_expires_after, draft.webhook
    new = NewBatch(
        account=key.account,
        key_id=key.id,
        kind=BatchKind.OPENAI,
        endpoint=draft.endpoint,
        expires_after=duration_of(draft.completion_window),
        completion_window=draft.completion_window,
        input_file_id=draft.input_file_id,
        metadata=draft.metadata or {},
        webhook=None if told is None else webhook_of(told, front.urls, about="batch"),
        output_life=None if life is None else timedelta(seconds=life.seconds),
        name=idempotency_name(request),
        content_hash=hash_of(fields),
    )
    if new.name is None and sdk_retry(request):
        earlier = await _earlier(front, new)
        if earlier is not None:
            return _answered(front, earlier, joined=True)
    batch, joined = await front.backends.batches.begin(new)
    return _answered(front, batch, joined=joined)


async def _from_lines(request: web.Request, key: ApiKey) -> web.Response:
    options, front = read_options(request), request.app[FRONT]
    told = options.webhook
    new = NewBatch(
        account=key.account,
        key_id=key.id,
        kind=BatchKind.NATIVE,
        endpoint=JOBS,
        expires_after=duration_of(options.window, param="window_s"),
        completion_window=options.window,
        metadata=options.metadata,
        webhook=None if told is None else webhook_of(told, front.urls, about="batch"),
        name=idempotency_name(request),
        content_hash=hash_of(sorted(request.query.items())),
    )
    lines = lines_of(request, limits=front.settings.limits)
    with front.uploads.taken_by(key.account):
        batch, joined = await front.backends.batches.begin(new)
        if joined:
            await front.acceptance.check_same(batch, lines)
        else:
            batch = await front.acceptance.take(
                batch, lines, key=key, model=options.model
            )
    return _answered(front, batch, joined=joined, status=HTTPStatus.ACCEPTED)


async def _check_file(front: Front, file_id: str, key: ApiKey) -> None:
    file = await front.backends.files.get(file_id, account=key.account)
    if file.kind is not FileKind.UPLOAD or file.purpose != _PURPOSE:
        raise InvalidRequest(
            f"the file must have been uploaded with purpose {_PURPOSE}",
            code="incompatible_options",
            param="input_file_id",
        )


async def _earlier(front: Front, new: NewBatch) -> Batch | None:
    """Return the batch that the first try of an SDK's call made, if it did.

    SDKs send no name for it; without this a lost answer would buy everything twice.
    """
    page = await front.backends.batches.page(new.account, limit=_LOOKED_AT)
    since = datetime.now(UTC) - _RETRIED_WITHIN
    said = ("input_file_id", "endpoint", "completion_window", "metadata", "key_id")
    for batch in page.batches:
        if all(getattr(batch, name) == getattr(new, name) for name in said):
            return batch if batch.created_at > since else None
    return None


async def _failed_lines(front: Front, batch: Batch) -> AsyncIterator[Line]:
    number = 0
    async for found in results(front, batch):
        for result in found:
            if _is_to_repeat(result):
                number += 1
                stored = result.stored
                body = stored.body or {}
                data = written(stored.custom_id, body, endpoint=batch.endpoint)
                yield Line(number, data)


def _is_to_repeat(result: Result) -> bool:
    if result.stored.body is None or result.was_deleted:
        return False
    return result.job is None or result.job.state is not JobState.SUCCEEDED


def _answered(
    front: Front, batch: Batch, *, joined: bool, status: int = HTTPStatus.OK
) -> web.Response:
    view = shown_batch(batch, base_url=front.settings.base_url)
    headers = {"Location": view["links"]["self"]}
    if joined:
        headers["Idempotent-Replayed"] = "true"
    return answer(view, status=status, headers=headers)
