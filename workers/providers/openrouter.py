"""OpenRouter's image API, which is another than its chat, and reaches more models.

One form for all models: what a provider's model cannot do, OpenRouter leaves out or
comes near to, but a model that makes one image refuses to make two. What the call cost
stands in its usage.

Source: `openrouter` 1.3.84, its own SDK (read and exercised 2026-11).
"""

from decimal import Decimal
from typing import Any, ClassVar

from service.core.catalog import ProviderEntry
from service.core.errors import PromptRejected, ProviderError
from service.core.provider import Call, Generated
from service.core.requests import GenerationRequest
from service.core.sizing import Size, nearest_ratio
from service.outbound import Outbound
from workers.providers._bodies import (
    counted,
    data_url,
    dollars,
    error_of,
    inline_or_link,
    items_of,
)
from workers.providers._upstream import Reply, Upstream

_RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_QUALITIES = {"standard": "medium", "hd": "high"}
_FORBIDDEN = 403
_COUNTS = {
    "prompt_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
    "total_tokens": "total_tokens",
}


class OpenRouter:
    """One POST; the images come inline."""

    adapter: ClassVar[str] = "openrouter"

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
            "/images",
            payload=payload_for(request, call, model=model),
            images=request.n,
        )
        items = items_of(reply.body, "data")[: request.n]
        images = await self._upstream.fetched([inline_or_link(item) for item in items])
        cost, usage = _usage(reply.body)
        return Generated(
            images=images,
            upstream_id=_name(reply),
            cost_usd=cost,
            usage=usage,
        )


def payload_for(
    request: GenerationRequest, call: Call, *, model: str
) -> dict[str, Any]:
    """Return the body; what would only repeat a default is left out."""
    size = Size(request.width, request.height)
    payload: dict[str, Any] = {
        "model": model,
        "prompt": request.prompt,
        "aspect_ratio": nearest_ratio(size, _RATIOS),
        "resolution": None if size.tier == "1K" else size.tier,
        "n": request.n if request.n > 1 else None,
        "quality": _QUALITIES.get(request.quality or "", request.quality),
        "background": request.background,
        "seed": request.seed,
        "user": request.user,
    }
    if call.images:
        payload["input_references"] = [
            {
                "type": "image_url",
                "image_url": {"url": data_url(image.data, image.content_type)},
            }
            for image in call.images
        ]
    return {name: value for name, value in payload.items() if value is not None}


def _name(reply: Reply) -> str | None:
    named = reply.body.get("id") or reply.answer.headers.get("x-generation-id")
    return named[:128] if isinstance(named, str) else None


def _usage(body: dict[str, Any]) -> tuple[Decimal | None, dict[str, int] | None]:
    usage = body.get("usage")
    if not isinstance(usage, dict):
        return None, None
    known = counted(usage)
    counts = {ours: known[name] for name, ours in _COUNTS.items() if name in known}
    return dollars(usage.get("cost")), counts or None


def _verdict(reply: Reply) -> ProviderError | None:
    metadata = error_of(reply.body).get("metadata")
    if (
        reply.answer.status == _FORBIDDEN
        and isinstance(metadata, dict)
        and "reasons" in metadata
    ):
        return PromptRejected("the provider's policy forbids this content")
    return None
