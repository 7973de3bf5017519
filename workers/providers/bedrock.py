"""Amazon Bedrock, by `InvokeModel`: each family of models has a body of its own.

The key is one of Bedrock's API keys (`AWS_BEARER_TOKEN_BEDROCK`), not a pair for
signing. Stability's models tell a filtered picture by a reason where others have
nothing; Amazon's own edit what is black in a mask.

Source: Bedrock's user guide, "Inference request parameters", and `boto3` 1.44 (read
2026-11).
"""

from typing import Any, ClassVar
from urllib.parse import quote

from service.core.catalog import ProviderEntry
from service.core.errors import PromptRejected
from service.core.provider import Call, Generated, GeneratedImage
from service.core.requests import GenerationRequest
from service.core.sizing import Size, nearest_ratio
from service.outbound import Outbound
from workers.providers._upstream import Upstream, all_of, decoded, encoded, no_image

_RATIOS = ("1:1", "16:9", "9:16", "21:9", "9:21", "2:3", "3:2", "4:5", "5:4")
_STRENGTH = 0.7
_MOST_SEED = 2**31 - 1
_QUALITIES = {"high": "premium", "hd": "premium"}


class Bedrock:
    """One POST; Amazon's models draw several images in it, Stability's one."""

    adapter: ClassVar[str] = "bedrock"
    mask_style: ClassVar[str] = "black"

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
        calls = request.n if _is_stability(model) else 1

        async def one(index: int) -> list[bytes]:
            payload = payload_for(request, call, model=model, index=index)
            reply = await self._upstream.post(path, payload=payload, images=request.n)
            return _images(reply.body)

        made = await all_of(map(one, range(calls)))
        images = [data for some in made for data in some]
        return Generated(images=[GeneratedImage(data=data) for data in images])


def payload_for(
    request: GenerationRequest, call: Call, *, model: str, index: int
) -> dict[str, Any]:
    """Return the body of call number `index`, as the model's family has it."""
    if _is_stability(model):
        return _for_stability(request, call, index)
    return _for_amazon(request, call)


def _is_stability(model: str) -> bool:
    return "stability." in model


def _for_stability(
    request: GenerationRequest, call: Call, index: int
) -> dict[str, Any]:
    size = Size(request.width, request.height)
    payload: dict[str, Any] = {
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "output_format": "png" if request.output_format == "png" else "jpeg",
    }
    if request.seed is not None:
        payload["seed"] = (request.seed + index) % _MOST_SEED
    if call.images:
        image = encoded(call.images[0].data)
        payload |= {"mode": "image-to-image", "image": image, "strength": _STRENGTH}
    else:
        payload["aspect_ratio"] = nearest_ratio(size, _RATIOS)
    return {name: value for name, value in payload.items() if value is not None}


def _for_amazon(request: GenerationRequest, call: Call) -> dict[str, Any]:
    words: dict[str, Any] = {"text": request.prompt}
    if request.negative_prompt:
        words["negativeText"] = request.negative_prompt
    config: dict[str, Any] = {
        "numberOfImages": request.n,
        "quality": _QUALITIES.get(request.quality or "", "standard"),
    }
    if request.seed is not None:
        config["seed"] = request.seed % _MOST_SEED
    images = [encoded(image.data) for image in call.images]
    if call.mask is not None:
        kind, name = "INPAINTING", "inPaintingParams"
        words |= {"image": images[0], "maskImage": encoded(call.mask.data)}
    elif images:
        kind, name = "IMAGE_VARIATION", "imageVariationParams"
        words |= {"images": images, "similarityStrength": _STRENGTH}
    else:
        kind, name = "TEXT_IMAGE", "textToImageParams"
    if call.mask is None:
        config |= {"width": request.width, "height": request.height}
    return {"taskType": kind, name: words, "imageGenerationConfig": config}


def _images(body: dict[str, Any]) -> list[bytes]:
    items, reasons = body.get("images"), body.get("finish_reasons")
    if isinstance(reasons, list) and reasons and all(reasons):
        raise PromptRejected("the provider's policy forbids this content")
    found = [decoded(item) for item in items] if isinstance(items, list) else []
    images = [data for data in found if data]
    if not images:
        raise no_image(billed=bool(items))
    return images
