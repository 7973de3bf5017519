"""Work on a batch that may take long, and the word that somebody still does it."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, TypeVar

from service.batches import Feeds
from service.core.errors import QueueUnavailable
from service.job_store.listening import end

_T = TypeVar("_T")
_BEAT_S = 5.0


async def while_held(
    work: Coroutine[Any, Any, _T], feeds: Feeds, batch_id: str, *, holder: str = ""
) -> _T:
    """Do the work as long as the batch is ours.

    Raises:
        BatchOver: It is not any more; the work was broken off.
    """
    working = asyncio.create_task(work)
    beating = asyncio.create_task(_beat(feeds, batch_id, holder))
    try:
        await asyncio.wait({working, beating}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            beating.result()
        return working.result()
    finally:
        await end([working, beating])


async def _beat(feeds: Feeds, batch_id: str, holder: str) -> None:
    while True:
        await asyncio.sleep(_BEAT_S)
        with contextlib.suppress(QueueUnavailable):  # it is looked at again soon
            await feeds.keep_alive(batch_id, holder=holder)
