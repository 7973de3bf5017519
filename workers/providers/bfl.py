"""Black Forest Labs' FLUX models: a task is submitted, then looked at until ready.

The handle is the polling URL as given: it leads to the region that has the task, and
nothing else does. The result lies under a link that lives ten minutes. A status that
is not known is no end: their list has grown before. The `fill` models keep the size
of their image, and edit where the mask is white.

Source: docs.bfl.ai and `@ai-sdk/black-forest-labs` (source of 2026-08); there is no
official SDK for Python.
"""

import functools
from decimal import Decimal
from typing import Any, ClassVar

from yarl import URL

from service.core.catalog import ProviderEntry
from service.core.errors import BadOutput, PromptRejected, ProviderUnavailable
from service.core.provider import Call, Generated
from service.core.requests import GenerationRequest
from service.core.sizing import Size, nearest_ratio
from service.outbound import Outbound
from workers.providers._bodies import dollars, encoded
from workers.providers._upstream import Reply, Shares, Upstream, task_lost

_BY_RATIO = ("kontext", "ultra")
_FILL = "fill"
_RATIOS = ("1:1", "4:3", "3:4", "16:9", "9:16", "21:9", "9:21", "3:2", "2:3")
_REJECTED = frozenset({"Request Moderated", "Content Moderated"})
_CENT = Decimal("0.01")
"""What a credit is worth."""


class BFL:
    """Submit, look, download; a crash in between resumes at the look."""

    adapter: ClassVar[str] = "bfl"
    mask_style: ClassVar[str] = "white"

    def __init__(
        self, entry: ProviderEntry, outbound: Outbound, api_key: str | None
    ) -> None:
        headers = {"x-key": api_key or ""}
        self._upstream = Upstream(entry, outbound, headers=headers)

    async def generate(
        self, request: GenerationRequest, *, model: str, call: Call
    ) -> Generated:
        """See `Provider.generate`."""
        payload = payload_for(request, call, model=model)
        costs = list[Decimal]()

        async def submit() -> str:
            reply = await self._upstream.post(f"/v1/{model}", payload=payload)
            if (taken := dollars(reply.body.get("cost"))) is not None:
                costs.append(taken * _CENT)
            return _handle(reply)

        tasks = await call.tasks(request.n, submit)
        shares = Shares(call.progress, tasks)
        look = functools.partial(self._look, shares)
        samples = await self._upstream.finished(tasks, look)
        return Generated(
            images=await self._upstream.fetched(samples),
            upstream_id=tasks[0].rpartition("id=")[2][:128],
            cost_usd=sum(costs, Decimal(0)) if len(costs) == len(samples) else None,
        )

    async def _look(self, shares: Shares, task: str) -> str | None:
        reply = await self._upstream.peek(task)
        if reply is None:
            return None
        shares.note(task, reply.body.get("progress"))
        match reply.body:
            case {"status": "Ready", "result": {"sample": str(sample)}}:
                return sample
            case {"status": str(status)} if status in _REJECTED:
                raise PromptRejected("the provider's policy forbids this content")
            case {"status": "Error" | "Failed"}:
                raise ProviderUnavailable("the provider failed at the task")
            case {"status": "Task not found"}:
                raise task_lost()
            case {"status": "Ready"}:
                raise BadOutput("the provider's task is ready and holds no image")
            case _:
                return None


def payload_for(
    request: GenerationRequest, call: Call, *, model: str
) -> dict[str, Any]:
    """Return the body that submits a task."""
    payload: dict[str, Any] = {
        "prompt": request.prompt,
        "seed": request.seed,
        "output_format": "png" if request.output_format == "png" else "jpeg",
    }
    images = [encoded(image.data) for image in call.images]
    if _FILL in model:
        payload["image"] = images[0] if images else None
        payload["mask"] = None if call.mask is None else encoded(call.mask.data)
    else:
        payload |= _shape(Size(request.width, request.height), model)
        for index, image in enumerate(images, 1):
            payload["input_image" if index == 1 else f"input_image_{index}"] = image
    return {name: value for name, value in payload.items() if value is not None}


def _shape(size: Size, model: str) -> dict[str, Any]:
    if any(name in model for name in _BY_RATIO):
        return {"aspect_ratio": nearest_ratio(size, _RATIOS)}
    return {"width": size.width, "height": size.height}


def _handle(reply: Reply) -> str:
    match reply.body:
        case {"polling_url": str(url), "id": str(task)}:
            return _polled(url, task)
        case {"id": str(task)}:
            return f"/v1/get_result?id={task}"
        case _:
            raise BadOutput("the provider's answer names no task")


def _polled(url: str, task: str) -> str:
    try:
        polling = URL(url)
    except ValueError as exc:
        raise BadOutput("the provider's answer names no task") from exc
    return url if "id" in polling.query else str(polling % {"id": task})
