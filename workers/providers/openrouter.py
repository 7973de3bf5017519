"""OpenRouter's chat with images: a model is asked to answer in pictures.

One call brings one image, as a `data:` URL in the message; what the call cost stands
in its usage. A refusal is a 403 with the reasons beside it.

Source: OpenRouter's guide to image generation (read 2026-11); `openai` drives the
fake.
"""

from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

from service.core.catalog import ProviderEntry
from service.core.errors import PromptRejected, ProviderError
from service.core.provider import Call, Generated, GeneratedImage
from service.core.requests import GenerationRequest
from service.core.sizing import Size, nearest_ratio
from service.outbound import Outbound
from workers.providers._upstream import Reply, Upstream, all_of, data_url, error_of

_RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_FORBIDDEN = 403


class OpenRouter:
    """One POST an image."""

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
        payload = payload_for(request, call, model=model)

        async def one(_: int) -> tuple[GeneratedImage, Reply]:
            reply = await self._upstream.post("/chat/completions", payload=payload)
            images = await self._upstream.fetched(_links(reply.body))
            return images[0], reply

        made = await all_of(map(one, range(request.n)))
        costs = [cost for _, reply in made if (cost := _cost(reply)) is not None]
        return Generated(
            images=[image for image, _ in made],
            upstream_id=str(made[0][1].body.get("id", ""))[:128] or None,
            cost_usd=sum(costs, Decimal(0)) if len(costs) == request.n else None,
        )


def payload_for(
    request: GenerationRequest, call: Call, *, model: str
) -> dict[str, Any]:
    """Return the body of one call."""
    content: list[dict[str, Any]] = [{"type": "text", "text": request.prompt}]
    content += [
        {
            "type": "image_url",
            "image_url": {"url": data_url(image.data, image.content_type)},
        }
        for image in call.images
    ]
    size = Size(request.width, request.height)
    config = {"aspect_ratio": nearest_ratio(size, _RATIOS), "image_size": size.tier}
    return {
        "model": model,
        "messages": [{"role": "user", "content": content}],
        "modalities": ["image", "text"],
        "image_config": config,
        "usage": {"include": True},
    }


def _links(body: dict[str, Any]) -> list[Any]:
    match body:
        case {"choices": [{"message": {"images": list(images)}}, *_]}:
            return [
                image["image_url"].get("url")
                for image in images
                if isinstance(image, dict) and isinstance(image.get("image_url"), dict)
            ]
        case _:
            return []


def _cost(reply: Reply) -> Decimal | None:
    match reply.body:
        case {"usage": {"cost": int(cost) | float(cost)}}:
            try:
                return Decimal(str(cost))
            except InvalidOperation:
                return None
        case _:
            return None


def _verdict(reply: Reply) -> ProviderError | None:
    metadata = error_of(reply).get("metadata")
    if (
        reply.answer.status == _FORBIDDEN
        and isinstance(metadata, dict)
        and "reasons" in metadata
    ):
        return PromptRejected("the provider's policy forbids this content")
    return None
