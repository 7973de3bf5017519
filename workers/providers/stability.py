"""Stability AI's v2beta: one multipart POST, and the image is the answer's body.

A picture that was filtered comes blurred under a 200, told by a header; it counts as
the refusal it is. The provider model is what the path ends in (`core`, `ultra`), or a
name that begins with `sd3`, which is a field of that endpoint.

Source: platform.stability.ai API reference (read 2026-11). Their only SDK on PyPI
speaks the gRPC API before this one.
"""

from collections.abc import Iterator
from typing import ClassVar

from service.core.catalog import ProviderEntry
from service.core.errors import PromptRejected, ProviderError
from service.core.provider import Call, Generated, GeneratedImage, InputBytes
from service.core.requests import GenerationRequest
from service.core.sizing import Size, nearest_ratio
from service.outbound import File, Outbound
from workers.providers._upstream import Reply, Upstream, all_of, no_image

_RATIOS = ("1:1", "16:9", "9:16", "21:9", "9:21", "2:3", "3:2", "4:5", "5:4")
_STRENGTH = "0.7"
_MOST_SEED = 4_294_967_295


class Stability:
    """One call an image; edits and masks go to paths of their own."""

    adapter: ClassVar[str] = "stability"
    mask_style: ClassVar[str] = "white"

    def __init__(
        self, entry: ProviderEntry, outbound: Outbound, api_key: str | None
    ) -> None:
        headers = {"Authorization": f"Bearer {api_key or ''}", "Accept": "image/*"}
        self._upstream = Upstream(entry, outbound, headers=headers, verdict=_verdict)

    async def generate(
        self, request: GenerationRequest, *, model: str, call: Call
    ) -> Generated:
        """See `Provider.generate`."""
        path = path_for(call, model=model)

        async def one(index: int) -> tuple[GeneratedImage, str | None]:
            form = tuple(form_for(request, call, model=model, index=index))
            reply = await self._upstream.post(path, form=form)
            return _image(reply), reply.upstream_id

        made = await all_of(map(one, range(request.n)))
        return Generated(images=[image for image, _ in made], upstream_id=made[0][1])


def path_for(call: Call, *, model: str) -> str:
    """Return where the request goes."""
    if call.mask is not None:
        return "/v2beta/stable-image/edit/inpaint"
    name = "sd3" if _is_sd3(model) else model
    return f"/v2beta/stable-image/generate/{name}"


def form_for(
    request: GenerationRequest, call: Call, *, model: str, index: int
) -> Iterator[tuple[str, str | File]]:
    """Yield the fields of the call for image number `index`."""
    yield "prompt", request.prompt
    yield "output_format", _format(request, call, model)
    if request.negative_prompt:
        yield "negative_prompt", request.negative_prompt
    if request.seed is not None:
        yield "seed", str((request.seed + index) % _MOST_SEED)
    if call.mask is not None:
        yield "mask", _file(call.mask, "mask")
    elif _is_sd3(model):
        yield "model", model
    if call.images:
        yield "image", _file(call.images[0], "image")
        if call.mask is None:
            yield "strength", _STRENGTH
            if _is_sd3(model):
                yield "mode", "image-to-image"
    else:
        size = Size(request.width, request.height)
        yield "aspect_ratio", nearest_ratio(size, _RATIOS)


def _format(request: GenerationRequest, call: Call, model: str) -> str:
    if request.output_format == "webp" and call.mask is None and _is_sd3(model):
        return "png"  # the one endpoint that knows no webp
    return request.output_format


def _is_sd3(model: str) -> bool:
    return model.startswith("sd3")


def _file(image: InputBytes, name: str) -> File:
    return File(image.data, image.content_type, name)


def _image(reply: Reply) -> GeneratedImage:
    if reply.answer.headers.get("finish-reason") == "CONTENT_FILTERED":
        raise PromptRejected("the provider's policy forbids this content", billed=True)
    if not reply.answer.body:
        raise no_image(upstream_id=reply.upstream_id)
    return GeneratedImage(data=reply.answer.body)


def _verdict(reply: Reply) -> ProviderError | None:
    if reply.body.get("name") == "content_moderation":
        return PromptRejected("the provider's policy forbids this content")
    return None
