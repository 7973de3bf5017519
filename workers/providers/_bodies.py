"""What providers' bodies have in common: lists of objects, base64, costs.

Nothing here trusts what it reads: a field of another type is one that is not there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pybase64

from service.core.provider import GeneratedImage

_MOST = 2**53
"""Numbers from here on are no longer exact everywhere, and sums of them may not fit."""


def items_of(body: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the objects of a list in `body`; what is none of them is left out."""
    items = body.get(name)
    return [
        item
        for item in (items if isinstance(items, list) else [])
        if type(item) is dict
    ]


def error_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `error` object of `body`; an empty one where there is none."""
    error = body.get("error")
    return error if isinstance(error, dict) else {}


def inline_or_link(item: Mapping[str, Any]) -> object:
    """Return the link of an item of OpenAI's shape, a `data:` one if it is inline."""
    inline = item.get("b64_json")
    return f"data:;base64,{inline}" if isinstance(inline, str) else item.get("url")


def revised(
    images: Sequence[GeneratedImage], items: Sequence[Mapping[str, Any]]
) -> Sequence[GeneratedImage]:
    """Return `images` with the prompts that their items say were drawn."""
    if len(images) != len(items):  # nobody can tell which is whose
        return images
    prompts = (item.get("revised_prompt") for item in items)
    return [
        replace(image, revised_prompt=prompt if isinstance(prompt, str) else None)
        for image, prompt in zip(images, prompts, strict=True)
    ]


def decoded(text: object) -> bytes | None:
    """Return the bytes that base64 `text` stands for; None where it is none."""
    if not isinstance(text, str):
        return None
    try:
        return pybase64.b64decode(text, validate=True)
    except ValueError:
        # Broken into lines, as MIME has it; rare, and a copy of megabytes.
        unbroken = "".join(text.split())
    try:
        return pybase64.b64decode(unbroken, validate=True)
    except ValueError:
        return None


def encoded(data: bytes) -> str:
    """Return `data` as base64."""
    return pybase64.b64encode(data).decode()


def data_url(data: bytes, content_type: str) -> str:
    """Return a `data:` URL of an image."""
    return f"data:{content_type};base64,{encoded(data)}"


def counted(counts: Mapping[str, Any]) -> dict[str, int]:
    """Return what was counted, as far as these are numbers that any JSON can carry."""
    return {
        name: count
        for name, count in counts.items()
        if type(count) is int and 0 <= count < _MOST
    }


def dollars(value: object) -> Decimal | None:
    """Return what a provider says a call cost; None where that is no number."""
    return Decimal(str(value)) if type(value) in (int, float) else None
