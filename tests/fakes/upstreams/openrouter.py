"""OpenRouter's image API; proven by `openrouter`, its own SDK."""

import base64
from typing import Any, ClassVar

from aiohttp import web

from tests.fakes.upstreams.base import KEY, Asked, Fake, Link, Refusal, Result, opened

_RATIOS = {
    "1:1": (1024, 1024),
    "2:3": (832, 1248),
    "3:2": (1248, 832),
    "3:4": (864, 1184),
    "4:3": (1184, 864),
    "4:5": (896, 1152),
    "5:4": (1152, 896),
    "9:16": (768, 1344),
    "16:9": (1344, 768),
    "21:9": (1536, 672),
}
_TIERS = {"1K": 1, "2K": 2, "4K": 4}
_CHOICES = {
    "aspect_ratio": set(_RATIOS),
    "resolution": set(_TIERS),
    "quality": {"auto", "low", "medium", "high", "xhigh", "max"},
    "background": {"auto", "transparent", "opaque"},
    "output_format": {"png", "jpeg", "webp"},
}
_KNOWN = {"model", "prompt", "n", "seed", "user", "stream", "input_references"}


class OpenRouterFake(Fake):
    """Images inline, and what they cost."""

    adapter: ClassVar[str] = "openrouter"
    model: ClassVar[str] = "google/gemini-3.1-flash-image"
    base_path: ClassVar[str] = "/api/v1"
    edits: ClassVar[bool] = True

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/api/v1/images", self.handle)]

    async def read(self, request: web.Request) -> Asked:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            raise Refusal(401, "unauthorized")
        body = await request.json()
        if set(body) - _KNOWN - set(_CHOICES) or not body.get("prompt"):
            raise Refusal(400, "invalid")
        for name, choices in _CHOICES.items():
            if name in body and body[name] not in choices:
                raise Refusal(400, "invalid")
        if body.get("n", 1) not in range(1, 11):
            raise Refusal(400, "invalid")
        width, height = _RATIOS[body.get("aspect_ratio", "1:1")]
        scale = _TIERS[body.get("resolution", "1K")]
        return Asked(
            prompt=body["prompt"],
            model=body["model"],
            width=width * scale,
            height=height * scale,
            n=body.get("n", 1),
            images=[_decoded(part) for part in body.get("input_references", [])],
            seed=body.get("seed"),
            fields=body,
        )

    async def deliver(self, asked: Asked, results: list[Result]) -> web.Response:
        items = list[dict[str, Any]]()
        for result in results:
            assert not isinstance(result, Link)
            text = base64.b64encode(result).decode()
            items.append({"b64_json": text, "media_type": "image/png"})
        tokens = {"prompt_tokens": 7, "completion_tokens": 1290, "total_tokens": 1297}
        usage = {**tokens, "cost": 0.0387}
        return web.json_response(
            {"created": 1, "data": items, "usage": usage},
            headers={"X-Generation-Id": f"gen-{asked.id}"},
        )

    def rejected(self, asked: Asked) -> web.Response:
        return self.refused(Refusal(403, "moderation", reasons=["violence"]))

    def refused(self, refusal: Refusal) -> web.Response:
        error: dict[str, Any] = {"code": refusal.status, "message": "in many words"}
        if "reasons" in refusal.more:
            error["metadata"] = {"reasons": refusal.more["reasons"]}
        return web.json_response({"error": error}, status=refusal.status)


def _decoded(part: dict[str, Any]) -> bytes:
    assert part["type"] == "image_url"
    data = base64.b64decode(part["image_url"]["url"].partition(",")[2])
    opened(data)
    return data
