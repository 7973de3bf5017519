"""ComfyUI's server: a queue, a history, and files; graphs are checked as it does."""

import base64
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from aiohttp import web

from tests.fakes.upstreams.images import opened
from tests.fakes.upstreams.tasks import TaskFake
from tests.fakes.upstreams.words import Asked, Link, Refusal

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_NODES = {
    "CheckpointLoaderSimple": {"ckpt_name"},
    "CLIPTextEncode": {"text", "clip"},
    "EmptyLatentImage": {"width", "height", "batch_size"},
    "LoadImage": {"image"},
    "LoadImageMask": {"image", "channel"},
    "VAEEncode": {"pixels", "vae"},
    "SetLatentNoiseMask": {"samples", "mask"},
    "RepeatLatentBatch": {"samples", "amount"},
    "KSampler": {
        "model",
        "positive",
        "negative",
        "latent_image",
        "seed",
        "steps",
        "cfg",
        "sampler_name",
        "scheduler",
        "denoise",
    },
    "VAEDecode": {"samples", "vae"},
    "SaveImage": {"images", "filename_prefix"},
}


class ComfyUIFake(TaskFake):
    """Draws what the graph's nodes ask for.

    Args:
        password: What a proxy before it asks for, `user:password`; none by default.
        options: Of every fake.

    Attributes:
        uploads: Files by the names they were given.
    """

    adapter: ClassVar[str] = "comfyui"
    model: ClassVar[str] = "v1-5-pruned-emaonly.safetensors"
    edits: ClassVar[bool] = True
    masks: ClassVar[bool] = True
    needs_key: ClassVar[bool] = False
    refuses: ClassVar[bool] = False

    def __init__(self, *, password: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.uploads: dict[str, bytes] = {}
        self._password = password
        self._unwritten: set[str] = set()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/prompt", self._guarded(self.handle)),
            web.post("/upload/image", self._guarded(self._upload)),
            web.get("/history/{id}", self._guarded(self._history)),
            web.get("/queue", self._guarded(self._queue)),
            web.get("/view", self._guarded(self._view)),
        ]

    def _guarded(self, handler: Handler) -> Handler:
        """Ask for the password first, as a proxy does where there is one."""
        basic = f"Basic {base64.b64encode(self._password.encode()).decode()}"

        async def guarded(request: web.Request) -> web.StreamResponse:
            if self._password and request.headers.get("Authorization") != basic:
                return web.Response(status=401)
            return await handler(request)

        return guarded

    async def read(self, request: web.Request) -> Asked:
        body = await request.json()
        graph = body["prompt"]
        nodes: dict[str, dict[str, Any]] = {}
        for name, node in graph.items():
            kind, inputs = node["class_type"], node["inputs"]
            if set(inputs) != _NODES.get(kind, set()):
                raise Refusal(400, "prompt_outputs_failed_validation")
            for value in inputs.values():
                if isinstance(value, list) and value[0] not in graph:
                    raise Refusal(400, "prompt_outputs_failed_validation")
            nodes.setdefault(kind, {})[name] = inputs
        return self._asked(graph, nodes)

    def _asked(self, graph: Any, nodes: dict[str, dict[str, Any]]) -> Asked:
        [sampler] = nodes["KSampler"].values()
        [checkpoint] = nodes["CheckpointLoaderSimple"].values()
        images = [
            self.uploads[inputs["image"]]
            for inputs in nodes.get("LoadImage", {}).values()
        ]
        masks = [
            self.uploads[inputs["image"]]
            for inputs in nodes.get("LoadImageMask", {}).values()
        ]
        if images:
            width, height = opened(images[0]).size
            [repeat] = nodes["RepeatLatentBatch"].values()
            n = repeat["amount"]
        else:
            [empty] = nodes["EmptyLatentImage"].values()
            width, height, n = empty["width"], empty["height"], empty["batch_size"]
        return Asked(
            prompt=graph[sampler["positive"][0]]["inputs"]["text"],
            model=checkpoint["ckpt_name"],
            width=width,
            height=height,
            n=n,
            images=images,
            mask=masks[0] if masks else None,
            seed=sampler["seed"],
            fields=graph,
        )

    def failed(self, asked: Asked) -> web.Response:
        return self.ends_in(asked, "error")

    def slow_to_write(self, asked: Asked) -> web.Response:
        """Leave the queue before the history has it."""
        self._unwritten.add(asked.id)
        return self.ends_in(asked, [*self.drawn(asked)])

    def submitted(self, asked: Asked) -> web.Response:
        body = {"prompt_id": asked.id, "number": len(self.calls), "node_errors": {}}
        return web.json_response(body)

    async def _upload(self, request: web.Request) -> web.Response:
        file = (await request.post())["image"]
        assert isinstance(file, web.FileField)
        self.uploads[file.filename] = file.file.read()
        body = {"name": file.filename, "subfolder": "", "type": "input"}
        return web.json_response(body)

    async def _history(self, request: web.Request) -> web.Response:
        task = request.match_info["id"]
        try:
            outcome = self.look(task)
        except KeyError:
            return web.json_response({})
        if outcome is None or task in self._unwritten:
            return web.json_response({})
        if isinstance(outcome, str):
            status = {"status_str": "error", "completed": False, "messages": []}
            return web.json_response({task: {"outputs": {}, "status": status}})
        images = [{"filename": "draft.png", "subfolder": "", "type": "temp"}]
        for item in outcome:
            assert not isinstance(item, Link)
            name = self.link_to(item).rpartition("/")[2]
            images.append({"filename": name, "subfolder": "", "type": "output"})
        status = {"status_str": "success", "completed": True, "messages": []}
        outputs = {"save": {"images": images if outcome else []}}
        return web.json_response({task: {"outputs": outputs, "status": status}})

    async def _queue(self, request: web.Request) -> web.Response:
        waiting = set(self._results) - self._unwritten
        self._unwritten.clear()
        running = [[0, task, {}, {}, []] for task in waiting]
        return web.json_response({"queue_running": running, "queue_pending": []})

    async def _view(self, request: web.Request) -> web.Response:
        assert set(request.query) == {"filename", "subfolder", "type"}
        return web.Response(body=self._files[request.query["filename"]])

    def refused(self, refusal: Refusal) -> web.Response:
        error = {"type": refusal.kind, "message": "told in many words", "details": ""}
        body = {"error": error, "node_errors": {}}
        return web.json_response(body, status=refusal.status)
