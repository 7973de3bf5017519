"""Hugging Face's own inference (`hf-inference`), which answers with bare bytes.

The base URL is `https://router.huggingface.co/hf-inference`, or an endpoint of one's
own, for which the provider model is `-`. A model that is still being loaded is a 503
that says for how long.

Source: `huggingface_hub` 2.4, `InferenceClient.text_to_image` (read 2026-11).
"""

import secrets
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import quote

from service.core.catalog import ProviderEntry
from service.core.errors import ProviderError, ProviderThrottled
from service.core.provider import Call, Generated, GeneratedImage
from service.core.requests import GenerationRequest
from service.outbound import Outbound
from workers.providers._upstream import Reply, Upstream, all_of, no_image

_LOADING = 503
_OWN_ENDPOINT = "-"


class HuggingFace:
    """One POST an image."""

    adapter: ClassVar[str] = "huggingface"

    def __init__(
        self, entry: ProviderEntry, outbound: Outbound, api_key: str | None
    ) -> None:
        headers = {"Authorization": f"Bearer {api_key or ''}", "Accept": "image/png"}
        self._upstream = Upstream(entry, outbound, headers=headers, verdict=_verdict)

    async def generate(
        self, request: GenerationRequest, *, model: str, call: Call
    ) -> Generated:
        """See `Provider.generate`."""
        _ = call  # it draws from words only
        path = "" if model == _OWN_ENDPOINT else f"/models/{quote(model)}"

        async def one(index: int) -> tuple[GeneratedImage, str | None]:
            payload = payload_for(request, index=index)
            reply = await self._upstream.post(path, payload=payload)
            if not reply.answer.body:
                raise no_image(upstream_id=reply.upstream_id)
            return GeneratedImage(data=reply.answer.body), reply.upstream_id

        made = await all_of(map(one, range(request.n)))
        return Generated(images=[image for image, _ in made], upstream_id=made[0][1])


def payload_for(request: GenerationRequest, *, index: int) -> dict[str, Any]:
    """Return the body of the call for image number `index`."""
    parameters = {
        "width": request.width,
        "height": request.height,
        "negative_prompt": request.negative_prompt,
        # Equal calls would be answered from a cache; so no two of them are.
        "seed": (_dice() if request.seed is None else request.seed + index),
    }
    said = {name: value for name, value in parameters.items() if value is not None}
    return {"inputs": request.prompt, "parameters": said}


def _dice() -> int:
    return secrets.randbelow(2**31)


def _verdict(reply: Reply) -> ProviderError | None:
    match reply.body:
        case {"estimated_time": int(wait) | float(wait)} if (
            reply.answer.status == _LOADING
        ):
            return ProviderThrottled(
                "the provider is loading the model",
                retry_after=timedelta(seconds=min(max(wait, 0), 600)),
            )
        case _:
            return None
