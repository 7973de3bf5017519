"""The proof that a store works: a small object goes in, comes back and is gone."""

import secrets

from service.core.errors import StoreUnavailable
from service.image_store import ImageStore


async def prove(store: ImageStore) -> None:
    """Put, read, delete and miss one small object under a key of its own.

    Raises:
        StoreUnavailable: The first step that went wrong, and what to do.
    """
    key, sent = f"checks/{secrets.token_hex(16)}", secrets.token_bytes(64)
    await store.put(key, sent, content_type="application/octet-stream")
    try:
        returned = await store.get(key)
    finally:
        await store.delete(key)
    if returned != sent:
        raise StoreUnavailable(
            "the image store took 64 bytes and did not return the same: "
            "is something between it and us that changes or caches what passes?"
        )
    if await store.get(key) is not None:
        raise StoreUnavailable(
            "the image store still returns an object that was deleted: "
            "is something between it and us that caches?"
        )
