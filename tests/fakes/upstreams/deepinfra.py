"""DeepInfra's own inference route, by its reference."""

from typing import Any, ClassVar

from aiohttp import web

from tests.fakes.upstreams.base import Fake
from tests.fakes.upstreams.images import inline
from tests.fakes.upstreams.words import KEY, Asked, Link, Refusal, Result

_KNOWN = {"prompt", "num_images", "width", "height", "seed", "negative_prompt"}
_SIDES = range(128, 2049)


class DeepInfraFake(Fake):
    """Images as `data:` URLs, the cost beside them, refusals under a 200."""

    adapter: ClassVar[str] = "deepinfra"
    model: ClassVar[str] = "black-forest-labs/FLUX-1-dev"

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/v1/inference/{owner}/{name}", self.handle)]

    async def read(self, request: web.Request) -> Asked:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if (scheme.lower(), key) != ("bearer", KEY):
            raise Refusal(401, "unauthorized")
        body, names = await request.json(), request.match_info
        if set(body) - _KNOWN or body.get("num_images", 1) not in range(1, 5):
            raise Refusal(422, "invalid")
        width, height = body.get("width", 1024), body.get("height", 1024)
        if not {width, height} <= set(_SIDES):
            raise Refusal(422, "invalid")
        return Asked(
            prompt=body["prompt"],
            model=f"{names['owner']}/{names['name']}",
            width=width,
            height=height,
            n=body.get("num_images", 1),
            seed=body.get("seed"),
            fields=body,
        )

    async def deliver(self, asked: Asked, results: list[Result]) -> web.Response:
        links = list[str]()
        for result in results:
            if isinstance(result, Link):
                links.append(result.url)
            else:
                links.append(f"data:image/png;base64,{inline(result)}")
        return self._answer(asked, status="ok", images=links)

    def rejected(self, asked: Asked) -> web.Response:
        return self._answer(asked, status="request_moderated", images=[])

    def under_image_url(self, asked: Asked) -> web.Response:
        link = self.link_to(self.drawn(asked)[0])
        return self._answer(asked, status="ok", image_url=link)

    def under_image_urls(self, asked: Asked) -> web.Response:
        link = self.link_to(self.drawn(asked)[0])
        return self._answer(asked, status="ok", image_urls=[link])

    def _answer(self, asked: Asked, **fields: Any) -> web.Response:
        status = {"status": "succeeded", "runtime_ms": 700, "cost": 0.009 * asked.n}
        return web.json_response(
            {"request_id": asked.id, "inference_status": status, **fields}
        )

    def refused(self, refusal: Refusal) -> web.Response:
        detail: Any = {"error": "told in many words"}
        if refusal.status == 422:
            detail = [{"loc": ["body"], "msg": "no", "type": "value_error"}]
        return web.json_response({"detail": detail}, status=refusal.status)
