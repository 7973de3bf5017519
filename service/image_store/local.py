"""Images as files in one folder, read by others through URLs signed here.

The content type is not kept: `media_type` tells it from the first bytes, so that a
file that is no image is never served as one, whoever put it there.
"""

import asyncio
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from service.core import signing
from service.core.errors import InvalidSignature
from service.image_store import SignedUrl
from service.image_store.folder import Folder, Look
from service.image_store.keys import checked, is_key, is_prefix
from service.image_store.proof import prove


def _utc_now() -> datetime:
    return datetime.now(UTC)


class LocalImageStore:
    """See `ImageStore`; all processes on one data folder share one secret.

    `clock` is asked for the time of day when URLs are signed and verified.
    """

    def __init__(
        self,
        root: Path,
        *,
        base_url: str,
        secret: bytes,
        lifetime: timedelta,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._folder = Folder(root)
        self._base_url = base_url
        self._secret = secret
        self._lifetime = lifetime
        self._clock = clock

    async def put(self, key: str, data: bytes, *, content_type: str) -> None:
        """See `ImageStore.put`; the bytes are on the disk when it returns."""
        _ = content_type
        await asyncio.to_thread(self._folder.write, checked(key), data)

    async def get(self, key: str) -> bytes | None:
        """See `ImageStore.get`; links are not followed."""
        return await asyncio.to_thread(self._folder.read, key)

    async def look(self, key: str) -> Look | None:
        """Return size, head and version of what is under `key`; None as in `get`.

        Raises:
            StoreUnavailable: It is there and cannot be read.
        """
        return await asyncio.to_thread(self._folder.look, key)

    def signed_url(self, key: str, *, lifetime: timedelta | None = None) -> SignedUrl:
        """See `ImageStore.signed_url`; the end is rounded up to a whole second."""
        end = self._clock() + (self._lifetime if lifetime is None else lifetime)
        expires_at = datetime.fromtimestamp(math.ceil(end.timestamp()), UTC)
        query = signing.sign(checked(key), expires_at=expires_at, secret=self._secret)
        return SignedUrl(f"{self._base_url}/images/{key}?{query}", expires_at)

    def verify(self, key: str, query: str) -> None:
        """Pass in silence when the URL `/images/{key}?{query}` may be read now.

        Both come raw, as they stood in the request line: a percent sign in either
        is somebody else's spelling and not valid.

        Raises:
            InvalidSignature: It was not signed here, or it was changed.
            UrlExpired: Its time has passed.
        """
        if not is_key(key):
            raise InvalidSignature("this URL was not signed here, or it was changed")
        signing.check(key, query, secret=self._secret, at=self._clock())

    async def delete(self, key: str) -> None:
        """See `ImageStore.delete`."""
        await asyncio.to_thread(self._folder.delete, key)

    async def list(self, prefix: str) -> list[str]:
        """See `ImageStore.list`."""
        if not is_prefix(prefix):
            return []
        return await asyncio.to_thread(self._folder.keys, prefix)

    async def check(self) -> None:
        """See `ImageStore.check`."""
        await prove(self)

    async def is_public(self) -> bool:
        """See `ImageStore.is_public`; the folder is read by this machine's own."""
        return False

    async def close(self) -> None:
        """Do nothing: no file stays open between calls."""


def media_type(data: bytes) -> str:
    """Tell the content type from the first bytes; `application/octet-stream` if none.

    Looks at 12 bytes: it tells what to call them, not whether they are a whole image.
    """
    match data[:4], data[8:12]:
        case b"\x89PNG", _:
            return "image/png"
        case b"RIFF", b"WEBP":
            return "image/webp"
        case b"GIF8", _:
            return "image/gif"
        case _, b"avif":
            return "image/avif"
        case head, _ if head.startswith(b"\xff\xd8\xff"):
            return "image/jpeg"
    return "application/octet-stream"
