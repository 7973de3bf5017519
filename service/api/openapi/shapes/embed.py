"""A link that shows one image."""

from typing import Literal

from service.api.openapi.shapes import Shape


class EmbedLink(Shape):
    """A signed link; nothing is made or charged before somebody opens it."""

    object: Literal["embed.link"]
    url: str
    """Put it into a page as it stands; it holds no key."""
    expires_at: int
    """Unix seconds."""
    key_id: str
    """The key that pays."""
