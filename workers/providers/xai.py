"""xAI's Grok Imagine: OpenAI's path with ratios instead of sizes.

An edit is JSON too, with one image as a `data:` URL. Errors are two flat strings.

Source: docs.x.ai, "Image generation", and ImageRouter's server (read 2026-11, not
exercised against xAI itself).
"""

from typing import Any, ClassVar

from service.core.catalog import ProviderEntry
from service.core.errors import PromptRejected, ProviderError
from service.core.provider import Call, Generated
from service.core.requests import GenerationRequest
from service.core.sizing import Size, nearest_ratio
from service.outbound import Outbound
from workers.providers._upstream import (
    Reply,
    Upstream,
    data_url,
    inline_or_link,
    items_of,
    revised,
)

_RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "2:1", "1:2")
_BAD_REQUEST = 400


class XAI:
    """One POST; the images come inline, always as JPEG."""

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
        items = items_of(reply, "data")[: request.n]
        images = await self._upstream.fetched([inline_or_link(item) for item in items])
        return Generated(images=revised(images, items), upstream_id=reply.upstream_id)


def payload_for(
    request: GenerationRequest, call: Call, *, model: str
) -> dict[str, Any]:
    """Return the body."""
    payload: dict[str, Any] = {
        "model": model,
        "prompt": request.prompt,
        "n": request.n,
        "response_format": "b64_json",
        "user": request.user,
    }
    if call.images:
        image = call.images[0]
        payload["image"] = {"url": data_url(image.data, image.content_type)}
    else:
        size = Size(request.width, request.height)
        payload["aspect_ratio"] = nearest_ratio(size, _RATIOS)
    return {name: value for name, value in payload.items() if value is not None}


def _verdict(reply: Reply) -> ProviderError | None:
    if reply.answer.status == _BAD_REQUEST and "content" in str(
        reply.body.get("code", "")
    ):
        return PromptRejected("the provider's policy forbids this content")
    return None
