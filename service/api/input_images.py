"""Which fields of a request are images, and what may stand in them."""

from typing import Any

from service.core.errors import InvalidRequest
from service.intake.spool import Held
from service.intake.uploads import MOST_IMAGES, Upload, Uploads, linked

IMAGES = frozenset({"image", "image[]", "images", "images[]"})
MASKS = frozenset({"mask", "mask[]"})
_LINK_NAMES = ("image_url", "url")


class InputImages:
    """The images of one request, gathered from its fields in their order."""

    def __init__(self) -> None:
        self._images: list[Upload] = []
        self._mask: Upload | None = None

    def add(self, name: str, value: object) -> None:
        """Take one image out of field `name`.

        Args:
            name: One of IMAGES or MASKS.
            value: See `upload_of`.

        Raises:
            InvalidRequest: It is none, or one too many.
        """
        param = name.removesuffix("[]")
        if name in MASKS:
            if self._mask is not None:
                raise InvalidRequest(
                    "there is more than one mask", code="duplicate_field", param=param
                )
            self._mask = upload_of(param, value)
            return
        if len(self._images) == MOST_IMAGES:
            raise InvalidRequest(
                f"there are more than {MOST_IMAGES} images",
                code="too_many_images",
                param=param,
            )
        if param != name or self._images:
            param += f"[{len(self._images)}]"
        self._images.append(upload_of(param, value))

    def take_from(self, fields: dict[str, Any]) -> None:
        """Take all images out of a JSON object's fields; each may be a list.

        Raises:
            InvalidRequest: See `add`.
        """
        for name in [name for name in fields if name in IMAGES or name in MASKS]:
            value = fields.pop(name)
            if isinstance(value, list):
                for item in value:
                    self.add(f"{name.removesuffix('[]')}[]", item)
            elif value is not None:
                self.add(name, value)

    def uploads(self) -> Uploads:
        """Return what was gathered."""
        return Uploads(tuple(self._images), self._mask)


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
        if name in _LINK_NAMES:
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
