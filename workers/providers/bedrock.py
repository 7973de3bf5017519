"""Stability's models on Amazon Bedrock, by `InvokeModel`: one call an image.

The key is one of Bedrock's API keys (`AWS_BEARER_TOKEN_BEDROCK`), not a pair for
signing. A picture that was filtered is a reason in its place, under a 200; so is one
that failed. Amazon's own models that drew (Titan, Nova Canvas) are gone since
2026-09-30, and their bodies with them.

Source: Bedrock's user guide, "Stability AI models" and "Stability AI Image Services",
and `boto3` 1.44 (read 2026-11).
"""

from typing import Any, ClassVar
from urllib.parse import quote

from service.core.catalog import ProviderEntry
from service.core.errors import PromptRejected, ProviderUnavailable
from service.core.provider import Call, Generated, GeneratedImage
from service.core.requests import GenerationRequest
from service.core.sizing import Size, nearest_ratio
from service.outbound import Outbound
from workers.providers._bodies import decoded, encoded
from workers.providers._upstream import Upstream, all_of, no_image

_RATIOS = ("1:1", "16:9", "9:16", "21:9", "9:21", "2:3", "3:2", "4:5", "5:4")
_STRENGTH = 0.7
_MOST_SEED = 4_294_967_295
_FILTERED = "Filter reason"


class Bedrock:
    """Text, an image to start from, or (by the model `...inpaint...`) a mask."""

    adapter: ClassVar[str] = "bedrock"
    mask_style: ClassVar[str] = "white"

    def __init__(
        self, entry: ProviderEntry, outbound: Outbound, api_key: str | None
    ) -> None:
        headers = {"Authorization": f"Bearer {api_key or ''}"}
        self._upstream = Upstream(entry, outbound, headers=headers)

    async def generate(
        self, request: GenerationRequest, *, model: str, call: Call
    ) -> Generated:
        """See `Provider.generate`."""
        path = f"/model/{quote(model, safe='')}/invoke"

        async def one(index: int) -> tuple[bytes, str | None]:
            payload = payload_for(request, call, model=model, index=index)
            reply = await self._upstream.post(path, payload=payload)
            upstream_id = reply.answer.headers.get("x-amzn-requestid", "")[:128]
            return _image(reply.body), upstream_id or None

        made = await all_of(map(one, range(request.n)))
        images = [GeneratedImage(data=data) for data, _ in made]
        return Generated(images=images, upstream_id=made[0][1])


def payload_for(
    request: GenerationRequest, call: Call, *, model: str, index: int
) -> dict[str, Any]:
    """Return the body of the call for image number `index`."""
    payload: dict[str, Any] = {
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "output_format": "png" if request.output_format == "png" else "jpeg",
    }
    if request.seed is not None:
        payload["seed"] = (request.seed + index) % _MOST_SEED
    if not call.images:
        size = Size(request.width, request.height)
        payload["aspect_ratio"] = nearest_ratio(size, _RATIOS)
    else:
        payload["image"] = encoded(call.images[0].data)
        if call.mask is not None:
            payload["mask"] = encoded(call.mask.data)
        else:
            payload["strength"] = _STRENGTH
            if "sd3" in model:
                payload["mode"] = "image-to-image"
    return {name: value for name, value in payload.items() if value is not None}


def _image(body: dict[str, Any]) -> bytes:
    match body:
        case {"finish_reasons": [str(reason), *_]} if reason.startswith(_FILTERED):
            raise PromptRejected("the provider's policy forbids this content")
        case {"finish_reasons": [str(_), *_]}:
            raise ProviderUnavailable("the provider failed at the image")
        case {"images": [item, *_]} if data := decoded(item):
            return data
        case _:
            raise no_image(billed=bool(body.get("images")))
