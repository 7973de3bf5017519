"""Edits and variations as OpenAI takes them: forms, with rules about their files.

Source: the API reference, "Create image edit" and "Create image variation".
"""

import hashlib
from io import BytesIO
from typing import Any, NamedTuple

from aiohttp import web
from PIL import Image

from tests.fakes.openai_rules import Refusal

_MOST_FILES = 16
_MOST_BYTES = {"gpt": 50_000_000, "dall-e-2": 4_000_000}
_NUMBERS = frozenset({"n", "output_compression", "partial_images"})
_FORMATS = {"gpt": {"PNG", "JPEG", "WEBP"}, "dall-e-2": {"PNG"}}


class File(NamedTuple):
    """One file of a form, decoded."""

    name: str
    content_type: str
    image: Image.Image
    size_bytes: int
    sha256: str
    data: bytes


async def read_form(request: web.Request) -> tuple[dict[str, Any], list[File]]:
    """Return the fields, numbers as such, and the files in their order.

    Raises:
        Refusal: Something is not a form, a number or an image.
    """
    if request.content_type != "multipart/form-data":
        raise Refusal("Expected multipart/form-data.", code="unsupported_content_type")
    fields: dict[str, Any] = {}
    files = []
    async for part in await request.multipart():
        data = bytes(await part.read())
        if part.filename is None:
            fields[part.name] = _value(part.name, data.decode())
        else:
            files.append(_file(part.name, part.headers["Content-Type"], data))
    return fields, files


def check_files(
    fields: dict[str, Any], files: list[File], *, operation: str, compatible: bool
) -> None:
    """Refuse files that OpenAI would not take.

    Raises:
        Refusal: In its words.
    """
    model = str(fields.get("model", "dall-e-2"))
    images = [file for file in files if file.name in ("image", "image[]")]
    masks = [file for file in files if file.name == "mask"]
    if not images:
        raise Refusal(
            "Missing required parameter: 'image'.",
            code="missing_required_parameter",
            param="image",
        )
    if len(images) + len(masks) < len(files) or len(images) > 1 != (
        images[0].name == "image[]"
    ):
        raise Refusal("Unknown parameter.", code="unknown_parameter")
    if compatible:
        return
    if model == "dall-e-3" or (operation == "variation" and model != "dall-e-2"):
        raise Refusal(
            "The model is not supported.", code="invalid_value", param="model"
        )
    _check_each(model, images, masks)
    if masks and masks[0].image.size != images[0].image.size:
        raise Refusal("Sizes differ.", code="invalid_image", param="mask")


def _check_each(model: str, images: list[File], masks: list[File]) -> None:
    family = "gpt" if model.startswith("gpt-image-") else "dall-e-2"
    if len(images) > (_MOST_FILES if family == "gpt" else 1) or len(masks) > 1:
        raise Refusal("Too many images.", code="invalid_value", param="image")
    for file in images:
        square = file.image.width == file.image.height
        if (
            file.image.format not in _FORMATS[family]
            or file.size_bytes >= _MOST_BYTES[family]
            or (family == "dall-e-2" and not square)
        ):
            raise Refusal("Invalid image file.", code="invalid_image", param="image")
    for file in masks:
        if file.image.format != "PNG" or not file.image.has_transparency_data:
            raise Refusal("Invalid mask.", code="invalid_image", param="mask")


def _value(name: str, text: str) -> Any:
    if name not in _NUMBERS:
        return text
    try:
        return int(text)
    except ValueError as exc:
        raise Refusal("Not a number.", code="invalid_type", param=name) from exc


def _file(name: str, content_type: str, data: bytes) -> File:
    try:
        image = Image.open(BytesIO(data))
        image.load()
    except OSError as exc:
        raise Refusal("Invalid image.", code="invalid_image", param=name) from exc
    if Image.MIME[image.format or ""] != content_type:
        raise Refusal("Unsupported mimetype.", code="unsupported_file_mimetype")
    digest = hashlib.sha256(data).hexdigest()
    return File(name, content_type, image, len(data), digest, data)
