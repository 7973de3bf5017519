"""Whether the store takes images, and shows them to nobody without a signature."""

import asyncio
from collections.abc import Sequence

from service.boot.flaws import Flaw
from service.core.errors import StoreRefused, StoreUnavailable
from service.image_store import ImageStore
from service.image_store.opening import open_image_store
from service.settings import Settings

_ANSWER_S = 5.0


async def look_at_store(settings: Settings) -> Sequence[Flaw] | None:
    """Return what is wrong with the store that the settings name; None: it is away.

    Raises:
        ConfigurationError: They contradict each other.
    """
    images = open_image_store(settings)
    try:
        async with asyncio.timeout(_ANSWER_S):
            return await flaws_of(images)
    except StoreUnavailable as exc:
        if settings.storage.kind == "local" or isinstance(exc, StoreRefused):
            return [_unusable(exc)]
        return None
    except TimeoutError:
        return None
    finally:
        await images.close()


async def flaws_of(images: ImageStore) -> list[Flaw]:
    """Return what is wrong with a store that takes, returns and deletes.

    Raises:
        StoreUnavailable: It does not.
    """
    await images.check()
    if not await images.is_public():
        return []
    text = "anybody may read the images without a signature"
    return [Flaw(subject="store", text=text, remedy="make the bucket private")]


def _unusable(exc: StoreUnavailable) -> Flaw:
    remedy = "mend it, or set DARKROOM_STORAGE__*"
    return Flaw(subject="store", text=str(exc), remedy=remedy)
