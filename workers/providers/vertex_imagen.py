"""Imagen on Google's Vertex AI, by `:predict`.

The base URL names project and place: `https://PLACE-aiplatform.googleapis.com/v1/
projects/P/locations/PLACE/publishers/google`. The key is an API key of Vertex, or an
access token (`ya29...`), which Google lets live an hour. A picture that was filtered
is missing, or stands there as a reason.

Google has announced the end of all its Imagen models for 2026-08-17: this is for whom
it still serves. The adapter `gemini` speaks to what replaces them, there as well.

Source: `google-genai` 3.4 with `vertexai=True` (read and exercised 2026-11).
"""

from typing import Any, ClassVar

from service.core.catalog import ProviderEntry
from service.core.errors import PromptRejected
from service.core.provider import Call, Generated, GeneratedImage
from service.core.requests import GenerationRequest
from service.core.sizing import Size, nearest_ratio
from service.outbound import Outbound
from workers.providers._bodies import decoded, items_of, revised
from workers.providers._upstream import Upstream, no_image

_RATIOS = ("1:1", "3:4", "4:3", "9:16", "16:9")
_TOKEN = "ya29."  # noqa: S105 - how Google's access tokens begin
_MOST_SEED = 2**31


class VertexImagen:
    """One POST; the images come inline."""

    adapter: ClassVar[str] = "vertex_imagen"

    def __init__(
        self, entry: ProviderEntry, outbound: Outbound, api_key: str | None
    ) -> None:
        key = api_key or ""
        token = {"Authorization": f"Bearer {key}"}
        headers = token if key.startswith(_TOKEN) else {"x-goog-api-key": key}
        self._upstream = Upstream(entry, outbound, headers=headers)

    async def generate(
        self, request: GenerationRequest, *, model: str, call: Call
    ) -> Generated:
        """See `Provider.generate`."""
        _ = call
        reply = await self._upstream.post(
            f"/models/{model}:predict", payload=payload_for(request), images=request.n
        )
        items = items_of(reply.body, "predictions")[: request.n]
        drawn = [item for item in items if "bytesBase64Encoded" in item]
        if not drawn and (not items or any("raiFilteredReason" in i for i in items)):
            raise PromptRejected("the provider's policy forbids this content")
        found = [decoded(item["bytesBase64Encoded"]) for item in drawn]
        images = [GeneratedImage(data=data) for data in found if data]
        if not images:
            raise no_image(billed=True)
        prompts = [{"revised_prompt": item.get("prompt")} for item in drawn]
        return Generated(images=revised(images, prompts), upstream_id=reply.upstream_id)


def payload_for(request: GenerationRequest) -> dict[str, Any]:
    """Return the body; a seed asks for pictures without Google's watermark."""
    mime_type = "image/png" if request.output_format == "png" else "image/jpeg"
    size = Size(request.width, request.height)
    parameters: dict[str, Any] = {
        "sampleCount": request.n,
        "aspectRatio": nearest_ratio(size, _RATIOS),
        "includeRaiReason": True,
        "outputOptions": {"mimeType": mime_type},
    }
    if request.negative_prompt:
        parameters["negativePrompt"] = request.negative_prompt
    if request.seed is not None:
        parameters |= {"seed": request.seed % _MOST_SEED, "addWatermark": False}
    if size.tier == "2K":
        parameters["sampleImageSize"] = "2K"
    return {"instances": [{"prompt": request.prompt}], "parameters": parameters}
