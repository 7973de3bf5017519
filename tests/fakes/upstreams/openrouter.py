"""OpenRouter's chat with images; `openai` drives it, as OpenRouter says it may."""

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
_KNOWN = {"model", "messages", "modalities", "image_config", "usage", "stream"}


class OpenRouterFake(Fake):
    """A completion with an image in its message, and what it cost."""

    adapter: ClassVar[str] = "openrouter"
    model: ClassVar[str] = "google/gemini-2.5-flash-image"
    base_path: ClassVar[str] = "/api/v1"
    edits: ClassVar[bool] = True

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/api/v1/chat/completions", self.handle)]

    async def read(self, request: web.Request) -> Asked:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            raise Refusal(401, "unauthorized")
        body = await request.json()
        if set(body) - _KNOWN or "image" not in body.get("modalities", ()):
            raise Refusal(400, "invalid")
        config = body.get("image_config", {})
        if config.get("image_size", "1K") not in ("1K", "2K", "4K"):
            raise Refusal(400, "invalid")
        texts, images = _read(body["messages"][-1]["content"])
        width, height = _RATIOS[config.get("aspect_ratio", "1:1")]
        return Asked(
            prompt="\n".join(texts),
            model=body["model"],
            width=width,
            height=height,
            images=images,
            fields=body,
        )

    async def deliver(self, asked: Asked, results: list[Result]) -> web.Response:
        images = list[dict[str, Any]]()
        for result in results:
            if isinstance(result, Link):
                url = result.url
            else:
                text = base64.b64encode(result).decode()
                url = f"data:image/png;base64,{text}"
            images.append({"type": "image_url", "image_url": {"url": url}})
        message = {"role": "assistant", "content": "Here it is.", "images": images}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 7, "completion_tokens": 1290, "total_tokens": 1297}
        return web.json_response(
            {
                "id": f"gen-{asked.id}",
                "object": "chat.completion",
                "created": 1,
                "model": asked.model,
                "choices": [choice],
                "usage": {**usage, "cost": 0.0387},
            }
        )

    def rejected(self, asked: Asked) -> web.Response:
        return self.refused(Refusal(403, "moderation", reasons=["violence"]))

    def refused(self, refusal: Refusal) -> web.Response:
        error: dict[str, Any] = {"code": refusal.status, "message": "in many words"}
        if "reasons" in refusal.more:
            error["metadata"] = {"reasons": refusal.more["reasons"]}
        return web.json_response({"error": error}, status=refusal.status)


def _read(content: Any) -> tuple[list[str], list[bytes]]:
    if isinstance(content, str):
        return [content], []
    texts = [part["text"] for part in content if part["type"] == "text"]
    links = [p["image_url"]["url"] for p in content if p["type"] == "image_url"]
    images = [base64.b64decode(link.partition(",")[2]) for link in links]
    for data in images:
        opened(data)
    return texts, images
