"""fal's queue: a request is submitted, its status looked at, its result read.

Their queue would repeat a failed request by itself up to ten times; that is switched
off, for attempts are ours to count. A picture that a safety checker painted black is
told by a flag beside it.

Source: `fal-client` 1.0.3 (read and exercised 2026-11), fal's queue reference.
"""

from typing import Any, ClassVar
from urllib.parse import quote

from service.core.catalog import ProviderEntry
from service.core.errors import (
    BadOutput,
    PromptRejected,
    ProviderError,
    ProviderUnavailable,
)
from service.core.provider import Call, Generated
from service.core.requests import GenerationRequest
from service.outbound import Outbound
from workers.providers._upstream import Reply, Upstream, data_url

_NO_REPEATS = {"x-fal-no-retry": "1"}
_REJECTED = "content_policy_violation"


class Fal:
    """Submit, look, read the result, download; a crash resumes at the look."""

    adapter: ClassVar[str] = "fal"
    mask_style: ClassVar[str] = "white"

    def __init__(
        self, entry: ProviderEntry, outbound: Outbound, api_key: str | None
    ) -> None:
        headers = {"Authorization": f"Key {api_key or ''}"}
        self._upstream = Upstream(entry, outbound, headers=headers, verdict=_verdict)

    async def generate(
        self, request: GenerationRequest, *, model: str, call: Call
    ) -> Generated:
        """See `Provider.generate`; `model` is `owner/app` or `owner/app/path`."""
        payload = input_for(request, call, model=model)

        async def submit() -> str:
            reply = await self._upstream.post(
                f"/{quote(model)}", payload=payload, headers=_NO_REPEATS
            )
            match reply.body:
                case {"response_url": str(url)}:
                    return url
                case _:
                    raise BadOutput("the provider's answer names no request")

        tasks = await call.tasks(1, submit)
        [result] = await self._upstream.finished(tasks, self._look)
        return Generated(
            images=await self._upstream.fetched(_links(result)),
            upstream_id=tasks[0].rpartition("/")[2][:128],
        )

    async def _look(self, task: str) -> dict[str, Any] | None:
        status = await self._upstream.peek(f"{task}/status")
        if status is None or status.body.get("status") != "COMPLETED":
            return None
        # Whatever it came to, the answer under the task's own URL says it.
        result = await self._upstream.peek(task)
        return None if result is None else result.body


def input_for(request: GenerationRequest, call: Call, *, model: str) -> dict[str, Any]:
    """Return the body of the request."""
    images = [data_url(image.data, image.content_type) for image in call.images]
    fields: dict[str, Any] = {
        "prompt": request.prompt,
        "image_size": {"width": request.width, "height": request.height},
        "num_images": request.n,
        "seed": request.seed,
        "negative_prompt": request.negative_prompt,
        "output_format": "png" if request.output_format == "png" else "jpeg",
    }
    if images:
        many = model.endswith("/edit") or "multi" in model
        fields |= {"image_urls": images} if many else {"image_url": images[0]}
    if call.mask is not None:
        fields["mask_url"] = data_url(call.mask.data, call.mask.content_type)
    return {name: value for name, value in fields.items() if value is not None}


def _links(result: dict[str, Any]) -> list[Any]:
    images, flags = result.get("images"), result.get("has_nsfw_concepts")
    flagged = flags if isinstance(flags, list) else []
    items = images if isinstance(images, list) else [result.get("image")]
    links = [
        item.get("url")
        for index, item in enumerate(items)
        if isinstance(item, dict) and not (index < len(flagged) and flagged[index])
    ]
    if not links and any(flagged):
        raise PromptRejected("the provider's policy forbids this content", billed=True)
    return links


def _verdict(reply: Reply) -> ProviderError | None:
    """Read a failure's own type, which stands in the body and in a header."""
    details = reply.body.get("detail")
    kinds = {
        detail.get("type")
        for detail in (details if isinstance(details, list) else [])
        if isinstance(detail, dict)
    }
    if _REJECTED in kinds:
        return PromptRejected("the provider's policy forbids this content")
    if reply.answer.headers.get("X-Fal-Error-Type"):
        return ProviderUnavailable("the provider failed at the request")
    return None
