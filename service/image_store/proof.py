"""The proof that a store works: a small object goes in, comes back and is gone.

Each has a key of its own, since many processes prove it at once. The key says when, so
that whatever could not be deleted then is found later.
"""

import secrets
import time

from service.core.errors import StoreUnavailable
from service.image_store import ImageStore

_PLACE = "checks/"
_LEFT_BEHIND_S = 3600


async def prove(store: ImageStore) -> None:
    """Put, read, delete and miss one small object under a key of its own.

    Raises:
        StoreUnavailable: The first step that went wrong, and what to do.
    """
    key = f"{_PLACE}{time.time():.0f}-{secrets.token_hex(16)}"
    sent = secrets.token_bytes(64)
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


async def clear(store: ImageStore) -> int:
    """Delete what proofs left behind an hour ago or earlier; return how many that was.

    Raises:
        StoreUnavailable: Some may still be there.
    """
    since = time.time() - _LEFT_BEHIND_S
    left = [key for key in await store.list(_PLACE) if _made_at(key) < since]
    for key in left:
        await store.delete(key)
    return len(left)


def _made_at(key: str) -> int:
    made = key.removeprefix(_PLACE).partition("-")[0]
    return int(made) if made.isdecimal() else 0
