"""OpenRouter's image API; proven by `openrouter`, its own SDK."""

from typing import Any, ClassVar

from aiohttp import web

from tests.fakes.upstreams.base import Fake
from tests.fakes.upstreams.images import decoded_url, inline
from tests.fakes.upstreams.shapes import GOOGLES, GOOGLES_TIERS
from tests.fakes.upstreams.words import KEY, Asked, Refusal, Result

_CHOICES = {
    "aspect_ratio": set(GOOGLES),
    "resolution": set(GOOGLES_TIERS),
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
        width, height = GOOGLES[body.get("aspect_ratio", "1:1")]
        scale = GOOGLES_TIERS[body.get("resolution", "1K")]
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
        items = [
            {"b64_json": inline(result), "media_type": "image/png"}
            for result in results
        ]
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
    return decoded_url(part["image_url"]["url"])
