"""What OpenAI's images API is sent, model by model.

The model's name decides what may be said: the gpt-image family refuses
`response_format`, which dall-e and most imitators need in order to send images
instead of links. Edits and variations are forms, and know fewer fields.
"""

from typing import Any

from service.core.provider import Call, InputBytes
from service.core.requests import GenerationRequest
from service.outbound import File

_GPT_IMAGE = ("gpt-image-", "chatgpt-image-")
_GPT_QUALITY = {"standard": "medium", "hd": "high"}
_DALLE_QUALITY = {"low": "standard", "medium": "standard", "high": "hd"}
_ONLY_GENERATED = frozenset({"moderation", "style"})
_VARIED = frozenset({"model", "n", "size", "response_format", "user"})


def streams(request: GenerationRequest, *, model: str) -> bool:
    """Whether the images are to be streamed; OpenAI streams one, and no variation."""
    wanted = request.partial_images > 0 and request.n == 1
    return wanted and request.operation != "variation" and model.startswith(_GPT_IMAGE)


def payload_for(request: GenerationRequest, *, model: str) -> dict[str, Any]:
    """Return the body for `model`, with nothing in it that the model refuses."""
    payload: dict[str, Any] = {
        "model": model,
        "prompt": request.prompt,
        "n": request.n,
        "size": request.size,
        "user": request.user,
    }
    if streams(request, model=model):
        payload |= {"stream": True, "partial_images": request.partial_images}
    if model.startswith(_GPT_IMAGE):
        payload |= _for_gpt_image(request)
    elif model.startswith("dall-e-"):
        payload |= _for_dall_e(request, model)
    else:
        payload |= _for_imitators(request)
    return {name: value for name, value in payload.items() if value is not None}


def _for_gpt_image(request: GenerationRequest) -> dict[str, Any]:
    lossy = request.output_format != "png"
    return {
        "quality": _GPT_QUALITY.get(request.quality or "", request.quality),
        "background": request.background,
        "moderation": request.moderation,
        "input_fidelity": request.input_fidelity,
        "output_format": request.output_format,
        "output_compression": request.output_compression if lossy else None,
    }


def _for_dall_e(request: GenerationRequest, model: str) -> dict[str, Any]:
    fields: dict[str, Any] = {"response_format": "b64_json"}
    if model == "dall-e-3":
        quality = request.quality if request.quality != "auto" else None
        fields["quality"] = _DALLE_QUALITY.get(quality or "", quality)
        fields["style"] = request.style
    return fields


def _for_imitators(request: GenerationRequest) -> dict[str, Any]:
    """Whatever the caller said; the catalog's features have let it through."""
    return {
        "response_format": "b64_json",
        "quality": request.quality,
        "style": request.style,
        "background": request.background,
        "seed": request.seed,
        "negative_prompt": request.negative_prompt,
    }


def fields_for(request: GenerationRequest, *, model: str) -> dict[str, str]:
    """Return the text fields of an edit or a variation, nothing refused among them."""
    payload = payload_for(request, model=model)
    known = _VARIED if request.operation == "variation" else payload.keys()
    return {
        name: "true" if value is True else str(value)
        for name, value in payload.items()
        if name in known and name not in _ONLY_GENERATED
    }


def files_for(request: GenerationRequest, call: Call) -> list[tuple[str, File]]:
    """Return the images of an edit, or the one of a variation."""
    images = call.images[:1] if request.operation == "variation" else call.images
    name = "image" if len(images) == 1 else "image[]"
    files = [(name, _file(image)) for image in images]
    if call.mask is not None:
        files.append(("mask", _file(call.mask)))
    return files


def _file(image: InputBytes) -> File:
    # A name that says what kind of image it is: some guess by it.
    return File(image.data, image.content_type, image.content_type.replace("/", "."))
