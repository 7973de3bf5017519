"""Where finished images lie: `local` files or any S3-compatible service.

Keys are made by the server and look like `jobs/{job id}/{fence}/{i}`; beside the
images of one attempt lies `jobs/{job id}/{fence}/receipt.json`. Files that were
uploaded lie there, too, in pieces: `files/{file id}/{i}`. Under `checks/` something
lies for as long as a check takes. What `StoreUnavailable` says is for operators: it
names folders, addresses and settings.
"""

from datetime import datetime, timedelta
from typing import NamedTuple, Protocol


class SignedUrl(NamedTuple):
    """A URL anyone may read until it expires; never stored, signed when read."""

    url: str
    expires_at: datetime


class ImageStore(Protocol):
    """Puts bytes under keys and signs URLs to read them back."""

    async def put(self, key: str, data: bytes, *, content_type: str) -> None:
        """Store `data` under `key` whole or not at all; again replaces it.

        Raises:
            StoreUnavailable: It is not there; try again.
            ValueError: `key` breaks the rules of `service.image_store.keys`.
        """
        ...

    async def get(self, key: str) -> bytes | None:
        """Return the bytes under `key`; None when there is no such key.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        ...

    def signed_url(self, key: str, *, lifetime: timedelta | None = None) -> SignedUrl:
        """Return a URL that reads `key` for `lifetime` (default: the setting).

        Raises:
            StoreUnavailable: There are no credentials to sign with.
            ValueError: `key` breaks the rules of `service.image_store.keys`.
        """
        ...

    async def delete(self, key: str) -> None:
        """Remove `key`; removing what is not there is fine.

        Raises:
            StoreUnavailable: It may still be there.
        """
        ...

    async def list(self, prefix: str) -> list[str]:
        """Return the keys that begin with `prefix` (for the sweep, never hot).

        Raises:
            StoreUnavailable: The store did not answer.
        """
        ...

    async def check(self) -> None:
        """Prove that the store takes, returns and deletes a small object.

        Raises:
            StoreUnavailable: With what is wrong and what to do, in one sentence.
        """
        ...

    async def is_public(self) -> bool:
        """Whether anybody may list the images, or read one, without a signature.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        ...

    async def close(self) -> None:
        """Close connections."""
        ...
