"""OpenAI's models on Azure, where a deployment of yours stands for the model.

The address is of the v1 API, `https://RESOURCE.openai.azure.com/openai/v1`, which
routes by the deployment in `model`. What may be said to it depends on the model that
was deployed, which nobody tells: one whose name has `dall-e` in it is taken for that
family, every other for gpt-image. A refusal may hide behind an inner error.

Source: Microsoft's "Azure OpenAI v1 API" and "Content filtering", `openai` 3.52 (read
and exercised 2026-11).
"""

from dataclasses import replace
from typing import Any, ClassVar

from service.core.catalog import ProviderEntry
from service.core.errors import PromptRejected, ProviderError
from service.core.provider import Call, Generated
from service.core.requests import GenerationRequest
from service.outbound import Form, Outbound
from workers.providers._bodies import (
    counted,
    error_of,
    inline_or_link,
    items_of,
    revised,
)
from workers.providers._errors import unpaid
from workers.providers._openai_requests import fields_for, files_for, payload_for
from workers.providers._upstream import Reply, Upstream

_REJECTED = frozenset(
    {
        "contentFilter",
        "content_filter",
        "content_policy_violation",
        "moderation_blocked",
        "ResponsibleAIPolicyViolation",
    }
)
_UNPAID = "insufficient_quota"


class AzureOpenAI:
    """One POST; the images come in its answer."""

    adapter: ClassVar[str] = "azure_openai"

    def __init__(
        self, entry: ProviderEntry, outbound: Outbound, api_key: str | None
    ) -> None:
        headers = {"api-key": api_key or ""}
        self._upstream = Upstream(entry, outbound, headers=headers, verdict=_verdict)

    async def generate(
        self, request: GenerationRequest, *, model: str, call: Call
    ) -> Generated:
        """See `Provider.generate`; `model` is the name of a deployment."""
        whole = replace(request, partial_images=0)  # one answer, no stream
        if call.images:
            form = form_for(whole, call, model=model)
            reply = await self._upstream.post(
                "/images/edits", form=form, images=request.n
            )
        else:
            payload = {**payload_for(whole, model=_family(model)), "model": model}
            reply = await self._upstream.post(
                "/images/generations", payload=payload, images=request.n
            )
        items = items_of(reply.body, "data")[: request.n]
        images = await self._upstream.fetched([inline_or_link(item) for item in items])
        return Generated(
            images=revised(images, items),
            upstream_id=reply.upstream_id
            or reply.answer.headers.get("apim-request-id", "")[:128]
            or None,
            usage=_usage(reply.body),
        )


def form_for(request: GenerationRequest, call: Call, *, model: str) -> Form:
    """Return the fields and files of an edit."""
    fields = {**fields_for(request, model=_family(model)), "model": model}
    return [*fields.items(), *files_for(request, call)]


def _family(model: str) -> str:
    return "dall-e-3" if "dall-e" in model else "gpt-image-2"


def _usage(body: dict[str, Any]) -> dict[str, int] | None:
    usage = body.get("usage")
    return counted(usage) if isinstance(usage, dict) else None


def _verdict(reply: Reply) -> ProviderError | None:
    error = error_of(reply.body)
    inner = error.get("inner_error")
    codes = {str(of.get("code")) for of in (error, inner) if isinstance(of, dict)}
    if codes & _REJECTED:
        return PromptRejected("the provider's policy forbids this content")
    return unpaid() if _UNPAID in codes else None
