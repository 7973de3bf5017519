"""ComfyUI: a graph of nodes is queued, and its history looked at.

The graph is the operator's own (`workflow_file`, exported in API format, with
`%prompt%`, `%width%`, `%seed%` and the like where values go), or a plain one made
here, whose checkpoint is the provider model. A prompt that stands neither in the
history nor in the queue was lost in a restart; but the history lags behind the
queue's end, so only a second look in a row decides. A key of the form
`user:password` is for the proxy before it, as ComfyUI itself asks for none.

Source: ComfyUI's server.py (routes of 0.3; read 2026-11).
"""

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlencode

import orjson

from service.core.catalog import ProviderEntry
from service.core.errors import BadOutput, ProviderUnavailable
from service.core.provider import Call, Generated, GeneratedImage, InputBytes
from service.core.requests import GenerationRequest
from service.outbound import File, Outbound
from workers.providers._bodies import encoded, items_of
from workers.providers._comfy_graphs import filled, plain_graph
from workers.providers._upstream import Upstream, no_image, task_lost

_MOST_SEED = 2**63


class ComfyUI:
    """Upload what there is to start from, queue, look, read the files."""

    adapter: ClassVar[str] = "comfyui"
    mask_style: ClassVar[str] = "white"

    def __init__(
        self, entry: ProviderEntry, outbound: Outbound, api_key: str | None
    ) -> None:
        basic = f"Basic {encoded(api_key.encode())}" if api_key else None
        headers = {"Authorization": basic} if basic else {}
        self._upstream = Upstream(entry, outbound, headers=headers)
        self._graph: Any = None
        if entry.workflow_file is not None:
            self._graph = orjson.loads(Path(entry.workflow_file).read_bytes())
        self._missed: set[str] = set()

    async def generate(
        self, request: GenerationRequest, *, model: str, call: Call
    ) -> Generated:
        """See `Provider.generate`."""

        async def submit() -> str:
            names = [await self._uploaded(image) for image in call.images]
            mask = None if call.mask is None else await self._uploaded(call.mask)
            values = values_of(request, model=model, images=names, mask=mask)
            graph = plain_graph(values) if self._graph is None else self._graph
            payload = {"prompt": filled(graph, values), "client_id": "darkroom"}
            reply = await self._upstream.post("/prompt", payload=payload)
            match reply.body:
                case {"prompt_id": str(prompt)}:
                    return prompt
                case _:
                    raise BadOutput("the provider's answer names no prompt")

        tasks = await call.tasks(1, submit)
        [paths] = await self._upstream.finished(tasks, self._look)
        files = [await self._upstream.peek(path) for path in paths[: request.n]]
        images = [
            GeneratedImage(data=file.answer.body) for file in files if file is not None
        ]
        if not images:
            raise no_image(billed=bool(paths))
        return Generated(images=images, upstream_id=tasks[0][:128])

    async def _uploaded(self, image: InputBytes) -> str:
        name = f"{secrets.token_hex(12)}.{image.content_type.rpartition('/')[2]}"
        form = [("image", File(image.data, image.content_type, name))]
        reply = await self._upstream.post("/upload/image", form=form)
        return str(reply.body.get("name", name))

    async def _look(self, prompt: str) -> Sequence[str] | None:
        reply = await self._upstream.peek(f"/history/{prompt}")
        if reply is None:
            return None
        match reply.body.get(prompt):
            case {"status": {"status_str": "error"}}:
                raise ProviderUnavailable("the provider failed at the graph")
            case {"outputs": dict(outputs)}:
                return _paths(outputs)
            case _:
                await self._check_it_waits(prompt)
                return None

    async def _check_it_waits(self, prompt: str) -> None:
        reply = await self._upstream.peek("/queue")
        if reply is None or _stands_in(reply.body, prompt):
            self._missed.discard(prompt)
        elif prompt in self._missed:
            self._missed.discard(prompt)
            raise task_lost()
        else:
            self._missed.add(prompt)


def values_of(
    request: GenerationRequest, *, model: str, images: Sequence[str], mask: str | None
) -> dict[str, Any]:
    """Return what a graph's places are filled with, by their names."""
    seed = secrets.randbelow(_MOST_SEED) if request.seed is None else request.seed
    values: dict[str, Any] = {
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt or "",
        "width": request.width,
        "height": request.height,
        "batch_size": request.n,
        "seed": seed,
        "checkpoint": model,
    }
    values |= {f"image_{index}": name for index, name in enumerate(images, 1)}
    if mask is not None:
        values["mask"] = mask
    return values


def _paths(outputs: dict[str, Any]) -> Sequence[str]:
    files = [
        file
        for output in outputs.values()
        if isinstance(output, dict)
        for file in items_of(output, "images")
    ]
    final = [file for file in files if file.get("type") == "output"]
    names = ("filename", "subfolder", "type")
    return [
        "/view?" + urlencode({name: str(file.get(name, "")) for name in names})
        for file in final or files
    ]


def _stands_in(queue: dict[str, Any], prompt: str) -> bool:
    return any(
        isinstance(entry, list) and prompt in entry
        for entries in (queue.get("queue_running"), queue.get("queue_pending"))
        if isinstance(entries, list)
        for entry in entries
    )
