"""OpenAI's images API, and by `base_url` every server that imitates it.

What is sent, `workers.providers._openai_requests` says, and what comes as a stream,
`workers.providers._openai_events`. Where images come as links,
these are followed at once, because they expire.

Source: OpenAI API reference, "Images" (read 2026-11).
"""

from typing import Any, ClassVar

import pybase64
import structlog

from service.core.catalog import ProviderEntry
from service.core.errors import BadOutput, PromptRejected, ProviderError
from service.core.provider import Call, Generated, GeneratedImage
from service.core.requests import GenerationRequest
from service.outbound import MAX_BYTES, Answer, Form, Outbound, OutboundError
from workers.providers._bodies import counted
from workers.providers._errors import outbound_errors, refusal, unpaid
from workers.providers._openai_events import Events
from workers.providers._openai_requests import (
    fields_for,
    files_for,
    payload_for,
    streams,
)

log = structlog.get_logger()

_REJECTED = frozenset({"moderation_blocked", "content_policy_violation"})
_UNPAID = frozenset({"insufficient_quota", "billing_hard_limit_reached"})


class OpenAI:
    """One POST; the images come in its answer, inline or as links."""

    adapter: ClassVar[str] = "openai"

    def __init__(
        self, entry: ProviderEntry, outbound: Outbound, api_key: str | None
    ) -> None:
        self._url = f"{entry.base_url}/images"
        self._timeout = entry.timeout
        self._outbound = outbound
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}

    async def generate(
        self, request: GenerationRequest, *, model: str, call: Call
    ) -> Generated:
        """See `Provider.generate`."""
        events = Events(call) if streams(request, model=model) else None
        with outbound_errors():
            answer = await self._answer(request, model, call, events)
        upstream_id = answer.headers.get("x-request-id", "")[:128] or None
        streamed = events is not None and answer.ok
        body = events.body if events and streamed else answer.json_object()
        if not answer.ok or body is None or body.get("error"):
            raise _failure(answer, body or {}, upstream_id)
        return Generated(
            images=await self._images(body, request.n, upstream_id),
            upstream_id=upstream_id,
            usage=_usage(body),
        )

    async def _answer(
        self,
        request: GenerationRequest,
        model: str,
        call: Call,
        events: Events | None,
    ) -> Answer:
        payload: dict[str, Any] | None = None
        form: Form | None = None
        if request.operation == "generate":
            path, payload = "generations", payload_for(request, model=model)
        else:
            path, fields = f"{request.operation}s", fields_for(request, model=model)
            form = [*fields.items(), *files_for(request, call)]
        return await self._outbound.send(
            "POST",
            f"{self._url}/{path}",
            headers=self._headers,
            payload=payload,
            form=form,
            within=self._timeout,
            max_bytes=(request.n + request.partial_images) * MAX_BYTES,
            sink=None if events is None else events.take,
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


def _failure(
    answer: Answer, body: dict[str, Any], upstream_id: str | None
) -> ProviderError:
    error = body.get("error")
    code = str(error.get("code")) if isinstance(error, dict) else ""
    if code in _REJECTED:
        return PromptRejected(
            "the provider's policy forbids this content", upstream_id=upstream_id
        )
    if answer.ok:
        return BadOutput(
            "the provider answered with something else than images",
            upstream_id=upstream_id,
        )
    if code in _UNPAID:
        return unpaid(upstream_id=upstream_id)
    return refusal(answer, upstream_id=upstream_id)


def _usage(body: dict[str, Any]) -> dict[str, int] | None:
    usage = body.get("usage")
    if not isinstance(usage, dict):
        return None
    details = usage.get("input_tokens_details")
    inputs = details.items() if isinstance(details, dict) else ()
    flat = {**usage, **{f"input_{name}": count for name, count in inputs}}
    return counted(flat)
