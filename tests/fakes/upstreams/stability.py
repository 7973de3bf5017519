"""Stability AI's v2beta, by its reference: multipart in, bytes out."""

from typing import Any, ClassVar

from aiohttp import web

from tests.fakes.upstreams.base import Fake
from tests.fakes.upstreams.images import (
    form_fields,
    opened,
)
from tests.fakes.upstreams.shapes import STABILITYS
from tests.fakes.upstreams.words import KEY, Asked, Link, Refusal, Result

_SD3 = {"sd3.5-large", "sd3.5-large-turbo", "sd3.5-medium", "sd3.5-flash"}
_COMMON = {"prompt", "negative_prompt", "output_format", "seed"}
_FIELDS = {
    "core": _COMMON | {"aspect_ratio", "style_preset"},
    "ultra": _COMMON | {"aspect_ratio", "image", "strength"},
    "sd3": _COMMON | {"aspect_ratio", "model", "mode", "image", "strength"},
    "inpaint": _COMMON | {"image", "mask", "grow_mask"},
}


class StabilityFake(Fake):
    """Refuses what its reference does not name, as the real one does."""

    adapter: ClassVar[str] = "stability"
    model: ClassVar[str] = "sd3.5-large"
    edits: ClassVar[bool] = True
    masks: ClassVar[bool] = True

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v2beta/stable-image/generate/{kind}", self.handle),
            web.post("/v2beta/stable-image/edit/{kind}", self.handle),
        ]

    async def read(self, request: web.Request) -> Asked:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            raise Refusal(401, "unauthorized")
        if request.content_type != "multipart/form-data":
            raise Refusal(400, "bad_request")
        kind = request.match_info["kind"]
        fields = await form_fields(request)
        fields.pop("none", None)  # what makes a form of several parts of it
        if set(fields) - _FIELDS[kind] or not fields.get("prompt"):
            raise Refusal(400, "bad_request")
        if kind == "sd3" and fields.get("model") not in _SD3:
            raise Refusal(400, "bad_request")
        formats = ("png", "jpeg") if kind == "sd3" else ("png", "jpeg", "webp")
        if fields.get("output_format", "png") not in formats:
            raise Refusal(400, "bad_request")
        images = [fields["image"]] if "image" in fields else []
        if images and "aspect_ratio" in fields and kind == "sd3":
            raise Refusal(400, "bad_request")
        sizes = [opened(data).size for data in images]
        return _asked(fields, kind, images, sizes)

    async def deliver(self, asked: Asked, results: list[Result]) -> web.Response:
        data = results[0] if results else b""
        assert not isinstance(data, Link)
        headers = {"finish-reason": "SUCCESS", "seed": "1", "x-request-id": asked.id}
        content_type = f"image/{asked.image_format}"
        return web.Response(body=data, content_type=content_type, headers=headers)

    def rejected(self, asked: Asked) -> web.Response:
        return self.refused(Refusal(403, "content_moderation"))

    def filtered(self, asked: Asked) -> web.Response:
        headers = {"finish-reason": "CONTENT_FILTERED"}
        data = self.drawn(asked)[0]
        return web.Response(body=data, content_type="image/png", headers=headers)

    def refused(self, refusal: Refusal) -> web.Response:
        body = {"id": "1", "name": refusal.kind, "errors": ["told in many words"]}
        return web.json_response(body, status=refusal.status)


def _asked(
    fields: dict[str, Any],
    kind: str,
    images: list[bytes],
    sizes: list[tuple[int, int]],
) -> Asked:
    ratio = fields.get("aspect_ratio", "1:1")
    if ratio not in STABILITYS:
        raise Refusal(400, "bad_request")
    width, height = sizes[0] if sizes else STABILITYS[ratio]
    if "mask" in fields:
        opened(fields["mask"])
    return Asked(
        prompt=fields["prompt"],
        model=fields.get("model", kind),
        width=width,
        height=height,
        image_format=fields.get("output_format", "png"),
        images=images,
        mask=fields.get("mask"),
        seed=int(fields["seed"]) if "seed" in fields else None,
        fields=fields,
    )
