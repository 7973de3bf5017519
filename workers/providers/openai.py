"""OpenAI's images API, and by `base_url` every server that imitates it.

The model's name decides what may be sent: the gpt-image family refuses
`response_format`, which dall-e and most imitators need in order to send images
instead of links. Links are followed at once, because they expire.

Source: OpenAI API reference, "Create image" (read 2026-11).
"""

from typing import Any, ClassVar

import pybase64
import structlog

from service.core.catalog import ProviderEntry
from service.core.errors import BadOutput, PromptRejected, ProviderError
from service.core.provider import Call, Generated, GeneratedImage
from service.core.requests import GenerationRequest
from service.outbound import MAX_BYTES, Answer, Outbound, OutboundError
from workers.providers._errors import outbound_errors, refusal, unpaid

log = structlog.get_logger()

_GPT_QUALITY = {"standard": "medium", "hd": "high"}
_DALLE_QUALITY = {"low": "standard", "medium": "standard", "high": "hd"}
_REJECTED = frozenset({"moderation_blocked", "content_policy_violation"})
_UNPAID = frozenset({"insufficient_quota", "billing_hard_limit_reached"})


class OpenAI:
    """One POST; the images come in its answer, inline or as links."""

    adapter: ClassVar[str] = "openai"

    def __init__(
        self, entry: ProviderEntry, outbound: Outbound, api_key: str | None
    ) -> None:
        self._url = f"{entry.base_url}/images/generations"
        self._timeout = entry.timeout
        self._outbound = outbound
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}

    async def generate(
        self, request: GenerationRequest, *, model: str, call: Call
    ) -> Generated:
        """See `Provider.generate`."""
        _ = call
        with outbound_errors():
            answer = await self._outbound.post_json(
                self._url,
                headers=self._headers,
                payload=payload_for(request, model=model),
                within=self._timeout,
                max_bytes=request.n * MAX_BYTES,
            )
        upstream_id = answer.headers.get("x-request-id", "")[:128] or None
        body = answer.json_object()
        if not answer.ok or body is None or body.get("error"):
            raise _failure(answer, body or {}, upstream_id)
        return Generated(
            images=await self._images(body, request.n, upstream_id),
            upstream_id=upstream_id,
            usage=_usage(body),
        )

    async def _images(
        self, body: dict[str, Any], n: int, upstream_id: str | None
    ) -> list[GeneratedImage]:
        items = body.get("data")
        images = []
        for item in items[:n] if isinstance(items, list) else ():
            data = await self._data(item) if isinstance(item, dict) else None
            if data:
                revised = item.get("revised_prompt")
                images.append(
                    GeneratedImage(
                        data=data,
                        revised_prompt=revised if isinstance(revised, str) else None,
                    )
                )
        if not images:
            raise BadOutput(
                "the provider's answer holds no image that can be had",
                upstream_id=upstream_id,
                billed=bool(items),
            )
        return images

    async def _data(self, item: dict[str, Any]) -> bytes | None:
        """Return the bytes of one item; None when they cannot be had."""
        inline, link = item.get("b64_json"), item.get("url")
        if not isinstance(inline, str) and isinstance(link, str):
            if not link.startswith("data:"):
                return await self._downloaded(link)
            inline = link
        if not isinstance(inline, str):
            return None
        if inline.startswith("data:"):
            inline = inline.partition(",")[2]
        try:
            return pybase64.b64decode(inline, validate=True)
        except ValueError:
            return None

    async def _downloaded(self, link: str) -> bytes | None:
        try:
            return await self._outbound.download(link, same_origin_as=self._url)
        except OutboundError as exc:
            log.warning("download.failed", reason=str(exc))
            return None


def payload_for(request: GenerationRequest, *, model: str) -> dict[str, Any]:
    """Return the body for `model`, with nothing in it that the model refuses."""
    payload: dict[str, Any] = {
        "model": model,
        "prompt": request.prompt,
        "n": request.n,
        "size": request.size,
        "user": request.user,
    }
    if model.startswith(("gpt-image-", "chatgpt-image-")):
        payload |= _for_gpt_image(request)
    elif model.startswith("dall-e-"):
        payload |= _for_dall_e(request, model)
    else:
        payload |= _for_imitators(request)
    return {name: value for name, value in payload.items() if value is not None}


def _for_gpt_image(request: GenerationRequest) -> dict[str, Any]:
    lossy = request.output_format != "png"
    return {
        "quality": _GPT_QUALITY.get(request.quality or "", request.quality),
        "background": request.background,
        "moderation": request.moderation,
        "output_format": request.output_format,
        "output_compression": request.output_compression if lossy else None,
    }


def _for_dall_e(request: GenerationRequest, model: str) -> dict[str, Any]:
    fields: dict[str, Any] = {"response_format": "b64_json"}
    if model == "dall-e-3":
        quality = request.quality if request.quality != "auto" else None
        fields["quality"] = _DALLE_QUALITY.get(quality or "", quality)
        fields["style"] = request.style
    return fields


def _for_imitators(request: GenerationRequest) -> dict[str, Any]:
    """Whatever the caller said; the catalog's features have let it through."""
    return {
        "response_format": "b64_json",
        "quality": request.quality,
        "style": request.style,
        "background": request.background,
        "seed": request.seed,
        "negative_prompt": request.negative_prompt,
    }


def _failure(
    answer: Answer, body: dict[str, Any], upstream_id: str | None
) -> ProviderError:
    error = body.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    if answer.ok:
        return BadOutput(
            "the provider answered with something else than images",
            upstream_id=upstream_id,
        )
    if code in _REJECTED:
        return PromptRejected(
            "the provider's policy forbids this content", upstream_id=upstream_id
        )
    if code in _UNPAID:
        return unpaid(upstream_id=upstream_id)
    return refusal(answer, upstream_id=upstream_id)


def _usage(body: dict[str, Any]) -> dict[str, int] | None:
    usage = body.get("usage")
    if not isinstance(usage, dict):
        return None
    return {name: count for name, count in usage.items() if type(count) is int}
