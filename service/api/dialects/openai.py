"""OpenAI's images API as its SDKs speak it: generations, edits and variations."""

from aiohttp import web

from service.api.answers import answer
from service.api.calls import CallDraft, make_images
from service.api.context import FRONT
from service.api.rendering import images_body
from service.api.submitting import read_submission

routes = web.RouteTableDef()

_BASE64_MODELS = ("gpt-image-", "chatgpt-image-")
"""SDKs read base64 from these without asking for it, and never a URL."""


@routes.post("/v1/images/generations")
async def generate(request: web.Request) -> web.StreamResponse:
    """Make images from text, or from images where some are sent along."""
    return await _made(request, None)


@routes.post("/v1/images/edits")
async def edit(request: web.Request) -> web.StreamResponse:
    """Make images from images and text."""
    return await _made(request, "edit")


@routes.post("/v1/images/variations")
async def vary(request: web.Request) -> web.StreamResponse:
    """Make images from an image alone."""
    return await _made(request, "variation")


async def _made(request: web.Request, operation: str | None) -> web.StreamResponse:
    key, draft, uploads = await read_submission(request, CallDraft)
    if operation is None:
        operation = "edit" if uploads.images else "generate"
    made = await make_images(
        request, draft, key=key, operation=operation, uploads=uploads
    )
    if isinstance(made, web.StreamResponse):
        return made
    inline = _wants_base64(draft)
    return answer(await images_body(request.app[FRONT], made, inline=inline))


def _wants_base64(draft: CallDraft) -> bool:
    if draft.response_format is not None:
        return draft.response_format != "url"
    return draft.model.startswith(_BASE64_MODELS)
