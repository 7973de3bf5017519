"""fal's queue: a request is submitted, its status looked at, its result read.

Their queue would repeat a failed request by itself up to ten times; that is switched
off, for attempts are ours to count. A picture that a safety checker painted black is
told by a flag beside it. What a model may be asked differs; those that know ratios
instead of sizes, and those that take several images, are told by their names.

Source: `fal-client` 1.0.3 (read and exercised 2026-11), fal's queue reference and
"Request errors".
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
from service.core.sizing import Size, nearest_ratio
from service.outbound import Outbound
from workers.providers._bodies import data_url, items_of
from workers.providers._errors import unpaid
from workers.providers._upstream import Reply, Upstream

_NO_REPEATS = {"x-fal-no-retry": "1"}
_REJECTED = "content_policy_violation"
_RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "21:9")
_BY_RATIO = ("nano-banana", "imagen", "kontext", "ultra", "gemini")
_FLAGS = ("has_nsfw_concepts", "nsfw_content_detected")
_FORBIDDEN, _FAILED = 403, 500


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
        if result is None and status.body.get("error"):
            raise ProviderUnavailable("the provider failed at the request")
        return None if result is None else result.body


def input_for(request: GenerationRequest, call: Call, *, model: str) -> dict[str, Any]:
    """Return the body of the request."""
    images = [data_url(image.data, image.content_type) for image in call.images]
    fields: dict[str, Any] = {
        "prompt": request.prompt,
        "num_images": request.n,
        "seed": request.seed,
        "negative_prompt": request.negative_prompt,
        "output_format": "png" if request.output_format == "png" else "jpeg",
    }
    size = Size(request.width, request.height)
    if any(name in model for name in _BY_RATIO):
        fields["aspect_ratio"] = nearest_ratio(size, _RATIOS)
    else:
        fields["image_size"] = {"width": size.width, "height": size.height}
    if images:
        many = "/edit" in model or "multi" in model
        fields |= {"image_urls": images} if many else {"image_url": images[0]}
    if call.mask is not None:
        fields["mask_url"] = data_url(call.mask.data, call.mask.content_type)
    return {name: value for name, value in fields.items() if value is not None}


def _links(result: dict[str, Any]) -> list[Any]:
    flags = next((result[name] for name in _FLAGS if result.get(name)), None)
    flagged = flags if isinstance(flags, list) else []
    images = result.get("images")
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
    """Read a failure's own type: of the model in a list, of the queue in a field."""
    kinds = {str(detail.get("type")) for detail in items_of(reply.body, "detail")}
    if _REJECTED in kinds:
        return PromptRejected("the provider's policy forbids this content")
    status, why = reply.answer.status, reply.body.get("detail")
    if status == _FORBIDDEN and "balance" in str(why).lower():
        return unpaid()
    if status >= _FAILED and (kinds or reply.body.get("error_type")):
        return ProviderUnavailable("the provider failed at the request")
    return None
