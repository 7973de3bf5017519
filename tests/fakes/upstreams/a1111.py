"""The web UI's `sdapi/v1`, as its own documents describe it."""

import base64
import json
from typing import Any, ClassVar

from aiohttp import web

from tests.fakes.upstreams.base import KEY, Asked, Fake, Link, Refusal, Result, opened

_BOTH = {
    "prompt",
    "negative_prompt",
    "width",
    "height",
    "batch_size",
    "n_iter",
    "seed",
    "steps",
    "cfg_scale",
    "sampler_name",
    "scheduler",
    "override_settings",
    "do_not_save_samples",
    "do_not_save_grid",
}
_FROM_IMAGE = {
    "init_images",
    "mask",
    "denoising_strength",
    "inpainting_fill",
    "inpaint_full_res",
}


class A1111Fake(Fake):
    """Started with `--api-auth`, so that it has a key to refuse."""

    adapter: ClassVar[str] = "a1111"
    model: ClassVar[str] = "v1-5-pruned"
    edits: ClassVar[bool] = True
    masks: ClassVar[bool] = True
    refuses: ClassVar[bool] = False

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/sdapi/v1/txt2img", self.handle),
            web.post("/sdapi/v1/img2img", self.handle),
        ]

    async def read(self, request: web.Request) -> Asked:
        basic = base64.b64encode(KEY.encode()).decode()
        if request.headers.get("Authorization") != f"Basic {basic}":
            raise Refusal(401, "unauthorized")
        body = await request.json()
        from_image = request.path.endswith("img2img")
        known = _BOTH | _FROM_IMAGE if from_image else _BOTH
        if set(body) - known or from_image is not ("init_images" in body):
            raise Refusal(422, "invalid")
        if body["width"] % 8 or body["height"] % 8:
            raise Refusal(422, "invalid")
        images = [base64.b64decode(text) for text in body.get("init_images", [])]
        for data in images:
            opened(data)
        mask = base64.b64decode(body["mask"]) if "mask" in body else None
        if mask is not None:
            opened(mask)
        return Asked(
            prompt=body.get("prompt", ""),
            model=body.get("override_settings", {}).get("sd_model_checkpoint", ""),
            width=body["width"],
            height=body["height"],
            n=body.get("batch_size", 1) * body.get("n_iter", 1),
            images=images,
            mask=mask,
            seed=body.get("seed"),
            fields=body,
        )

    async def deliver(self, asked: Asked, results: list[Result]) -> web.Response:
        images = list[str]()
        for result in results:
            assert not isinstance(result, Link)
            images.append(base64.b64encode(result).decode())
        info = {"seed": 1, "all_seeds": [1], "infotexts": [asked.prompt]}
        body: dict[str, Any] = {
            "images": images,
            "parameters": asked.fields,
            "info": json.dumps(info),
        }
        return web.json_response(body)

    def refused(self, refusal: Refusal) -> web.Response:
        body = {"detail": "told in many words"}
        return web.json_response(body, status=refusal.status)
