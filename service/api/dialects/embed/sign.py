"""`POST /v1/embed/sign`: a link that shows one image and holds no key.

Nothing is made and nothing is charged before somebody opens it; then the key that
signed pays, once, and only while it is valid.
"""

import time
from datetime import UTC, datetime
from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, Field

from service.api.answers import answer
from service.api.auth import authenticated
from service.api.body import read_json
from service.api.context import FRONT
from service.core.embeds import Embed
from service.intake.draft import DRAFT_CONFIG
from service.intake.embeds import read_references, sign_embed
from service.intake.fields import read_fields

_MONTH_S, _YEAR_S = 2_592_000, 31_536_000


class SignDraft(BaseModel):
    """The image a link is to show, and for how long."""

    model_config = DRAFT_CONFIG

    model: str
    """Any name of a model that the catalog enables for embedding."""
    prompt: str
    """What to draw."""
    references: list[str] | None = None
    """Links to images to start from, at most sixteen."""
    expires_in_s: Annotated[int, Field(ge=1, le=_YEAR_S)] = _MONTH_S
    """Seconds until the link shows nothing any more."""


async def sign(request: web.Request) -> web.Response:
    """Sign a link on behalf of the key."""
    key, front = await authenticated(request), request.app[FRONT]
    own = front.settings.limits
    fields = await read_json(request, most_bytes=own.json_bytes, within_s=own.body_s)
    draft = read_fields(SignDraft, fields)
    embed = Embed(
        model=draft.model,
        prompt=draft.prompt,
        references=read_references(draft.references or []),
    )
    expires_s = int(time.time()) + draft.expires_in_s
    path = sign_embed(
        embed,
        key=key,
        catalog=front.catalog,
        secret=await front.backends.accounts.link_secret(),
        expires_at=datetime.fromtimestamp(expires_s, UTC),
    )
    return answer(
        {
            "object": "embed.link",
            "url": front.settings.base_url + path,
            "expires_at": expires_s,
            "key_id": key.id,
        }
    )
