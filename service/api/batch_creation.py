"""How batches begin: from a file, from lines in the body, from what another left."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from aiohttp import web

from service.accounts import ApiKey
from service.api import limits
from service.api.answers import answer
from service.api.auth import authorized
from service.api.batch_drafts import BatchDraft, duration_of, hash_of, read_options
from service.api.batch_lines import JOBS
from service.api.body import JSON, NDJSON, media_type, read_json
from service.api.context import FRONT, Front
from service.api.ndjson import lines_of
from service.api.problems import Problem, Refused
from service.api.wishes import idempotency_name, refuse_unknown, sdk_retry
from service.batch_views import shown_batch
from service.batches import Batch, BatchKind, BatchState, Begun, NewBatch
from service.core.errors import InvalidRequest, NotFinished
from service.files import FileKind
from service.intake.fields import read_fields
from service.webhooks.wishes import webhook_of

routes = web.RouteTableDef()

_PURPOSE = "batch"
_RETRIED_WITHIN = timedelta(minutes=10)
_LOOKED_AT = 20
_LOOKED_THROUGH = 1000
_NOTHING = Problem(
    status=HTTPStatus.CONFLICT,
    code="nothing_failed",
    message="no sound line of the batch is without its images, "
    "but for those whose jobs were deleted",
)
_UNREAD = Problem(
    status=HTTPStatus.CONFLICT,
    code="nothing_failed",
    message="the lines of the batch never all came, so none is kept; send them again",
)


@routes.post("/v1/batches")
async def create_batch(request: web.Request) -> web.Response:
    """Create a batch of the lines of a file, or of those in the body."""
    key = await authorized(request)
    await limits.count(request, key)
    given = media_type(request)
    if given in NDJSON:
        return await _from_lines(request, key)
    if given != JSON:
        raise InvalidRequest(
            f"Content-Type must be {JSON}, or application/x-ndjson where the body "
            "holds the lines",
            code="unsupported_media_type",
        )
    return await _from_file(request, key)


@routes.post("/v1/batches/{batch_id}/retry-failed")
async def retry_failed(request: web.Request) -> web.Response:
    """Create a batch of those lines of an ended one that made no image."""
    key = await authorized(request)
    await limits.count(request, key)
    refuse_unknown(request, "code")
    front, code = request.app[FRONT], request.query.get("code")
    batch = await front.backends.batches.get(
        request.match_info["batch_id"], account=key.account
    )
    name = idempotency_name(request)
    retry, joined = await begin_retry(front, key, batch, code=code, name=name)
    return _answered(front, retry, joined=joined, status=HTTPStatus.ACCEPTED)


async def begin_retry(
    front: Front,
    key: ApiKey,
    batch: Batch,
    *,
    code: str | None = None,
    name: str | None = None,
) -> Begun:
    """Begin a batch of what an ended one left undone.

    Args:
        front: Where.
        key: Who asks.
        batch: Which has ended.
        code: Only lines that failed with it; None: all.
        name: The caller's, so that a repeat begins nothing.

    Raises:
        NotFinished: It goes on.
        Refused: There is nothing to repeat.
        IdempotencyMismatch: The name was used for something else.
    """
    if not batch.state.is_final:
        raise NotFinished("the batch goes on; wait for its end, or cancel it")
    new = NewBatch(
        account=key.account,
        key_id=key.id,
        endpoint=batch.endpoint,
        expires_after=duration_of(batch.completion_window),
        completion_window=batch.completion_window,
        metadata=batch.metadata,
        webhook=batch.webhook,
        output_life=batch.output_life,
        name=name,
        content_hash=hash_of("retry", batch.id, *([] if code is None else [code])),
        **await _source(front, batch, key, code),
    )
    return await front.backends.batches.begin(new)


async def _source(
    front: Front, batch: Batch, key: ApiKey, code: str | None
) -> dict[str, Any]:
    """Return where the lines of a batch that repeats this one are.

    Raises:
        Refused: There are none.
    """
    if not batch.digest and batch.state is not BatchState.FAILED:  # nobody read them
        if batch.input_file_id is not None:
            await _check_file(front, batch.input_file_id, key)
            file = {"input_file_id": batch.input_file_id}
            return {"kind": BatchKind.OPENAI, "retry_of": batch.id, **file}
        if batch.kind is BatchKind.RETRY:
            again = {"retry_of": batch.retry_of, "retry_code": batch.retry_code}
            return {"kind": BatchKind.RETRY, **again}
        raise Refused(_UNREAD)
    if not await _may_have_failed(front, batch, code):
        raise Refused(_NOTHING)
    return {"kind": BatchKind.RETRY, "retry_of": batch.id, "retry_code": code}


async def _may_have_failed(front: Front, batch: Batch, code: str | None) -> bool:
    """Whether lines are to be repeated; of many, whoever reads them finds it out."""
    if batch.completed + batch.bad >= batch.total:
        return False
    if batch.total > _LOOKED_THROUGH:
        return True
    async for _ in front.acceptance.left_undone(batch, code=code):
        return True
    return False


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
            await front.backends.jobs.vouch()
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


def _answered(
    front: Front, batch: Batch, *, joined: bool, status: int = HTTPStatus.OK
) -> web.Response:
    view = shown_batch(batch, base_url=front.settings.base_url)
    headers = {"Location": view["links"]["self"]}
    if joined:
        headers["Idempotent-Replayed"] = "true"
    return answer(view, status=status, headers=headers)
