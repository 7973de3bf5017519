"""Imagen on Vertex AI; proven by `google-genai`."""

from typing import Any, ClassVar

from aiohttp import web

from tests.fakes.upstreams.base import Fake
from tests.fakes.upstreams.images import inline
from tests.fakes.upstreams.words import KEY, Asked, Refusal, Result

_RATIOS = {
    "1:1": (1024, 1024),
    "3:4": (896, 1280),
    "4:3": (1280, 896),
    "9:16": (768, 1408),
    "16:9": (1408, 768),
}
_PARAMETERS = {
    "sampleCount",
    "aspectRatio",
    "negativePrompt",
    "seed",
    "addWatermark",
    "includeRaiReason",
    "outputOptions",
    "sampleImageSize",
    "safetySetting",
    "personGeneration",
    "enhancePrompt",
}


_FILTERED = {"raiFilteredReason": "Unable to show generated images: 58061214"}


class VertexImagenFake(Fake):
    """Up to four pictures; what was filtered is a reason in their place.

    Attributes:
        headers: Of every request that came with our key.
    """

    adapter: ClassVar[str] = "vertex_imagen"
    model: ClassVar[str] = "imagen-4.0-generate-001"
    base_path: ClassVar[str] = "/v1/projects/p/locations/us-central1/publishers/google"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.headers: list[Any] = []

    def routes(self) -> list[web.RouteDef]:
        # The SDK chooses version and path by itself, with a project and without.
        return [web.post("/{any:.*}/models/{model}:predict", self.handle)]

    async def read(self, request: web.Request) -> Asked:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ya29.")
        if KEY not in (request.headers.get("x-goog-api-key"), token):
            raise Refusal(401, "unauthorized")
        self.headers.append(request.headers)
        body = await request.json()
        [instance], parameters = body["instances"], body["parameters"]
        if set(parameters) - _PARAMETERS:
            raise Refusal(400, "invalid")
        if parameters.get("sampleCount", 1) not in range(1, 5):
            raise Refusal(400, "invalid")
        if "seed" in parameters and parameters.get("addWatermark") is not False:
            raise Refusal(400, "invalid")
        width, height = _RATIOS[parameters.get("aspectRatio", "1:1")]
        mime_type = parameters.get("outputOptions", {}).get("mimeType", "image/png")
        return Asked(
            prompt=instance["prompt"],
            model=request.match_info["model"],
            width=width,
            height=height,
            n=parameters.get("sampleCount", 1),
            image_format=mime_type.removeprefix("image/"),
            seed=parameters.get("seed"),
            fields=body,
        )

    async def deliver(self, asked: Asked, results: list[Result]) -> web.Response:
        items = [_item(result) for result in results]
        if not items:  # an answer that is about something else
            items.append({"mimeType": "image/png"})
        return web.json_response({"predictions": items})

    def one_filtered(self, asked: Asked) -> web.Response:
        """Hold one picture back, and say so in its place."""
        [_, *rest] = self.drawn(asked)
        return web.json_response({"predictions": [_FILTERED, *map(_item, rest)]})

    def rejected(self, asked: Asked) -> web.Response:
        return web.json_response({"predictions": [_FILTERED]})

    def refused(self, refusal: Refusal) -> web.Response:
        error = {"code": refusal.status, "message": "in many words", "status": "X"}
        return web.json_response({"error": error}, status=refusal.status)


def _item(result: Result) -> dict[str, Any]:
    return {"bytesBase64Encoded": inline(result), "mimeType": "image/png"}
