"""ImageRouter's unified endpoint: one handler at two addresses, images or none.

Its callers send fields that only some models know and expect the others to leave
them out, so here nothing is strict unless the caller says so.
"""

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from aiohttp import web
from pydantic import ConfigDict, model_validator

from service.api.answers import answer
from service.api.calls import CallDraft, make_images
from service.api.context import FRONT, TRACE
from service.api.problems import Problem
from service.api.rendering import images_body
from service.api.submitting import read_draft

routes = web.RouteTableDef()

_KINDS: Mapping[int, str] = {
    HTTPStatus.UNAUTHORIZED: "unauthorized",
    HTTPStatus.FORBIDDEN: "access_denied",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
}
_DEFAULTS = {
    "quality": "auto",
    "size": "auto",
    "response_format": "url",
    "output_format": "webp",
    "strict": False,
}
_TIMES = str.maketrans("X\u00d7*", "xxx")


class RouterDraft(CallDraft):
    """A draft with ImageRouter's defaults; null is unsaid, as in a form."""

    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _as_documented(cls, fields: dict[str, Any]) -> dict[str, Any]:
        said = {name: value for name, value in fields.items() if value is not None}
        if isinstance(size := said.get("size"), str):
            said["size"] = size.translate(_TIMES)
        if isinstance(output_format := said.get("output_format"), str):
            said["output_format"] = output_format.lower()
        return _DEFAULTS | said


@routes.post("/v1/openai/images/generations")
@routes.post("/v1/openai/images/edits")
async def make(request: web.Request) -> web.Response:
    """Make images from text, or from images where some are sent along."""
    request[TRACE].reworded = _reworded
    key, draft = await read_draft(request, RouterDraft)
    made = await make_images(request, draft, key=key)
    if isinstance(made, web.Response):
        return made
    inline = draft.response_format != "url"
    front = request.app[FRONT]
    return answer(await images_body(front, made, inline=inline, billing=True))


def _reworded(problem: Problem) -> Problem:
    status = problem.status
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return replace(problem, kind="internal_error")
    if problem.code == "unknown_model":
        status = HTTPStatus.BAD_REQUEST
    kind = _KINDS.get(status, "invalid_request_error")
    return replace(problem, status=status, kind=kind)
