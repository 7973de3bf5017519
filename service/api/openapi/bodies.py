"""Schemas of request bodies: what a model reads, and the images that stand beside it.

`service.api.input_images` takes the images out before a model sees the rest, so the
model's own schema does not know them; and a form has no objects, so it spells the
fields of one out.
"""

from collections.abc import Mapping
from typing import Any

from service.api.openapi.operation import BINARY, Body, Images, Schema
from service.intake.uploads import MOST_IMAGES

LINK = "ImageLink"

_LINK: Schema = {"$ref": f"#/components/schemas/{LINK}"}
_SEVERAL: Schema = {"type": "array", "minItems": 1, "maxItems": MOST_IMAGES}
_IMAGES = "What to start from: PNG, JPEG or WebP, at most sixteen."
_OR_IMAGES = f"{_IMAGES} `images` is the same field."
_MASK = (
    "A PNG or WebP of the first image's size; where it is transparent the image may "
    "change."
)

LINK_SCHEMA: Schema = {
    "description": "An image: an https: or data: URL, or an object that holds one.",
    "oneOf": [
        {"type": "string", "minLength": 1, "pattern": "^(https:|data:)"},
        {
            "type": "object",
            "properties": {"image_url": {"type": "string"}},
            "required": ["image_url"],
            "additionalProperties": False,
        },
    ],
}


def json_schema(body: Body, read: Schema) -> dict[str, Any]:
    """Return the schema of the body as JSON; `read` is its model's."""
    if body.images is Images.NONE:
        return dict(read)
    several = {**_SEVERAL, "items": _LINK}
    images = {"image": {"description": _OR_IMAGES, "anyOf": [_LINK, several]}}
    if body.mask:
        images["mask"] = {"description": _MASK, **_LINK}
    return _with(read, images, needed="image" if body.images is Images.NEEDED else None)


def form_schema(
    body: Body, read: Schema, schemas: Mapping[str, Schema]
) -> dict[str, Any]:
    """Return the schema of the body as a form."""
    flat: dict[str, Any] = {}
    for name, field in read["properties"].items():
        inner = _object(field, schemas)
        if inner is None:
            flat[name] = _said(field)
        else:
            flat |= {f"{name}[{n}]": _said(f) for n, f in inner["properties"].items()}
    if body.file is not None:
        file = {"file": {**BINARY, "description": body.file}}
        return _with({**read, "properties": flat}, file, needed="file")
    several = {**_SEVERAL, "items": BINARY, "description": f"{_IMAGES} Or `image`."}
    files: dict[str, Any] = {"image[]": several}
    if body.mask:
        files["mask"] = {**BINARY, "description": f"{_MASK} Or `mask[]`."}
    needed = "image[]" if body.images is Images.NEEDED else None
    return _with({**read, "properties": flat}, files, needed=needed)


def _with(
    read: Schema, more: Mapping[str, Any], *, needed: str | None
) -> dict[str, Any]:
    required = [*read.get("required", ()), *([needed] if needed else ())]
    return {
        **read,
        "properties": {**read["properties"], **more},
        **({"required": required} if required else {}),
    }


def _object(field: Schema, schemas: Mapping[str, Schema]) -> Schema | None:
    """Return the object that the field holds; None: it holds text or a number."""
    for one in (field, *field.get("anyOf", ())):
        if "$ref" in one:
            found = schemas[one["$ref"].rpartition("/")[2]]
            return found if "properties" in found else None
    return None


def _said(field: Schema) -> dict[str, Any]:
    """Return the field without null, which no form can say."""
    written = dict(field)
    if isinstance(written.get("type"), list):
        [written["type"]] = [kind for kind in written["type"] if kind != "null"]
    if "enum" in written:
        written["enum"] = [value for value in written["enum"] if value is not None]
    return written
