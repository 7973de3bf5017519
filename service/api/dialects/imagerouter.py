"""ImageRouter's unified endpoint: one handler at two addresses, images or none.

Its callers send fields that only some models know and expect the others to leave
them out, so here nothing is strict unless the caller says so.
"""

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Literal

from aiohttp import web
from pydantic import ConfigDict, field_validator
from pydantic_core import PydanticUseDefault

from service.api.answers import answer
from service.api.calls import CallDraft, make_images
from service.api.context import FRONT, TRACE
from service.api.problems import Problem
from service.api.rendering import images_body
from service.api.submitting import read_submission

routes = web.RouteTableDef()

_KINDS: Mapping[int, str] = {
    HTTPStatus.UNAUTHORIZED: "unauthorized",
    HTTPStatus.FORBIDDEN: "access_denied",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
}
_TIMES = str.maketrans("X\u00d7*", "xxx")


class RouterDraft(CallDraft):
    """A draft with ImageRouter's defaults, which null stands for too."""

    model_config = ConfigDict(extra="ignore")

    size: str = "auto"
    """`auto`, or pixels such as `1024x1024`."""
    quality: Literal["auto", "low", "medium", "high", "standard", "hd"] = "auto"
    """How much care to take, where the model knows the difference."""
    response_format: Literal["url", "b64_json", "b64_ephemeral"] = "url"
    """A link, the bytes as base64, or the bytes and nothing kept of them."""
    output_format: Literal["png", "jpeg", "jpg", "webp"] = "webp"
    """`jpg` is `jpeg`; images are converted where the model makes another."""
    strict: bool = False
    """`true` refuses what the model does not honor, instead of leaving it out."""

    @field_validator(
        "size", "quality", "response_format", "output_format", mode="before"
    )
    @classmethod
    def _null_is_unsaid(cls, value: Any) -> Any:
        if value is None:
            raise PydanticUseDefault
        return value

    @field_validator("size", mode="before")
    @classmethod
    def _with_any_sign(cls, value: Any) -> Any:
        return value.translate(_TIMES) if isinstance(value, str) else value

    @field_validator("output_format", mode="before")
    @classmethod
    def _in_any_case(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value


@routes.post("/v1/openai/images/generations")
@routes.post("/v1/openai/images/edits")
async def make(request: web.Request) -> web.StreamResponse:
    """Make images from text, or from images where some are sent along."""
    request[TRACE].reworded = _reworded
    key, draft, uploads = await read_submission(request, RouterDraft)
    made = await make_images(
        request,
        draft,
        key=key,
        operation="edit" if uploads.images else "generate",
        uploads=uploads,
    )
    if isinstance(made, web.StreamResponse):
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
