"""The web UI's `sdapi/v1`, as its own documents describe it; proven by `webuiapi`."""

import base64
import json
from typing import Any, ClassVar

from aiohttp import web

from tests.fakes.upstreams.base import Fake
from tests.fakes.upstreams.images import decoded, inline
from tests.fakes.upstreams.words import KEY, Asked, Refusal, Result


def _names(text: str) -> set[str]:
    return set(text.split())


_BOTH = _names(
    "prompt negative_prompt styles seed subseed subseed_strength seed_resize_from_h "
    "seed_resize_from_w sampler_name sampler_index scheduler batch_size n_iter "
    "steps cfg_scale width height restore_faces tiling do_not_save_samples "
    "do_not_save_grid eta denoising_strength s_churn s_tmax s_tmin s_noise "
    "override_settings override_settings_restore_afterwards script_name script_args "
    "send_images save_images alwayson_scripts"
)
_FROM_TEXT = _names(
    "enable_hr firstphase_width firstphase_height hr_scale hr_upscaler "
    "hr_second_pass_steps hr_resize_x hr_resize_y hr_checkpoint_name "
    "hr_sampler_name hr_scheduler hr_prompt hr_negative_prompt"
)
_FROM_IMAGE = _names(
    "init_images mask mask_blur inpainting_fill inpaint_full_res resize_mode "
    "inpaint_full_res_padding inpainting_mask_invert initial_noise_multiplier "
    "image_cfg_scale include_init_images"
)
_PASSWORD = f"user:{KEY}"


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
            web.get("/sdapi/v1/scripts", self._scripts),
        ]

    async def read(self, request: web.Request) -> Asked:
        basic = request.headers.get("Authorization", "").removeprefix("Basic ")
        if base64.b64decode(basic).decode() not in (KEY, _PASSWORD):
            raise Refusal(401, "unauthorized")
        body = await request.json()
        from_image = request.path.endswith("img2img")
        known = _BOTH | (_FROM_IMAGE if from_image else _FROM_TEXT)
        if set(body) - known or from_image is not ("init_images" in body):
            raise Refusal(422, "invalid")
        if body["width"] % 8 or body["height"] % 8:
            raise Refusal(422, "invalid")
        images = [_decoded(text) for text in body.get("init_images", [])]
        if len(images) > 1 and len(images) > body.get("batch_size", 1):
            raise Refusal(500, "bad number of images passed")
        return Asked(
            prompt=body.get("prompt", ""),
            model=body.get("override_settings", {}).get("sd_model_checkpoint", ""),
            width=body["width"],
            height=body["height"],
            n=body.get("batch_size", 1) * body.get("n_iter", 1),
            images=images,
            mask=_decoded(body["mask"]) if "mask" in body else None,
            seed=body.get("seed"),
            fields=body,
        )

    async def deliver(self, asked: Asked, results: list[Result]) -> web.Response:
        images = [inline(result) for result in results]
        info = {"seed": 1, "all_seeds": [1], "infotexts": [asked.prompt]}
        body: dict[str, Any] = {
            "images": images,
            "parameters": asked.fields,
            "info": json.dumps(info),
        }
        return web.json_response(body)

    async def _scripts(self, _: web.Request) -> web.Response:
        return web.json_response({"txt2img": [], "img2img": []})

    def refused(self, refusal: Refusal) -> web.Response:
        body = {"detail": "told in many words"}
        return web.json_response(body, status=refusal.status)


def _decoded(text: str) -> bytes:
    """Decode base64, in a `data:` URL or alone, as the web UI does."""
    return decoded(text.rpartition(",")[2])
