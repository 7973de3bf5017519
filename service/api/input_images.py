"""Which fields of a request are images, and what may stand in them."""

import re
from typing import Any

from service.core.errors import InvalidRequest
from service.intake.spool import Held
from service.intake.uploads import MOST_IMAGES, Upload, Uploads, linked

LINK_NAMES = frozenset({"image_url", "url"})

_MASK = "mask"
_FIELDS = frozenset({"image", "images", _MASK})
_PLACE = re.compile(r"\[([0-9]{0,2})\]\Z")
"""What PHP, qs and axios write behind a name for an item of a list."""


def holds_image(name: str) -> bool:
    """Whether the field is for images: `image`, `images` or `mask`, or one's item."""
    return _PLACE.sub("", name) in _FIELDS


class InputImages:
    """The images of one request: by their place, else in the order of its fields."""

    def __init__(self) -> None:
        self._images: dict[int, Upload] = {}
        self._mask: Upload | None = None

    def add(self, name: str, value: object) -> None:
        """Take one image out of field `name`.

        Args:
            name: One for which `holds_image`.
            value: See `upload_of`.

        Raises:
            InvalidRequest: It is none, or one too many.
        """
        param, place = _PLACE.sub("", name), _PLACE.search(name)
        if param == _MASK:
            if self._mask is not None:
                raise _twice(param)
            self._mask = upload_of(param, value)
            return
        if len(self._images) == MOST_IMAGES:
            raise InvalidRequest(
                f"there are more than {MOST_IMAGES} images",
                code="too_many_images",
                param=param,
            )
        index = max(self._images, default=-1) + 1
        if place and place[1]:
            index = int(place[1])
        if place or index:
            param += f"[{index}]"
        if index in self._images:
            raise _twice(param)
        self._images[index] = upload_of(param, value)

    def take_from(self, fields: dict[str, Any]) -> None:
        """Take all images out of a JSON object's fields; each may be a list.

        Raises:
            InvalidRequest: See `add`.
        """
        for name in [name for name in fields if holds_image(name)]:
            value = fields.pop(name)
            if isinstance(value, list):
                for item in value:
                    self.add(f"{_PLACE.sub('', name)}[]", item)
            elif value is not None:
                self.add(name, value)

    def uploads(self) -> Uploads:
        """Return what was gathered."""
        in_order = tuple(self._images[place] for place in sorted(self._images))
        return Uploads(in_order, self._mask)


def upload_of(param: str, value: object) -> Upload:
    """Return the image that `value` is or leads to.

    Args:
        param: What to call it in messages.
        value: A `Held`, a link, or a JSON object that has one of them as its
            `image_url` or `url`.

    Raises:
        InvalidRequest: `wrong_type`, `invalid_url` or `empty_file`.
    """
    if isinstance(value, dict) and len(value) == 1:
        [(name, inner)] = value.items()
        if name in LINK_NAMES:
            return upload_of(param, inner)
    if isinstance(value, Held):
        if not value.size:
            raise InvalidRequest(f"{param} is empty", code="empty_file", param=param)
        return Upload(param=param, held=value)
    if isinstance(value, str):
        return linked(param, value)
    raise InvalidRequest(
        f"{param} must be an image: a URL, a base64 data: URL, or an object "
        "that holds one as its image_url",
        code="wrong_type",
        param=param,
    )


def _twice(param: str) -> InvalidRequest:
    return InvalidRequest(
        f"there is more than one {param}", code="duplicate_field", param=param
    )
