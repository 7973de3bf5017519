"""Black Forest Labs' API: tasks, looked at where `polling_url` says."""

from typing import Any, ClassVar

from aiohttp import web

from tests.fakes.upstreams.images import decoded
from tests.fakes.upstreams.tasks import TaskFake
from tests.fakes.upstreams.words import KEY, Asked, Refusal

_BY_RATIO = ("kontext", "ultra")
_RATIOS = {"1:1": (1024, 1024), "16:9": (1392, 752), "9:16": (752, 1392)}
_COMMON = {"prompt", "seed", "output_format", "safety_tolerance", "prompt_upsampling"}
_SHAPE = {"width", "height", "aspect_ratio"}
_FILL = {"image", "mask", "steps", "guidance"}


class BFLFake(TaskFake):
    """Tasks of their own kind of status; the image under a link."""

    adapter: ClassVar[str] = "bfl"
    model: ClassVar[str] = "flux-2-pro"
    mask_model: ClassVar[str | None] = "flux-pro-1.0-fill"
    edits: ClassVar[bool] = True
    masks: ClassVar[bool] = True
    links: ClassVar[bool] = True

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._news: set[str] = set()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/{model}", self.handle),
            web.get("/v1/get_result", self._result),
        ]

    async def read(self, request: web.Request) -> Asked:
        if request.headers.get("x-key") != KEY:
            raise Refusal(403, "unauthorized")
        body, model = await request.json(), request.match_info["model"]
        fill = "fill" in model
        known = _COMMON | (_FILL if fill else _SHAPE)
        if {name for name in body if not name.startswith("input_image")} - known:
            raise Refusal(422, "invalid")
        if body.get("output_format", "jpeg") not in ("png", "jpeg"):
            raise Refusal(422, "invalid")
        if fill and "image" not in body:
            raise Refusal(422, "invalid")
        width, height = (1024, 1024) if fill else _size(body, model)
        images = [
            decoded(value)
            for name, value in body.items()
            if name == "image" or name.startswith("input_image")
        ]
        return Asked(
            prompt=body["prompt"],
            model=model,
            width=width,
            height=height,
            image_format=body.get("output_format", "jpeg"),
            images=images,
            mask=decoded(body["mask"]) if "mask" in body else None,
            seed=body.get("seed"),
            fields=body,
        )

    def rejected(self, asked: Asked) -> web.Response:
        return self.ends_in(asked, "Content Moderated")

    def request_moderated(self, asked: Asked) -> web.Response:
        return self.ends_in(asked, "Request Moderated")

    def in_a_new_state(self, asked: Asked) -> web.Response:
        """Take the task, and say of it at first what no document names."""
        self._news.add(asked.id)
        return self.ends_in(asked, [*self.drawn(asked)])

    def failed(self, asked: Asked) -> web.Response:
        return self.ends_in(asked, "Error")

    def submitted(self, asked: Asked) -> web.Response:
        return web.json_response(
            {
                "id": asked.id,
                "polling_url": f"{self.origin}/v1/get_result?id={asked.id}",
                "cost": 3.0,
                "input_mp": 0.0,
                "output_mp": 1.05,
            }
        )

    async def _result(self, request: web.Request) -> web.Response:
        task = request.query["id"]
        try:
            outcome = self.look(task)
        except KeyError:
            body: dict[str, Any] = {"id": task, "status": "Task not found"}
            return web.json_response(body, status=404)
        if outcome is None:
            body = {"id": task, "status": "Pending", "result": None, "progress": 0.5}
            return web.json_response(body)
        if task in self._news:
            self._news.remove(task)
            outcome = "Upscaling"
        if isinstance(outcome, str):
            return web.json_response({"id": task, "status": outcome, "result": None})
        result = None
        for item in outcome:
            link = self.url_of(item)
            result = {"sample": link, "seed": 1, "duration": 0.5}
        return web.json_response({"id": task, "status": "Ready", "result": result})

    def refused(self, refusal: Refusal) -> web.Response:
        if refusal.status == 422:
            detail: Any = [{"loc": ["body"], "msg": "no", "type": "value_error"}]
        else:
            detail = "told in many words"
        return web.json_response({"detail": detail}, status=refusal.status)


def _size(body: dict[str, Any], model: str) -> tuple[int, int]:
    if any(name in model for name in _BY_RATIO):
        if "width" in body or "height" in body:
            raise Refusal(422, "invalid")
        return _RATIOS.get(body.get("aspect_ratio", "1:1"), (1024, 1024))
    width, height = body.get("width", 1024), body.get("height", 768)
    if width % 16 or height % 16 or min(width, height) < 64:
        raise Refusal(422, "invalid")
    return width, height
