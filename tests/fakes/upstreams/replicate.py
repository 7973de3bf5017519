"""Replicate's predictions; proven by `replicate`, its own SDK."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from aiohttp import web

from tests.fakes.upstreams.images import decoded_url
from tests.fakes.upstreams.tasks import TaskFake
from tests.fakes.upstreams.words import KEY, Asked, Refusal

_RATIOS = {
    "1:1": (1024, 1024),
    "16:9": (1344, 768),
    "9:16": (768, 1344),
    "3:2": (1216, 832),
    "2:3": (832, 1216),
    "4:3": (1152, 896),
    "3:4": (896, 1152),
    "4:5": (896, 1088),
    "5:4": (1088, 896),
    "21:9": (1536, 640),
}
_FORMATS = {"png": "png", "jpg": "jpeg", "webp": "webp"}
_IMAGES = ("image", "input_image", "image_input", "input_images")
_KNOWN = {
    "prompt",
    "seed",
    "negative_prompt",
    "width",
    "height",
    "aspect_ratio",
    "output_format",
    "mask",
    *_IMAGES,
}


class ReplicateFake(TaskFake):
    """Predictions under ids of its own, with the states and links of the real one."""

    adapter: ClassVar[str] = "replicate"
    model: ClassVar[str] = "black-forest-labs/flux-2-pro"
    mask_model: ClassVar[str | None] = "black-forest-labs/flux-fill-pro"
    edits: ClassVar[bool] = True
    masks: ClassVar[bool] = True
    links: ClassVar[bool] = True

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._bare: set[str] = set()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/models/{owner}/{name}/predictions", self.handle),
            web.post("/v1/predictions", self.handle),
            web.get("/v1/predictions/{id}", self._get),
            web.post("/v1/predictions/{id}/cancel", self._get),
        ]

    async def read(self, request: web.Request) -> Asked:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            raise Refusal(401, "unauthorized")
        body = await request.json()
        asked = body.get("input")
        if not isinstance(asked, dict) or set(asked) - _KNOWN:
            raise Refusal(422, "invalid")
        names = request.match_info
        model = f"{names['owner']}/{names['name']}" if "owner" in names else None
        if (model is None) is not ("version" in body):
            raise Refusal(422, "invalid")
        width, height = _size(asked)
        return Asked(
            prompt=asked["prompt"],
            model=model or body["version"],
            width=width,
            height=height,
            image_format=_FORMATS[asked.get("output_format", "webp")],
            images=[decoded_url(link) for link in _links(asked)],
            mask=decoded_url(asked["mask"]) if "mask" in asked else None,
            seed=asked.get("seed"),
            fields=body,
        )

    def rejected(self, asked: Asked) -> web.Response:
        return self.ends_in(asked, "NSFW content detected. Try running it again.")

    def failed(self, asked: Asked) -> web.Response:
        return self.ends_in(asked, "CUDA out of memory")

    def submitted(self, asked: Asked) -> web.Response:
        return web.json_response(self._prediction(asked.id, "starting"), status=201)

    async def _get(self, request: web.Request) -> web.Response:
        task = request.match_info["id"]
        try:
            outcome = self.look(task)
        except KeyError:
            return self.refused(Refusal(404, "not_found"))
        if outcome is None:
            return web.json_response(self._prediction(task, "processing"))
        if outcome == "canceled":
            return web.json_response(self._prediction(task, "canceled"))
        if isinstance(outcome, str):
            return web.json_response(self._prediction(task, "failed", error=outcome))
        links = [self.url_of(item) for item in outcome]
        output: Any = links[0] if task in self._bare else links
        return web.json_response(self._prediction(task, "succeeded", output=output))

    def _prediction(self, task: str, status: str, **more: Any) -> dict[str, Any]:
        here = f"{self.origin}/v1/predictions/{task}"
        return {
            "id": task,
            "model": self.model,
            "version": "hidden",
            "status": status,
            "input": {},
            "output": None,
            "error": None,
            "logs": "",
            "created_at": datetime.now(UTC).isoformat(),
            "urls": {"get": here, "cancel": f"{here}/cancel"},
            **more,
        }

    def canceled(self, asked: Asked) -> web.Response:
        return self.ends_in(asked, "canceled")

    def bare_link(self, asked: Asked) -> web.Response:
        """Bring the output as some models do: a string."""
        self._bare.add(asked.id)
        return self.ends_in(asked, [*self.drawn(asked)])

    def out_of_breath(self, _: Asked) -> web.Response:
        """Tell the wait in a sentence, without a header for it."""
        return self.refused(Refusal(429, "throttled", wait=30))

    def refused(self, refusal: Refusal) -> web.Response:
        detail = "told in many words"
        if refusal.kind == "throttled" and refusal.more.get("wait"):
            detail = f"Request was throttled. It resets in ~{refusal.more['wait']:g}s."
        body = {"title": refusal.kind, "detail": detail, "status": refusal.status}
        return web.json_response(body, status=refusal.status)


def _size(asked: dict[str, Any]) -> tuple[int, int]:
    if "width" in asked:
        return asked["width"], asked["height"]
    if asked.get("aspect_ratio", "1:1") not in _RATIOS:
        raise Refusal(422, "invalid")
    return _RATIOS[asked.get("aspect_ratio", "1:1")]


def _links(asked: dict[str, Any]) -> list[str]:
    links = list[str]()
    for name in _IMAGES:
        value = asked.get(name, [])
        links += [value] if isinstance(value, str) else value
    return links
