"""Google's Gemini models that draw, by `generateContent`.

One call makes one image, so `n` images are `n` calls at once. A refusal comes under
a 200, as a reason instead of an image; so does a model that preferred to write. The
same models answer on Vertex AI, with a base URL that ends in `publishers/google`.

Source: `google-genai` 3.4 (read and exercised 2026-11); ratios and tiers as in
Google's guide to image generation.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, ClassVar

from service.core.catalog import ProviderEntry
from service.core.errors import PromptRejected, ProviderError, ProviderThrottled
from service.core.provider import Call, Generated, GeneratedImage
from service.core.requests import GenerationRequest
from service.core.sizing import Size, nearest_ratio
from service.outbound import Outbound
from workers.providers._bodies import counted, decoded, encoded, error_of, items_of
from workers.providers._errors import unauthorized
from workers.providers._upstream import Reply, Upstream, all_of, no_image

_RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_ONE_SIZE = "gemini-2.5-"
_REJECTED = re.compile(
    r"(IMAGE_)?(SAFETY|PROHIBITED_CONTENT|RECITATION)"
    r"|SPII|BLOCKLIST|MODEL_ARMOR|JAILBREAK"
)
_DELAY = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,9})?)s")
_COUNTS = {
    "promptTokenCount": "input_tokens",
    "candidatesTokenCount": "output_tokens",
    "totalTokenCount": "total_tokens",
}


class Gemini:
    """One POST an image; the image stands somewhere among the parts of its answer."""

    adapter: ClassVar[str] = "gemini"

    def __init__(
        self, entry: ProviderEntry, outbound: Outbound, api_key: str | None
    ) -> None:
        headers = {"x-goog-api-key": api_key or ""}
        self._upstream = Upstream(entry, outbound, headers=headers, verdict=_verdict)

    async def generate(
        self, request: GenerationRequest, *, model: str, call: Call
    ) -> Generated:
        """See `Provider.generate`."""
        payload = payload_for(request, call, model=model)

        async def one(_: int) -> tuple[bytes, dict[str, Any]]:
            path = f"/models/{model}:generateContent"
            body = (await self._upstream.post(path, payload=payload)).body
            return _image(body), body

        made = await all_of(map(one, range(request.n)))
        upstream_id = made[0][1].get("responseId")
        return Generated(
            images=[GeneratedImage(data=data) for data, _ in made],
            upstream_id=upstream_id[:128] if isinstance(upstream_id, str) else None,
            usage=_usage(body for _, body in made),
        )


def payload_for(
    request: GenerationRequest, call: Call, *, model: str
) -> dict[str, Any]:
    """Return the body of one call."""
    parts: list[dict[str, Any]] = [
        {
            "inlineData": {
                "mimeType": image.content_type,
                "data": encoded(image.data),
            }
        }
        for image in call.images
    ]
    if request.prompt:
        parts.append({"text": request.prompt})
    size = Size(request.width, request.height)
    config = {"aspectRatio": nearest_ratio(size, _RATIOS)}
    if not model.startswith(_ONE_SIZE):  # these refuse the field
        config["imageSize"] = size.tier
    return {
        "contents": [{"role": "user", "parts": parts}],
        "generationConfig": {
            "responseModalities": ["TEXT", "IMAGE"],
            "imageConfig": config,
        },
    }


def _image(body: dict[str, Any]) -> bytes:
    """Return the first image that is no sketch on the way to one."""
    for candidate in items_of(body, "candidates"):
        content = candidate.get("content")
        for part in items_of(content, "parts") if isinstance(content, dict) else ():
            inline = part.get("inlineData")
            data = decoded(inline.get("data")) if isinstance(inline, dict) else None
            if data and not part.get("thought"):
                return data
    if any(_REJECTED.fullmatch(reason) for reason in _reasons(body)):
        raise PromptRejected("the provider's policy forbids this content")
    raise no_image(billed=True)


def _reasons(body: dict[str, Any]) -> Iterator[str]:
    feedback = body.get("promptFeedback")
    if isinstance(feedback, dict):
        yield str(feedback.get("blockReason"))
    for candidate in items_of(body, "candidates"):
        yield str(candidate.get("finishReason"))


def _verdict(reply: Reply) -> ProviderError | None:
    """Read what Google tells in the details of an error only."""
    for detail in items_of(error_of(reply.body), "details"):
        if detail.get("reason") == "API_KEY_INVALID":  # a 400, as is much else
            return unauthorized()
        delay = _DELAY.fullmatch(str(detail.get("retryDelay")))
        if delay:
            return ProviderThrottled(
                "the provider is too busy",
                retry_after=timedelta(seconds=float(delay[1])),
            )
    return None


def _usage(bodies: Iterable[dict[str, Any]]) -> dict[str, int] | None:
    total: dict[str, int] = {}
    for body in bodies:
        match body:
            case {"usageMetadata": dict(counts)}:
                for name, count in counted(counts).items():
                    if (ours := _COUNTS.get(name)) is not None:
                        total[ours] = total.get(ours, 0) + count
    return total or None
