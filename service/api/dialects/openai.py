"""`POST /v1/images/generations` as OpenAI's SDKs speak it."""

from aiohttp import web

from service.api.answers import answer
from service.api.calls import CallDraft, make_images
from service.api.context import FRONT
from service.api.rendering import images_body
from service.api.submitting import read_draft, refuse_unavailable
from service.core.errors import InvalidRequest

routes = web.RouteTableDef()

_BASE64_MODELS = ("gpt-image-", "chatgpt-image-")
"""SDKs read base64 from these without asking for it, and never a URL."""

_NOT_YET = ("stream", "partial_images")


@routes.post("/v1/images/generations")
async def generate(request: web.Request) -> web.Response:
    """Make images and wait for them, as long as both sides have patience."""
    key, draft = await read_draft(request, CallDraft)
    _refuse_unserved(draft)
    made = await make_images(request, draft, key=key)
    if isinstance(made, web.Response):
        return made
    inline = _wants_base64(draft)
    return answer(await images_body(request.app[FRONT], made, inline=inline))


def _refuse_unserved(draft: CallDraft) -> None:
    refuse_unavailable(draft, _NOT_YET)
    if draft.response_format == "b64_ephemeral":
        raise InvalidRequest(
            "b64_ephemeral is not available yet",
            code="unsupported_field",
            param="response_format",
        )


def _wants_base64(draft: CallDraft) -> bool:
    if draft.response_format is not None:
        return draft.response_format == "b64_json"
    return draft.model.startswith(_BASE64_MODELS)
