"""Hugging Face's inference; proven by `huggingface_hub`."""

from typing import Any, ClassVar

from aiohttp import web

from tests.fakes.upstreams.base import Fake
from tests.fakes.upstreams.words import KEY, Asked, Link, Refusal, Result

_PARAMETERS = {
    "width",
    "height",
    "seed",
    "negative_prompt",
    "num_inference_steps",
    "guidance_scale",
    "scheduler",
}


class HuggingFaceFake(Fake):
    """Bare bytes; errors as one string."""

    adapter: ClassVar[str] = "huggingface"
    model: ClassVar[str] = "black-forest-labs/FLUX.1-schnell"
    base_path: ClassVar[str] = "/hf-inference"

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/hf-inference/models/{owner}/{name}", self.handle)]

    async def read(self, request: web.Request) -> Asked:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            raise Refusal(401, "Invalid credentials")
        body, names = await request.json(), request.match_info
        parameters = body.get("parameters", {})
        if set(body) - {"inputs", "parameters"} or set(parameters) - _PARAMETERS:
            raise Refusal(400, "invalid")
        return Asked(
            prompt=body["inputs"],
            model=f"{names['owner']}/{names['name']}",
            width=parameters.get("width", 1024),
            height=parameters.get("height", 1024),
            seed=parameters.get("seed"),
            fields=body,
        )

    async def deliver(self, asked: Asked, results: list[Result]) -> web.Response:
        data = results[0] if results else b""
        assert not isinstance(data, Link)
        headers = {"x-request-id": asked.id}
        return web.Response(body=data, content_type="image/png", headers=headers)

    def loading(self, asked: Asked) -> web.Response:
        body: dict[str, Any] = {"error": "loading", "estimated_time": 20.5}
        return web.json_response(body, status=503)

    def refused(self, refusal: Refusal) -> web.Response:
        return web.json_response({"error": refusal.kind}, status=refusal.status)

    refuses: ClassVar[bool] = False
