"""`POST /v1/chat/completions` for images, as rout.my and OpenRouter speak it.

A chat is one request for images: what is asked for last. There are no words to be had.
"""

import functools
from dataclasses import replace

from aiohttp import web

from service.api import limits
from service.api.answers import answer
from service.api.auth import authorized
from service.api.calls import make_images
from service.api.context import FRONT, TRACE
from service.api.dialects.chat.answers import ChatEvents, completion
from service.api.dialects.chat.draft import ChatDraft
from service.api.dialects.chat.request import read_chat
from service.api.problems import Problem
from service.api.submitting import read_object
from service.intake.fields import read_fields

routes = web.RouteTableDef()

_OURS = frozenset({"prompt", "image"})


@routes.post("/v1/chat/completions")
async def complete(request: web.Request) -> web.StreamResponse:
    """Make the images that the last message asks for."""
    front = request.app[FRONT]
    key = await authorized(request)
    await limits.count(request, key)
    chat = read_fields(ChatDraft, await read_object(request))
    asked = read_chat(chat, front.catalog.model(chat.model))
    request[TRACE].reworded = _as_chat
    made = await make_images(
        request,
        asked.draft,
        key=key,
        operation="edit" if asked.uploads.images else "generate",
        uploads=asked.uploads,
        stream_words=functools.partial(
            ChatEvents,
            model=chat.model,
            notes=asked.notes,
            tells_usage=chat.tells_usage,
        ),
    )
    if isinstance(made, web.StreamResponse):
        return made
    body = await completion(
        front, made.job, made.accepted, model=chat.model, notes=asked.notes
    )
    return answer(body)


def _as_chat(problem: Problem) -> Problem:
    """Name the field that the caller wrote, not the one that we made of it."""
    return replace(problem, param="messages") if problem.param in _OURS else problem
