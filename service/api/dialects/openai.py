"""OpenAI's images API as its SDKs speak it: generations, edits and variations."""

from aiohttp import web

from service.api.answers import answer
from service.api.calls import CallDraft, make_images
from service.api.context import FRONT
from service.api.rendering import images_body
from service.api.submitting import read_submission

routes = web.RouteTableDef()

_EDITS = "/v1/images/edits"
_BASE64_MODELS = ("gpt-image-", "chatgpt-image-")
"""SDKs read base64 from these without asking for it, and never a URL."""
_LINKED_EDITS = "dall-e-2"
"""The one model whose edits SDKs read by URL where they ask for nothing."""


@routes.post("/v1/images/generations")
async def generate(request: web.Request) -> web.StreamResponse:
    """Make images from text, or from images where some are sent along."""
    return await _made(request, None)


@routes.post(_EDITS)
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
    inline = _wants_base64(request, draft)
    made = await make_images(
        request, draft, key=key, operation=operation, uploads=uploads
    )
    if isinstance(made, web.StreamResponse):
        return made
    return answer(await images_body(request.app[FRONT], made, inline=inline))


def _wants_base64(request: web.Request, draft: CallDraft) -> bool:
    """Whether the images are to stand inline; unsaid, as SDKs of OpenAI read them.

    Of text alone, the name that was asked for decides: behind an alias of the
    operator's own any model may stand, and whoever asks for it expects links.
    """
    if draft.response_format is not None:
        return draft.response_format != "url"
    if request.path == _EDITS:
        routes = request.app[FRONT].catalog.model(draft.model).routes
        return not all(_bare(one.provider_model) == _LINKED_EDITS for one in routes)
    return _bare(draft.model).startswith(_BASE64_MODELS)


def _bare(name: str) -> str:
    return name.rpartition("/")[2]
