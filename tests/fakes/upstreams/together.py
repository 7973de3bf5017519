"""Together's images; proven by `together`, its own SDK."""

from typing import Any, ClassVar

from aiohttp import web

from tests.fakes.upstreams.base import Fake
from tests.fakes.upstreams.images import decoded_url, inline
from tests.fakes.upstreams.words import KEY, Asked, Link, Refusal, Result

_KNOWN = {
    "model",
    "prompt",
    "n",
    "width",
    "height",
    "steps",
    "seed",
    "negative_prompt",
    "guidance_scale",
    "response_format",
    "output_format",
    "image_url",
    "reference_images",
    "disable_safety_checker",
}


class TogetherFake(Fake):
    """Items of two types, told apart by their `type`."""

    adapter: ClassVar[str] = "together"
    model: ClassVar[str] = "black-forest-labs/FLUX.1-kontext-pro"
    base_path: ClassVar[str] = "/v1"
    edits: ClassVar[bool] = True

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/v1/images/generations", self.handle)]

    async def read(self, request: web.Request) -> Asked:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            raise Refusal(401, "invalid_api_key")
        body = await request.json()
        if set(body) - _KNOWN or not {"model", "prompt"} <= set(body):
            raise Refusal(400, "invalid_request_error")
        if ("kontext" in body["model"]) and "reference_images" in body:
            raise Refusal(400, "invalid_request_error")
        links = [*body.get("reference_images", [])]
        links += [body["image_url"]] if "image_url" in body else []
        return Asked(
            prompt=body["prompt"],
            model=body["model"],
            width=body.get("width", 1024),
            height=body.get("height", 1024),
            n=body.get("n", 1),
            image_format=body.get("output_format", "jpeg"),
            images=[decoded_url(link) for link in links],
            seed=body.get("seed"),
            fields=body,
        )

    async def deliver(self, asked: Asked, results: list[Result]) -> web.Response:
        with_bytes = asked.fields.get("response_format") == "base64"
        items = list[dict[str, Any]]()
        for index, result in enumerate(results):
            if with_bytes and not isinstance(result, Link):
                item = {"type": "b64_json", "b64_json": inline(result)}
            else:
                item = {"type": "url", "url": self.url_of(result)}
            items.append({"index": index, **item})
        body = {"id": asked.id, "model": asked.model, "object": "list", "data": items}
        return web.json_response(body, headers={"x-request-id": asked.id})

    def linked(self, asked: Asked) -> web.Response:
        """Answer with a link, whatever was asked for."""
        link = self.link_to(self.drawn(asked)[0])
        body = {"object": "list", "data": [{"index": 0, "type": "url", "url": link}]}
        return web.json_response(body)

    def rejected(self, asked: Asked) -> web.Response:
        return self.refused(Refusal(422, "nsfw_content_detected"))

    def refused(self, refusal: Refusal) -> web.Response:
        error = {
            "message": "told in many words",
            "type": "invalid_request_error",
            "param": None,
            "code": refusal.kind,
        }
        return web.json_response({"error": error}, status=refusal.status)
