"""Together: OpenAI's path, with fields of its own.

What an item of the answer is, its `type` says. Steps are left to the model: the
right number differs a hundredfold between them.

Source: `together` 2.36 (read and exercised 2026-11) and its guide to reference images.
"""

from typing import Any, ClassVar

from service.core.catalog import ProviderEntry
from service.core.errors import PromptRejected, ProviderError
from service.core.provider import Call, Generated
from service.core.requests import GenerationRequest
from service.outbound import Outbound
from workers.providers._bodies import data_url, error_of, inline_or_link, items_of
from workers.providers._upstream import Reply, Upstream

_ONE = "kontext"
"""The family that takes one image to start from, under another name."""


class Together:
    """One POST; the images come inline."""

    adapter: ClassVar[str] = "together"

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
            "/images/generations",
            payload=payload_for(request, call, model=model),
            images=request.n,
        )
        links = [inline_or_link(item) for item in items_of(reply.body, "data")]
        return Generated(
            images=await self._upstream.fetched(links[: request.n]),
            upstream_id=reply.upstream_id,
        )


def payload_for(
    request: GenerationRequest, call: Call, *, model: str
) -> dict[str, Any]:
    """Return the body."""
    payload: dict[str, Any] = {
        "model": model,
        "prompt": request.prompt,
        "n": request.n,
        "width": request.width,
        "height": request.height,
        "seed": request.seed,
        "negative_prompt": request.negative_prompt,
        "response_format": "base64",
        "output_format": "png" if request.output_format == "png" else "jpeg",
    }
    images = [data_url(image.data, image.content_type) for image in call.images]
    if images:
        one = _ONE in model.lower()
        payload |= {"image_url": images[0]} if one else {"reference_images": images}
    return {name: value for name, value in payload.items() if value is not None}


def _verdict(reply: Reply) -> ProviderError | None:
    error = error_of(reply.body)
    if "nsfw" in f"{error.get('code')} {error.get('type')}".lower():
        return PromptRejected("the provider's policy forbids this content")
    return None
