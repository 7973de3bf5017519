"""fal's queue; proven by `fal-client`, its own SDK."""

from typing import Any, ClassVar

from aiohttp import web

from tests.fakes.upstreams.images import decoded_url
from tests.fakes.upstreams.tasks import TaskFake
from tests.fakes.upstreams.words import KEY, Asked, Refusal

_NAMED = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "landscape_4_3": (1024, 768),
    "portrait_4_3": (768, 1024),
}
_BY_RATIO = ("nano-banana", "kontext", "ultra")
_RATIOS = {
    "1:1": (1024, 1024),
    "16:9": (1344, 768),
    "9:16": (768, 1344),
    "3:2": (1248, 832),
    "2:3": (832, 1248),
    "4:3": (1184, 864),
    "3:4": (864, 1184),
    "21:9": (1536, 672),
}
_KNOWN = {
    "prompt",
    "image_size",
    "aspect_ratio",
    "num_images",
    "seed",
    "negative_prompt",
    "output_format",
    "image_url",
    "image_urls",
    "mask_url",
}


class FalFake(TaskFake):
    """A request in a queue, its status beside its result.

    Attributes:
        headers: Of every request that came with our key.
    """

    adapter: ClassVar[str] = "fal"
    model: ClassVar[str] = "fal-ai/flux-2"
    edit_model: ClassVar[str | None] = "fal-ai/flux-2/edit"
    mask_model: ClassVar[str | None] = "fal-ai/flux-pro/v1/fill"
    edits: ClassVar[bool] = True
    masks: ClassVar[bool] = True
    links: ClassVar[bool] = True

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.headers: list[Any] = []
        self._flagged: set[str] = set()

    def routes(self) -> list[web.RouteDef]:
        task = "/{owner}/{app}/requests/{id}"
        return [
            web.get(f"{task}/status", self._status),
            web.put(f"{task}/cancel", self._cancel),
            web.get(task, self._result),
            web.post("/{owner}/{app}", self.handle),
            web.post("/{owner}/{app}/{path:.+}", self.handle),
        ]

    async def read(self, request: web.Request) -> Asked:
        if request.headers.get("Authorization") != f"Key {KEY}":
            raise Refusal(401, "unauthorized")
        body, names = await request.json(), request.match_info
        self.headers.append(request.headers)
        model = "/".join(names[p] for p in ("owner", "app", "path") if p in names)
        if set(body) - _KNOWN or not isinstance(body.get("prompt"), str):
            raise Refusal(422, "invalid")
        width, height = _shape(body, model)
        links = body.get("image_urls", [])
        links = [body["image_url"], *links] if "image_url" in body else links
        return Asked(
            prompt=body["prompt"],
            model=model,
            width=width,
            height=height,
            n=body.get("num_images", 1),
            image_format=body.get("output_format", "jpeg"),
            images=[decoded_url(link) for link in links],
            mask=decoded_url(body["mask_url"]) if "mask_url" in body else None,
            seed=body.get("seed"),
            fields=body,
        )

    def rejected(self, asked: Asked) -> web.Response:
        return self.ends_in(asked, "content_policy_violation")

    def painted_black(self, asked: Asked) -> web.Response:
        """Deliver what the safety checker left of the pictures."""
        self._flagged.add(asked.id)
        return self.ends_in(asked, [*self.drawn(asked)])

    def runner_lost(self, asked: Asked) -> web.Response:
        return self.ends_in(asked, "runner_disconnected")

    def file_too_large(self, asked: Asked) -> web.Response:
        return self.ends_in(asked, "file_too_large")

    def locked(self, _: Asked) -> web.Response:
        return _detail("User is locked. Reason: Exhausted balance.", 403)

    def failed(self, asked: Asked) -> web.Response:
        return self.ends_in(asked, "internal_server_error")

    def submitted(self, asked: Asked) -> web.Response:
        # The path of an app is no part of its requests' URLs.
        app = "/".join(asked.model.split("/")[:2])
        here = f"{self.origin}/{app}/requests/{asked.id}"
        return web.json_response(
            {
                "status": "IN_QUEUE",
                "queue_position": 0,
                "request_id": asked.id,
                "response_url": here,
                "status_url": f"{here}/status",
                "cancel_url": f"{here}/cancel",
            }
        )

    async def _status(self, request: web.Request) -> web.Response:
        task = request.match_info["id"]
        try:
            outcome = self.look(task)
        except KeyError:
            return _detail("Request not found", 404)
        if outcome is None:
            return web.json_response({"status": "IN_PROGRESS", "logs": []}, status=202)
        body: dict[str, Any] = {"status": "COMPLETED", "logs": [], "metrics": {}}
        if isinstance(outcome, str):
            body |= {"error": "told in many words", "error_type": outcome}
        return web.json_response(body)

    async def _result(self, request: web.Request) -> web.Response:
        try:
            outcome = self.look(request.match_info["id"])
        except KeyError:
            return _detail("Request not found", 404)
        if outcome is None:
            return _detail("Request is still in progress", 400)
        if isinstance(outcome, str):
            return _failed(outcome)
        images = [
            {
                "url": self.url_of(item),
                "width": 1024,
                "height": 1024,
                "content_type": "image/jpeg",
            }
            for item in outcome
        ]
        flags = [request.match_info["id"] in self._flagged] * len(images)
        return web.json_response(
            {"images": images, "seed": 1, "has_nsfw_concepts": flags, "prompt": ""}
        )

    async def _cancel(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "CANCELLATION_REQUESTED"}, status=202)

    def refused(self, refusal: Refusal) -> web.Response:
        return _detail("told in many words", refusal.status)


def _detail(text: str, status: int) -> web.Response:
    return web.json_response({"detail": text}, status=status)


def _failed(kind: str) -> web.Response:
    if kind.startswith("runner_"):  # the queue's errors have another shape
        body: dict[str, Any] = {"detail": "told in many words", "error_type": kind}
        headers = {"X-Fal-Error-Type": kind}
        return web.json_response(body, status=503, headers=headers)
    status = 500 if kind == "internal_server_error" else 422
    detail = [{"loc": ["body", "prompt"], "msg": "no", "type": kind}]
    return web.json_response({"detail": detail}, status=status)


def _shape(body: dict[str, Any], model: str) -> tuple[int, int]:
    if not any(name in model for name in _BY_RATIO):
        return _size(body.get("image_size", "landscape_4_3"))
    if "image_size" in body:
        raise Refusal(422, "invalid")
    return _RATIOS[body.get("aspect_ratio", "1:1")]


def _size(size: Any) -> tuple[int, int]:
    if isinstance(size, dict):
        return size["width"], size["height"]
    if size not in _NAMED:
        raise Refusal(422, "invalid")
    return _NAMED[size]
