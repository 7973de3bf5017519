"""Ideogram 3: multipart in, links out that live a day.

The provider model is `v3`, with a speed behind a dash where one is wanted
(`v3-turbo`); without one, the quality asked for decides. An item that failed the
safety check has no link, and is billed. What is black in a mask is edited.

Source: developer.ideogram.ai API reference (read 2026-11); there is no official SDK
for Python.
"""

from collections.abc import Iterator
from typing import ClassVar

from service.core.catalog import ProviderEntry
from service.core.errors import PromptRejected, ProviderError
from service.core.provider import Call, Generated, InputBytes
from service.core.requests import GenerationRequest
from service.core.sizing import Size, nearest_ratio
from service.outbound import File, Outbound
from workers.providers._bodies import items_of, revised
from workers.providers._upstream import Reply, Upstream

_RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "16:10", "10:16")
_WIDE = ("4:5", "5:4", "2:1", "1:2", "3:1", "1:3")
_SPEEDS = {"low": "TURBO", "high": "QUALITY", "hd": "QUALITY"}
_MOST_SEED = 2**31
_UNPROCESSABLE = 422


class Ideogram:
    """One POST for all images of a request."""

    adapter: ClassVar[str] = "ideogram"
    mask_style: ClassVar[str] = "black"

    def __init__(
        self, entry: ProviderEntry, outbound: Outbound, api_key: str | None
    ) -> None:
        headers = {"Api-Key": api_key or ""}
        self._upstream = Upstream(entry, outbound, headers=headers, verdict=_verdict)

    async def generate(
        self, request: GenerationRequest, *, model: str, call: Call
    ) -> Generated:
        """See `Provider.generate`."""
        reply = await self._upstream.post(
            f"/v1/ideogram-v3/{_action(call)}",
            form=tuple(form_for(request, call, model=model)),
        )
        items = items_of(reply.body, "data")
        safe = [item for item in items if item.get("is_image_safe") is not False]
        if items and not safe:
            raise PromptRejected(
                "the provider's policy forbids this content", billed=True
            )
        images = await self._upstream.fetched([item.get("url") for item in safe])
        drawn = [{"revised_prompt": item.get("prompt")} for item in safe]
        return Generated(images=revised(images, drawn), upstream_id=reply.upstream_id)


def form_for(
    request: GenerationRequest, call: Call, *, model: str
) -> Iterator[tuple[str, str | File]]:
    """Yield the fields and files of the call."""
    yield "prompt", request.prompt
    yield "num_images", str(request.n)
    _, _, named = model.partition("-")
    if speed := named.upper() or _SPEEDS.get(request.quality or ""):
        yield "rendering_speed", speed
    if request.seed is not None:
        yield "seed", str(request.seed % _MOST_SEED)
    if request.negative_prompt and not call.images:
        yield "negative_prompt", request.negative_prompt
    if call.images:
        yield "image", _file(call.images[0], "image")
    if call.mask is not None:
        yield "mask", _file(call.mask, "mask")
    else:
        size = Size(request.width, request.height)
        ratio = nearest_ratio(size, (*_RATIOS, *_WIDE))
        yield "aspect_ratio", ratio.replace(":", "x")


def _action(call: Call) -> str:
    if call.mask is not None:
        return "edit"
    return "remix" if call.images else "generate"


def _file(image: InputBytes, name: str) -> File:
    return File(image.data, image.content_type, name)


def _verdict(reply: Reply) -> ProviderError | None:
    # 422 has one documented meaning here: the prompt failed the safety check.
    if reply.answer.status == _UNPROCESSABLE:
        return PromptRejected("the provider's policy forbids this content")
    return None
