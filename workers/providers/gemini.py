"""Google's Gemini models that draw, by `generateContent`.

One call makes one image, so `n` images are `n` calls at once. A refusal comes under
a 200, as a reason instead of an image; so does a model that preferred to write.

Source: `google-genai` 3.4 (read 2026-11); ratios and tiers as in Google's guide to
image generation.
"""

import asyncio
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar

from service.core.catalog import ProviderEntry
from service.core.errors import PromptRejected, ProviderError, ProviderThrottled
from service.core.provider import Call, Generated, GeneratedImage
from service.core.requests import GenerationRequest
from service.core.sizing import Size, nearest_ratio
from service.outbound import Outbound
from workers.providers._errors import unauthorized
from workers.providers._upstream import Reply, Upstream, decoded, encoded, no_image

_RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_REJECTED = re.compile(
    r"(IMAGE_)?(SAFETY|PROHIBITED_CONTENT|RECITATION)"
    r"|SPII|BLOCKLIST|MODEL_ARMOR|JAILBREAK"
)
_DELAY = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,9})?)s")


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
        path = f"/models/{model}:generateContent"
        replies = await asyncio.gather(
            *(self._upstream.post(path, payload=payload) for _ in range(request.n)),
            return_exceptions=True,
        )
        brought = [reply for reply in replies if isinstance(reply, Reply)]
        images = [image for reply in brought for image in _images(reply.body)]
        if not images:
            raise _why_none(replies)
        return Generated(
            images=[GeneratedImage(data=data) for data in images],
            upstream_id=_text(brought[0].body.get("responseId")),
            usage=_usage(brought),
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
    if "pro" in model:  # the others know one size, and refuse the field
        config["imageSize"] = size.tier
    return {
        "contents": [{"role": "user", "parts": parts}],
        "generationConfig": {
            "responseModalities": ["TEXT", "IMAGE"],
            "imageConfig": config,
        },
    }


def _images(body: dict[str, Any]) -> Iterator[bytes]:
    for candidate in _list(body.get("candidates")):
        content = candidate.get("content")
        for part in _list(content.get("parts") if isinstance(content, dict) else None):
            inline = part.get("inlineData")
            data = decoded(inline.get("data")) if isinstance(inline, dict) else None
            if data and not part.get("thought"):
                yield data


def _why_none(replies: list[Reply | BaseException]) -> BaseException:
    for reply in replies:
        if isinstance(reply, BaseException):
            return reply
        if any(_REJECTED.fullmatch(reason) for reason in _reasons(reply.body)):
            return PromptRejected("the provider's policy forbids this content")
    return no_image(billed=True)


def _reasons(body: dict[str, Any]) -> Iterator[str]:
    feedback = body.get("promptFeedback")
    if isinstance(feedback, dict):
        yield _text(feedback.get("blockReason")) or ""
    for candidate in _list(body.get("candidates")):
        yield _text(candidate.get("finishReason")) or ""


def _verdict(reply: Reply) -> ProviderError | None:
    """Read what Google tells in the details of an error only."""
    error = reply.body.get("error")
    for detail in _list(error.get("details") if isinstance(error, dict) else None):
        if detail.get("reason") == "API_KEY_INVALID":  # a 400, as is much else
            return unauthorized()
        delay = _DELAY.fullmatch(_text(detail.get("retryDelay")) or "")
        if delay:
            return ProviderThrottled(
                "the provider is too busy",
                retry_after=timedelta(seconds=float(delay[1])),
            )
    return None


def _usage(replies: list[Reply]) -> dict[str, int] | None:
    total: dict[str, int] = {}
    names = {
        "promptTokenCount": "input_tokens",
        "candidatesTokenCount": "output_tokens",
        "totalTokenCount": "total_tokens",
    }
    for reply in replies:
        counts = reply.body.get("usageMetadata")
        if not isinstance(counts, dict):
            continue
        for theirs, ours in names.items():
            if type(counts.get(theirs)) is int:
                total[ours] = total.get(ours, 0) + counts[theirs]
    return total or None


def _list(value: object) -> list[dict[str, Any]]:
    items = value if isinstance(value, list) else []
    return [item for item in items if isinstance(item, dict)]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
