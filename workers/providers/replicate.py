"""Replicate: a prediction is created, then looked at until it has ended.

Models differ in what they call their inputs, so the common names of image models
are sent: `aspect_ratio` for most, `width` and `height` for those that name sizes. A
mask is white where most of them edit; Ideogram's, which want it black, are no models
to give masks here.
Outputs lie under links that need no key and live an hour. A 429 tells its wait in a
sentence, where it has no header for it.

Source: `replicate` 1.0.7 (read and exercised 2026-11), Replicate's HTTP reference.
"""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import quote

from service.core.catalog import ProviderEntry
from service.core.errors import (
    BadOutput,
    PromptRejected,
    ProviderError,
    ProviderThrottled,
    ProviderUnavailable,
)
from service.core.provider import Call, Generated
from service.core.requests import GenerationRequest
from service.core.sizing import Size, nearest_ratio
from service.outbound import Outbound
from workers.providers._bodies import data_url
from workers.providers._upstream import Reply, Upstream

_RATIOS = ("1:1", "16:9", "9:16", "3:2", "2:3", "4:3", "3:4", "4:5", "5:4", "21:9")
_REJECTED = re.compile(r"NSFW|sensitive|flagged|safety", re.IGNORECASE)
_SOON = re.compile(r"resets in ~([0-9]{1,5})s")
_SIZED = re.compile(r"sdxl|/stable-diffusion(:|$)")
_TOO_MANY = 429


class Replicate:
    """Create, look, download; a crash in between resumes at the look."""

    adapter: ClassVar[str] = "replicate"
    mask_style: ClassVar[str] = "white"

    def __init__(
        self, entry: ProviderEntry, outbound: Outbound, api_key: str | None
    ) -> None:
        headers = {"Authorization": f"Bearer {api_key or ''}"}
        self._upstream = Upstream(entry, outbound, headers=headers, verdict=_verdict)

    async def generate(
        self, request: GenerationRequest, *, model: str, call: Call
    ) -> Generated:
        """See `Provider.generate`; `model` is `owner/name` or `owner/name:version`."""
        path, payload = _created_by(model, input_for(request, call, model=model))

        async def submit() -> str:
            reply = await self._upstream.post(path, payload=payload)
            match reply.body:
                case {"id": str(prediction)}:
                    return prediction
                case _:
                    raise BadOutput("the provider's answer names no prediction")

        tasks = await call.tasks(request.n, submit)
        outputs = await self._upstream.finished(tasks, self._look)
        links = [link for output in outputs for link in output]
        return Generated(
            images=await self._upstream.fetched(links), upstream_id=tasks[0][:128]
        )

    async def _look(self, prediction: str) -> Sequence[str] | None:
        path = f"/v1/predictions/{quote(prediction, safe='')}"
        reply = await self._upstream.peek(path)
        if reply is None:
            return None
        match reply.body:
            case {"status": "succeeded", "output": str(link)}:
                return [link]
            case {"status": "succeeded", "output": list(links)}:
                return links
            case {"status": "succeeded"}:
                raise BadOutput("the prediction has no output", billed=True)
            case {"status": "failed", "error": str(why)} if _REJECTED.search(why):
                # Models word this as they like; Replicate has no code for it.
                raise PromptRejected("the provider's policy forbids this content")
            case {"status": "failed" | "canceled" | "aborted"}:
                raise ProviderUnavailable("the provider failed at the prediction")
            case _:
                return None


def input_for(request: GenerationRequest, call: Call, *, model: str) -> dict[str, Any]:
    """Return the model's input."""
    size = Size(request.width, request.height)
    fields: dict[str, Any] = {
        "prompt": request.prompt,
        "seed": request.seed,
        "negative_prompt": request.negative_prompt,
    }
    if _SIZED.search(model):
        fields |= {"width": size.width, "height": size.height}
    else:
        fields["aspect_ratio"] = nearest_ratio(size, _RATIOS)
        # Not every model knows webp; png becomes that here, and loses nothing.
        fields["output_format"] = "jpg" if request.output_format == "jpeg" else "png"
    images = [data_url(image.data, image.content_type) for image in call.images]
    if images:
        fields |= _images(images, model)
    if call.mask is not None:
        fields["mask"] = data_url(call.mask.data, call.mask.content_type)
    return {name: value for name, value in fields.items() if value is not None}


def _images(images: Sequence[str], model: str) -> dict[str, Any]:
    """Name the images as the families of models do."""
    if "kontext" in model:
        return {"input_image": images[0]}
    if "nano-banana" in model or "seedream" in model:
        return {"image_input": images}
    if "flux-2" in model or "gpt-image" in model:
        return {"input_images": images}
    return {"image": images[0]}


def _created_by(model: str, fields: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    name, _, version = model.partition(":")
    if version:
        return "/v1/predictions", {"version": version, "input": fields}
    owner, _, short = name.partition("/")
    path = f"/v1/models/{quote(owner, safe='')}/{quote(short, safe='')}/predictions"
    return path, {"input": fields}


def _verdict(reply: Reply) -> ProviderError | None:
    if reply.answer.status != _TOO_MANY or "Retry-After" in reply.answer.headers:
        return None
    soon = _SOON.search(str(reply.body.get("detail", "")))
    wait = timedelta(seconds=int(soon[1])) if soon else None
    return ProviderThrottled("the provider is too busy", retry_after=wait)
