"""Bedrock's `InvokeModel` for two families; proven by `boto3`."""

import base64
from typing import Any, ClassVar

from aiohttp import web

from tests.fakes.upstreams.base import KEY, Asked, Fake, Link, Refusal, Result, opened

_RATIOS = {
    "1:1": (1024, 1024),
    "16:9": (1344, 768),
    "9:16": (768, 1344),
    "21:9": (1536, 640),
    "9:21": (640, 1536),
    "2:3": (832, 1216),
    "3:2": (1216, 832),
    "4:5": (896, 1088),
    "5:4": (1088, 896),
}
_STABILITY = {"prompt", "negative_prompt", "output_format", "seed", "mode"}
_PARAMS = {
    "TEXT_IMAGE": ("textToImageParams", {"text", "negativeText"}),
    "IMAGE_VARIATION": (
        "imageVariationParams",
        {"text", "negativeText", "images", "similarityStrength"},
    ),
    "INPAINTING": (
        "inPaintingParams",
        {"text", "negativeText", "image", "maskImage", "maskPrompt"},
    ),
}
_CONFIG = {"numberOfImages", "quality", "seed", "width", "height", "cfgScale"}
_TYPES = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}


class BedrockFake(Fake):
    """The bodies of Stability's and of Amazon's models."""

    adapter: ClassVar[str] = "bedrock"
    model: ClassVar[str] = "stability.sd3-5-large-v1:0"
    amazon_model: ClassVar[str] = "amazon.nova-canvas-v1:0"
    edits: ClassVar[bool] = True

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/model/{model}/invoke", self.handle)]

    async def read(self, request: web.Request) -> Asked:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            raise Refusal(403, "unauthorized")
        body, model = await request.json(), request.match_info["model"]
        asked = _stability(body) if "stability." in model else _amazon(body)
        asked.model, asked.fields = model, body
        return asked

    async def deliver(self, asked: Asked, results: list[Result]) -> web.Response:
        images = list[str]()
        for result in results:
            assert not isinstance(result, Link)
            images.append(base64.b64encode(result).decode())
        body: dict[str, Any] = {"images": images}
        if "stability." in asked.model:
            body |= {"seeds": [1] * len(images), "finish_reasons": [None] * len(images)}
        else:
            body["error"] = None
        return web.json_response(body)

    def rejected(self, asked: Asked) -> web.Response:
        reasons = ["Filter reason: prompt"]
        return web.json_response({"seeds": [], "images": [], "finish_reasons": reasons})

    def refused(self, refusal: Refusal) -> web.Response:
        headers = {"x-amzn-errortype": _TYPES.get(refusal.status, "X")}
        body = {"message": "told in many words"}
        return web.json_response(body, status=refusal.status, headers=headers)


def _stability(body: dict[str, Any]) -> Asked:
    edit = body.get("mode") == "image-to-image"
    more = {"image", "strength"} if edit else {"aspect_ratio"}
    if set(body) - _STABILITY - more or not body.get("prompt"):
        raise Refusal(400, "invalid")
    width, height = _RATIOS[body.get("aspect_ratio", "1:1")]
    images = [_decoded(body["image"])] if edit else []
    return Asked(
        prompt=body["prompt"],
        model="",
        width=width,
        height=height,
        image_format=body.get("output_format", "png"),
        images=images,
        seed=body.get("seed"),
    )


def _amazon(body: dict[str, Any]) -> Asked:
    name, known = _PARAMS[body["taskType"]]
    params, config = body[name], body.get("imageGenerationConfig", {})
    if set(params) - known or set(config) - _CONFIG:
        raise Refusal(400, "invalid")
    if set(body) != {"taskType", name, "imageGenerationConfig"}:
        raise Refusal(400, "invalid")
    images = params.get("images", [params["image"]] if "image" in params else [])
    return Asked(
        prompt=params["text"],
        model="",
        width=config.get("width", 1024),
        height=config.get("height", 1024),
        n=config.get("numberOfImages", 1),
        images=[_decoded(text) for text in images],
        mask=_decoded(params["maskImage"]) if "maskImage" in params else None,
        seed=config.get("seed"),
    )


def _decoded(text: str) -> bytes:
    data = base64.b64decode(text)
    opened(data)
    return data
