"""xAI's Grok Imagine: OpenAI's path with ratios and resolutions instead of sizes.

An edit is JSON too, with its images as `data:` URLs. Errors are two flat strings. A
picture that was moderated may be an item without one, a reason beside no items, or a
400 whose words say so; what a call cost is counted in ticks.

Source: docs.x.ai, "Image generation", and `@ai-sdk/xai` (source of 2026-08; read
2026-11, not exercised against xAI itself).
"""

import re
from decimal import Decimal
from typing import Any, ClassVar

from service.core.catalog import ProviderEntry
from service.core.errors import PromptRejected, ProviderError
from service.core.provider import Call, Generated
from service.core.requests import GenerationRequest
from service.core.sizing import Size, nearest_ratio
from service.outbound import Outbound
from workers.providers._bodies import (
    data_url,
    dollars,
    inline_or_link,
    items_of,
    revised,
)
from workers.providers._upstream import Reply, Upstream

_RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "2:1", "1:2")
_QUALITIES = frozenset({"low", "medium", "high"})
_BAD_REQUEST = 400
_MODERATED = re.compile(r"content (moderation|policy)|moderated", re.IGNORECASE)
_TICK = Decimal("1e-10")
"""Of a US dollar."""


class XAI:
    """One POST; the images come inline."""

    adapter: ClassVar[str] = "xai"

    def __init__(
        self, entry: ProviderEntry, outbound: Outbound, api_key: str | None
    ) -> None:
        headers = {"Authorization": f"Bearer {api_key or ''}"}
        self._upstream = Upstream(entry, outbound, headers=headers, verdict=_verdict)

    async def generate(
        self, request: GenerationRequest, *, model: str, call: Call
    ) -> Generated:
        """See `Provider.generate`."""
        reply = await self._upstream.post(
            f"/images/{'edits' if call.images else 'generations'}",
            payload=payload_for(request, call, model=model),
            images=request.n,
        )
        items = items_of(reply.body, "data")[: request.n]
        seen = [item for item in items if item.get("respect_moderation") is not False]
        if not seen and (items or reply.body.get("block_reason")):
            raise PromptRejected("the provider's policy forbids this content")
        images = await self._upstream.fetched([inline_or_link(item) for item in seen])
        return Generated(
            images=revised(images, seen),
            upstream_id=reply.upstream_id,
            cost_usd=_cost(reply.body),
        )


def payload_for(
    request: GenerationRequest, call: Call, *, model: str
) -> dict[str, Any]:
    """Return the body."""
    size = Size(request.width, request.height)
    payload: dict[str, Any] = {
        "model": model,
        "prompt": request.prompt,
        "n": request.n,
        "response_format": "b64_json",
        "resolution": "1k" if size.tier == "1K" else "2k",
        "quality": request.quality if request.quality in _QUALITIES else None,
        "user": request.user,
    }
    images = [
        {"type": "image_url", "url": data_url(image.data, image.content_type)}
        for image in call.images
    ]
    if len(images) > 1:
        payload["images"] = images
    elif images:
        payload["image"] = images[0]
    else:
        payload["aspect_ratio"] = nearest_ratio(size, _RATIOS)
    return {name: value for name, value in payload.items() if value is not None}


def _cost(body: dict[str, Any]) -> Decimal | None:
    usage = body.get("usage")
    ticks = dollars(usage.get("cost_in_usd_ticks")) if isinstance(usage, dict) else None
    return None if ticks is None else ticks * _TICK


def _verdict(reply: Reply) -> ProviderError | None:
    told = f"{reply.body.get('code')} {reply.body.get('error')}"
    if reply.answer.status == _BAD_REQUEST and _MODERATED.search(told):
        return PromptRejected("the provider's policy forbids this content")
    return None
