"""Runware: a list of tasks goes in, what they came to comes out.

The model is an AIR id, such as `runware:101@1`. Each task carries an id of ours, and
what it cost comes back with it. Errors stand in a list of their own, with words for
codes that "may vary between models", as its documents say: so a refusal is told by a
part of the word.

Source: runware.ai/docs, "Errors" and "Image inference", and ImageRouter's server (read
2026-11, not exercised against Runware itself).
"""

import re
import uuid
from decimal import Decimal
from typing import Any, ClassVar

from service.core.catalog import ProviderEntry
from service.core.errors import PromptRejected, ProviderError
from service.core.provider import Call, Generated
from service.core.requests import GenerationRequest
from service.outbound import Outbound
from workers.providers._bodies import data_url, dollars, items_of
from workers.providers._errors import unauthorized, unpaid
from workers.providers._upstream import Reply, Upstream

_STRENGTH = 0.8
_REJECTED = re.compile(r"moderat|nsfw|inappropriate|contentpolicy", re.IGNORECASE)
_FORMATS = {"png": "PNG", "jpeg": "JPG", "webp": "WEBP"}


class Runware:
    """One POST; images come as base64, each with its cost."""

    adapter: ClassVar[str] = "runware"
    mask_style: ClassVar[str] = "white"

    def __init__(
        self, entry: ProviderEntry, outbound: Outbound, api_key: str | None
    ) -> None:
        headers = {"Authorization": f"Bearer {api_key or ''}"}
        self._upstream = Upstream(entry, outbound, headers=headers, verdict=_verdict)

    async def generate(
        self, request: GenerationRequest, *, model: str, call: Call
    ) -> Generated:
        """See `Provider.generate`."""
        task = task_for(request, call, model=model)
        reply = await self._upstream.post("", payload=[task], images=request.n)
        if not items_of(reply.body, "data") and (error := _verdict(reply)):
            raise error
        items = items_of(reply.body, "data")[: request.n]
        if items and all(item.get("NSFWContent") for item in items):
            raise PromptRejected(
                "the provider's policy forbids this content", billed=True
            )
        costs = (dollars(item.get("cost")) for item in items)
        known = [cost for cost in costs if cost is not None]
        return Generated(
            images=await self._upstream.fetched([_link(item) for item in items]),
            upstream_id=task["taskUUID"],
            cost_usd=sum(known, Decimal(0)) if len(known) == len(items) else None,
        )


def task_for(request: GenerationRequest, call: Call, *, model: str) -> dict[str, Any]:
    """Return the task."""
    task: dict[str, Any] = {
        "taskType": "imageInference",
        "taskUUID": str(uuid.uuid4()),
        "model": model,
        "positivePrompt": request.prompt,
        "negativePrompt": request.negative_prompt,
        "width": request.width,
        "height": request.height,
        "numberResults": request.n,
        "seed": request.seed,
        "outputType": "base64Data",
        "outputFormat": _FORMATS[request.output_format],
        "includeCost": True,
    }
    images = [data_url(image.data, image.content_type) for image in call.images]
    if call.mask is not None:
        mask = data_url(call.mask.data, call.mask.content_type)
        task |= {"seedImage": images[0], "maskImage": mask}
    elif len(images) > 1:
        task["referenceImages"] = images
    elif images:
        task |= {"seedImage": images[0], "strength": _STRENGTH}
    return {name: value for name, value in task.items() if value is not None}


def _link(item: dict[str, Any]) -> object:
    inline = item.get("imageBase64Data")
    if isinstance(inline, str):
        return f"data:;base64,{inline}"
    return item.get("imageURL")


def _verdict(reply: Reply) -> ProviderError | None:
    codes = {str(error.get("code")) for error in items_of(reply.body, "errors")}
    if "invalidApiKey" in codes:
        return unauthorized()
    if codes & {"insufficientCredits", "insufficientBalance"}:
        return unpaid()
    if any(_REJECTED.search(code) for code in codes):
        return PromptRejected("the provider's policy forbids this content")
    return None
