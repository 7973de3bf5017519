"""DeepInfra's own inference route, which tells the cost of each call.

A refusal is a status inside the answer, under a 200. Its models that edit stand at an
address of OpenAI's shape, `https://api.deepinfra.com/v1/openai`: for those, use the
adapter `openai`.

Source: deepinfra.com/docs, `@ai-sdk/deepinfra` and ImageRouter's server (read 2026-11,
not exercised against DeepInfra itself).
"""

from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import quote

from service.core.catalog import ProviderEntry
from service.core.errors import PromptRejected
from service.core.provider import Call, Generated
from service.core.requests import GenerationRequest
from service.outbound import Outbound
from workers.providers._bodies import dollars
from workers.providers._upstream import Upstream


class DeepInfra:
    """One POST; images come as `data:` URLs or as links."""

    adapter: ClassVar[str] = "deepinfra"

    def __init__(
        self, entry: ProviderEntry, outbound: Outbound, api_key: str | None
    ) -> None:
        headers = {"Authorization": f"Bearer {api_key or ''}"}
        self._upstream = Upstream(entry, outbound, headers=headers)

    async def generate(
        self, request: GenerationRequest, *, model: str, call: Call
    ) -> Generated:
        """See `Provider.generate`."""
        _ = call
        reply = await self._upstream.post(
            f"/v1/inference/{quote(model)}",
            payload=payload_for(request),
            images=request.n,
        )
        if reply.body.get("status") == "request_moderated":
            raise PromptRejected("the provider's policy forbids this content")
        links = _links(reply.body)[: request.n]
        return Generated(
            images=await self._upstream.fetched(links),
            upstream_id=str(reply.body.get("request_id") or "")[:128] or None,
            cost_usd=_cost(reply.body),
        )


def payload_for(request: GenerationRequest) -> dict[str, Any]:
    """Return the body."""
    payload = {
        "prompt": request.prompt,
        "num_images": request.n,
        "width": request.width,
        "height": request.height,
        "seed": request.seed,
        "negative_prompt": request.negative_prompt,
    }
    return {name: value for name, value in payload.items() if value is not None}


def _links(body: dict[str, Any]) -> list[Any]:
    for name in ("images", "image_urls", "image_url"):
        value = body.get(name)
        if value:
            return value if isinstance(value, list) else [value]
    return []


def _cost(body: dict[str, Any]) -> Decimal | None:
    status = body.get("inference_status")
    return dollars(status.get("cost")) if isinstance(status, dict) else None
