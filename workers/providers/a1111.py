"""AUTOMATIC1111's web UI and what descends from it: Forge, SD.Next.

One call at a time draws; the answer waits for it. The provider model is the name of
a checkpoint, which is loaded if another was; `default` leaves the one that is. A key
of the form `user:password` becomes basic authentication (`--api-auth`). Of several
images it would make as many pictures, so it is given the first alone.

Source: the web UI's own `/docs` (sdapi/v1), version 1.10 (read 2026-11); `webuiapi`
0.9.17 drives the fake.
"""

from typing import Any, ClassVar

from service.core.catalog import ProviderEntry
from service.core.provider import Call, Generated, GeneratedImage
from service.core.requests import GenerationRequest
from service.outbound import Outbound
from workers.providers._bodies import decoded, encoded
from workers.providers._upstream import Upstream, no_image

_DENOISING = 0.75
_MOST_SEED = 2**32
_CROP = 1
_FILL_WITH_WHAT_WAS = 1


class A1111:
    """txt2img, or img2img where there is an image to start from."""

    adapter: ClassVar[str] = "a1111"
    mask_style: ClassVar[str] = "white"

    def __init__(
        self, entry: ProviderEntry, outbound: Outbound, api_key: str | None
    ) -> None:
        basic = f"Basic {encoded(api_key.encode())}" if api_key else None
        headers = {"Authorization": basic} if basic else {}
        self._upstream = Upstream(entry, outbound, headers=headers)

    async def generate(
        self, request: GenerationRequest, *, model: str, call: Call
    ) -> Generated:
        """See `Provider.generate`."""
        reply = await self._upstream.post(
            f"/sdapi/v1/{'img2img' if call.images else 'txt2img'}",
            payload=payload_for(request, call, model=model),
            images=request.n,
        )
        found = reply.body.get("images")
        items = found[: request.n] if isinstance(found, list) else []
        images = [data for item in items if (data := decoded(item))]
        if not images:
            raise no_image()
        return Generated(images=[GeneratedImage(data=data) for data in images])


def payload_for(
    request: GenerationRequest, call: Call, *, model: str
) -> dict[str, Any]:
    """Return the body; what is not said is left to the server's own settings."""
    payload: dict[str, Any] = {
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "width": request.width,
        "height": request.height,
        "batch_size": request.n,
        "seed": None if request.seed is None else request.seed % _MOST_SEED,
        "do_not_save_samples": True,
        "do_not_save_grid": True,
    }
    if model != "default":
        payload["override_settings"] = {"sd_model_checkpoint": model}
    if call.images:
        payload |= {
            "init_images": [encoded(call.images[0].data)],
            "denoising_strength": _DENOISING,
            "resize_mode": _CROP,
        }
    if call.mask is not None:
        payload |= {
            "mask": encoded(call.mask.data),
            "inpainting_fill": _FILL_WITH_WHAT_WAS,
            "inpaint_full_res": False,
        }
    return {name: value for name, value in payload.items() if value is not None}
