"""Ideogram 3, by its reference."""

from typing import Any, ClassVar

from aiohttp import web

from tests.fakes.upstreams.base import Fake
from tests.fakes.upstreams.images import (
    form_fields,
    opened,
)
from tests.fakes.upstreams.words import KEY, Asked, Refusal, Result

_RATIOS = {
    "1x1": (1024, 1024),
    "16x9": (1312, 736),
    "9x16": (736, 1312),
    "4x3": (1152, 864),
    "3x4": (864, 1152),
    "3x2": (1248, 832),
    "2x3": (832, 1248),
    "16x10": (1280, 800),
    "10x16": (800, 1280),
    "4x5": (896, 1120),
    "5x4": (1120, 896),
    "2x1": (1408, 704),
    "1x2": (704, 1408),
    "3x1": (1536, 512),
    "1x3": (512, 1536),
}
_SPEEDS = {"FLASH", "TURBO", "DEFAULT", "QUALITY"}
_BOTH = {"prompt", "num_images", "rendering_speed", "seed", "magic_prompt"}
_FIELDS = {
    "generate": _BOTH | {"aspect_ratio", "negative_prompt", "style_type"},
    "remix": _BOTH | {"aspect_ratio", "image", "image_weight"},
    "edit": _BOTH | {"image", "mask"},
}


class IdeogramFake(Fake):
    """Links that live a day; an unsafe item has none."""

    adapter: ClassVar[str] = "ideogram"
    model: ClassVar[str] = "v3-turbo"
    edits: ClassVar[bool] = True
    masks: ClassVar[bool] = True
    links: ClassVar[bool] = True

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/v1/ideogram-v3/{action}", self.handle)]

    async def read(self, request: web.Request) -> Asked:
        if request.headers.get("Api-Key") != KEY:
            raise Refusal(401, "unauthorized")
        action = request.match_info["action"]
        fields: dict[str, Any] = await form_fields(request)
        if set(fields) - _FIELDS[action] or not fields.get("prompt"):
            raise Refusal(400, "invalid")
        if fields.get("rendering_speed", "DEFAULT") not in _SPEEDS:
            raise Refusal(400, "invalid")
        if fields.get("aspect_ratio", "1x1") not in _RATIOS:
            raise Refusal(400, "invalid")
        if (action == "generate") is ("image" in fields):
            raise Refusal(400, "invalid")
        return _asked(fields)

    async def deliver(self, asked: Asked, results: list[Result]) -> web.Response:
        items = [_item(asked, self.url_of(item)) for item in results]
        return _answer(items)

    def rejected(self, asked: Asked) -> web.Response:
        return self.refused(Refusal(422, "failed the safety checks"))

    def unsafe(self, asked: Asked) -> web.Response:
        """The pictures, not the prompt, failed the check."""
        return _answer([{**_item(asked, None), "is_image_safe": False}])

    def one_unsafe(self, asked: Asked) -> web.Response:
        links = [self.link_to(data) for data in self.drawn(asked)]
        unsafe = {**_item(asked, ""), "is_image_safe": False}
        return _answer([unsafe, *(_item(asked, link) for link in links[1:])])

    def refused(self, refusal: Refusal) -> web.Response:
        body: dict[str, Any] = {"error": "told in many words"}
        if refusal.kind == "throttled":
            body |= {"reject_reason": "inflight_limit", "max_inflight_requests": 10}
        return web.json_response(body, status=refusal.status)


def _asked(fields: dict[str, Any]) -> Asked:
    width, height = _RATIOS[fields.get("aspect_ratio", "1x1")]
    images = [fields["image"]] if "image" in fields else []
    for data in images:
        opened(data)
    return Asked(
        prompt=fields["prompt"],
        model=fields.get("rendering_speed", "DEFAULT"),
        width=width,
        height=height,
        n=int(fields.get("num_images", 1)),
        images=images,
        mask=fields.get("mask"),
        seed=int(fields["seed"]) if "seed" in fields else None,
        fields=fields,
    )


def _item(asked: Asked, url: str | None) -> dict[str, Any]:
    return {
        "prompt": f"In detail: {asked.prompt}",
        "resolution": f"{asked.width}x{asked.height}",
        "is_image_safe": True,
        "seed": 1,
        "url": url,
        "style_type": "GENERAL",
    }


def _answer(items: list[dict[str, Any]]) -> web.Response:
    return web.json_response({"created": "2026-11-21T00:00:00Z", "data": items})
