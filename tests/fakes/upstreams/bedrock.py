"""Bedrock's `InvokeModel` for Stability's models; proven by `boto3`."""

from typing import Any, ClassVar

from aiohttp import web

from tests.fakes.upstreams.base import Fake
from tests.fakes.upstreams.images import decoded, inline
from tests.fakes.upstreams.shapes import STABILITYS
from tests.fakes.upstreams.words import KEY, Asked, Refusal, Result

_COMMON = {"prompt", "negative_prompt", "output_format", "seed"}
_FIELDS = {
    "sd3-5": _COMMON | {"aspect_ratio", "mode", "image", "strength"},
    "stable-image-core": _COMMON | {"aspect_ratio"},
    "stable-image-ultra": _COMMON | {"aspect_ratio", "image", "strength"},
    "stable-image-inpaint": _COMMON | {"image", "mask", "grow_mask", "style_preset"},
}
_TYPES = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}


class BedrockFake(Fake):
    """One image a call; what went wrong with it stands under `finish_reasons`."""

    adapter: ClassVar[str] = "bedrock"
    model: ClassVar[str] = "stability.sd3-5-large-v1:0"
    mask_model: ClassVar[str | None] = "us.stability.stable-image-inpaint-v1:0"
    edits: ClassVar[bool] = True
    masks: ClassVar[bool] = True

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/model/{model}/invoke", self.handle)]

    async def read(self, request: web.Request) -> Asked:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            raise Refusal(403, "unauthorized")
        body, model = await request.json(), request.match_info["model"]
        family = next((name for name in _FIELDS if name in model), "")
        if set(body) - _FIELDS.get(family, set()) or not body.get("prompt"):
            raise Refusal(400, "invalid")
        if family == "sd3-5" and ("image" in body) is not ("mode" in body):
            raise Refusal(400, "invalid")
        if body.get("seed", 0) not in range(4_294_967_295):
            raise Refusal(400, "invalid")
        width, height = STABILITYS[body.get("aspect_ratio", "1:1")]
        return Asked(
            prompt=body["prompt"],
            model=model,
            width=width,
            height=height,
            image_format=body.get("output_format", "png"),
            images=[decoded(body["image"])] if "image" in body else [],
            mask=decoded(body["mask"]) if "mask" in body else None,
            seed=body.get("seed"),
            fields=body,
        )

    async def deliver(self, asked: Asked, results: list[Result]) -> web.Response:
        images = [inline(result) for result in results]
        return _answer(asked, images=images, finish_reasons=[None] * len(images))

    def rejected(self, asked: Asked) -> web.Response:
        return _answer(asked, images=[], finish_reasons=["Filter reason: prompt"])

    def inference_error(self, asked: Asked) -> web.Response:
        return _answer(asked, images=[], finish_reasons=["Inference error"])

    def model_error(self, _: Asked) -> web.Response:
        return self.refused(Refusal(424, "the model failed"))

    def refused(self, refusal: Refusal) -> web.Response:
        headers = {"x-amzn-errortype": _TYPES.get(refusal.status, "X")}
        body = {"message": "told in many words"}
        return web.json_response(body, status=refusal.status, headers=headers)


def _answer(asked: Asked, **fields: Any) -> web.Response:
    headers = {"x-amzn-RequestId": asked.id}
    return web.json_response({"seeds": [1], **fields}, headers=headers)
