"""xAI's images, by its reference; `openai` drives it, as xAI says it may."""

from typing import Any, ClassVar

from aiohttp import web

from tests.fakes.upstreams.base import Fake
from tests.fakes.upstreams.images import decoded_url, inline
from tests.fakes.upstreams.words import KEY, Asked, Link, Refusal, Result

_RATIOS = {
    "1:1": (1024, 1024),
    "16:9": (1280, 720),
    "9:16": (720, 1280),
    "4:3": (1152, 864),
    "3:4": (864, 1152),
    "3:2": (1216, 810),
    "2:3": (810, 1216),
    "2:1": (1408, 704),
    "1:2": (704, 1408),
}
_KNOWN = {"model", "prompt", "n", "response_format", "resolution", "quality", "user"}
_MOST_IMAGES = 3


class XAIFake(Fake):
    """JPEG only; ratios, never sizes; edits in JSON."""

    adapter: ClassVar[str] = "xai"
    model: ClassVar[str] = "grok-imagine-image"
    base_path: ClassVar[str] = "/v1"
    edits: ClassVar[bool] = True

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/images/generations", self.handle),
            web.post("/v1/images/edits", self.handle),
        ]

    async def read(self, request: web.Request) -> Asked:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            raise Refusal(401, "unauthenticated")
        body = await request.json()
        edit = request.path.endswith("edits")
        if set(body) - _KNOWN - ({"image", "images"} if edit else {"aspect_ratio"}):
            raise Refusal(422, "invalid_argument")
        links = [body["image"]] if "image" in body else body.get("images", [])
        if edit is not bool(links) or len(links) > _MOST_IMAGES:
            raise Refusal(422, "invalid_argument")
        if body.get("n", 1) not in range(1, 11):
            raise Refusal(422, "invalid_argument")
        if body.get("resolution", "1k") not in ("1k", "2k"):
            raise Refusal(422, "invalid_argument")
        width, height = _RATIOS[body.get("aspect_ratio", "1:1")]
        scale = 2 if body.get("resolution") == "2k" else 1
        return Asked(
            prompt=body["prompt"],
            model=body["model"],
            width=width * scale,
            height=height * scale,
            n=body.get("n", 1),
            image_format="jpeg",
            images=[decoded_url(link["url"]) for link in links],
            fields=body,
        )

    async def deliver(self, asked: Asked, results: list[Result]) -> web.Response:
        items = list[dict[str, Any]]()
        for result in results:
            if isinstance(result, Link):
                items.append({"url": result.url})
            else:
                items.append({"b64_json": inline(result)})
            items[-1]["revised_prompt"] = f"In detail: {asked.prompt}"
        return _answer(items, asked.n)

    def rejected(self, asked: Asked) -> web.Response:
        why = "Generated image rejected by content moderation."
        return self.refused(Refusal(400, "invalid-argument", why=why))

    def moderated(self, asked: Asked) -> web.Response:
        return _answer([{"respect_moderation": False}] * asked.n, asked.n)

    def blocked(self, asked: Asked) -> web.Response:
        return _answer([], asked.n, block_reason="content policy")

    def refused(self, refusal: Refusal) -> web.Response:
        why = refusal.more.get("why", "told in many words")
        body = {"code": refusal.kind, "error": why}
        return web.json_response(body, status=refusal.status)


def _answer(items: list[dict[str, Any]], n: int, **more: Any) -> web.Response:
    usage = {"cost_in_usd_ticks": 200_000_000 * n}
    return web.json_response({"data": items, "usage": usage, **more})
