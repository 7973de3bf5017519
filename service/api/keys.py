"""`/v1/keys`: operators make keys, see whose there are, and revoke them.

A secret is in the answer that makes its key, and nowhere else; so a repeat of that
call cannot be given it again, and makes another key.
"""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

import structlog
from aiohttp import web
from pydantic import BaseModel, Field

from service.accounts import ApiKey, Grant, Scope
from service.api.answers import answer
from service.api.auth import operating
from service.api.body import read_json
from service.api.context import FRONT
from service.api.wishes import refuse_unknown
from service.core.catalog import Catalog
from service.core.errors import InvalidRequest, NotFound
from service.core.retries import OnAmbiguous
from service.intake.draft import DRAFT_CONFIG
from service.intake.fields import read_fields

log = structlog.get_logger()

routes = web.RouteTableDef()

_Limit = Annotated[int, Field(ge=1, le=2**53)]
_SECRET = {"Cache-Control": "no-store"}


class KeyDraft(BaseModel):
    """The body of `POST /v1/keys`; a limit that is unsaid is that of the settings."""

    model_config = DRAFT_CONFIG

    account: Annotated[str, Field(min_length=1, max_length=64)]
    """Who owns the key, its jobs and its quota: letters, digits, dots, dashes and
    underscores, the first a letter or digit."""
    scopes: Annotated[
        list[Literal["generate", "embed", "admin"]], Field(min_length=1, max_length=3)
    ] = ["generate"]
    """What it is for; only one with `embed` works inside a URL."""
    requests_per_minute: _Limit | None = None
    """Submissions."""
    queued_jobs: _Limit | None = None
    """Most unfinished jobs."""
    running_jobs: _Limit | None = None
    """Most jobs in work at once; the others wait."""
    quota_units: Annotated[int, Field(ge=0, le=2**53)] | None = None
    """Units per calendar month (UTC)."""
    models: Annotated[list[str], Field(min_length=1, max_length=1000)] | None = None
    """Models it may ask for; unsaid, all."""
    weight: _Limit = 1
    """The account's share of the fleet next to others."""
    on_ambiguous: Literal["retry", "fail", "hold"] = "retry"
    """What to do where nobody knows whether images were bought."""
    expires_at: Annotated[int, Field(ge=0, le=253_402_300_799)] | None = None
    """Unix seconds; refused from then on."""


@routes.post("/v1/keys")
async def create_key(request: web.Request) -> web.Response:
    """Make a key, and show its secret, this once."""
    own = await operating(request)
    front = request.app[FRONT]
    limits = front.settings.limits
    fields = await read_json(
        request, most_bytes=limits.json_bytes, within_s=limits.body_s
    )
    grant = grant_of(read_fields(KeyDraft, fields), front.catalog)
    key, secret = await front.backends.accounts.create(grant)
    log.info("key.created", key_id=key.id, account=key.account, by=own.id)
    body = {**key_object(key), "key": secret}
    return answer(body, status=HTTPStatus.CREATED, headers=_SECRET)


@routes.get("/v1/keys")
async def list_keys(request: web.Request) -> web.Response:
    """Answer with all keys of all accounts, oldest first."""
    await operating(request)
    refuse_unknown(request)
    keys = await request.app[FRONT].backends.accounts.list()
    return answer({"object": "list", "data": [key_object(key) for key in keys]})


@routes.post("/v1/keys/{key_id}/revoke")
async def revoke_key(request: web.Request) -> web.Response:
    """Refuse a key from now on, within five seconds; twice is the same as once."""
    own = await operating(request)
    key = await request.app[FRONT].backends.accounts.revoke(
        request.match_info["key_id"]
    )
    if key is None:
        raise NotFound("no such key")
    log.info("key.revoked", key_id=key.id, account=key.account, by=own.id)
    return answer(key_object(key))


def grant_of(draft: KeyDraft, catalog: Catalog) -> Grant:
    """Return what the draft grants, its models by their canonical names.

    Raises:
        UnknownModel: The catalog has no model of a name.
        InvalidRequest: It cannot be granted.
    """
    models, expires_at = draft.models, draft.expires_at
    try:
        return Grant(
            account=draft.account,
            scopes=frozenset(map(Scope, draft.scopes)),
            requests_per_minute=draft.requests_per_minute,
            queued_jobs=draft.queued_jobs,
            running_jobs=draft.running_jobs,
            quota_units=draft.quota_units,
            models=None
            if models is None
            else frozenset(catalog.model(name).name for name in models),
            weight=draft.weight,
            on_ambiguous=OnAmbiguous(draft.on_ambiguous),
            expires_at=None
            if expires_at is None
            else datetime.fromtimestamp(expires_at, UTC),
        )
    except ValueError as exc:
        raise InvalidRequest(str(exc), code="out_of_range", param="account") from exc


def key_object(key: ApiKey) -> dict[str, Any]:
    """Return a key without its secret, which nobody knows; times are Unix seconds."""
    return {
        "id": key.id,
        "object": "key",
        "account": key.account,
        "scopes": sorted(key.scopes),
        "requests_per_minute": key.requests_per_minute,
        "queued_jobs": key.queued_jobs,
        "running_jobs": key.running_jobs,
        "quota_units": key.quota_units,
        "models": None if key.models is None else sorted(key.models),
        "weight": key.weight,
        "on_ambiguous": key.on_ambiguous.value,
        "created_at": int(key.created_at.timestamp()),
        "expires_at": _seconds(key.expires_at),
        "revoked_at": _seconds(key.revoked_at),
    }


def _seconds(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp())
