"""Both clients behind one face, so that a test can ask either."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, closing
from itertools import islice
from typing import Any

from service.client import AsyncDarkroom, Darkroom

KINDS = (Darkroom, AsyncDarkroom)


class Asker:
    """Asks a client; one that blocks does so in a thread."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def ask(self, method: str, *args: Any, **options: Any) -> Any:
        call = getattr(self._client, method)
        if isinstance(self._client, AsyncDarkroom):
            return await call(*args, **options)
        return await asyncio.to_thread(call, *args, **options)

    async def take(
        self, method: str, *args: Any, most: int | None = None, **options: Any
    ) -> list[Any]:
        """Take what a stream yields, the first of it or all."""
        feed = getattr(self._client, method)(*args, **options)
        if isinstance(self._client, Darkroom):
            return await asyncio.to_thread(_taken, feed, most)
        taken: list[Any] = []
        async with aclosing(feed):
            while most is None or len(taken) < most:
                try:
                    taken.append(await anext(feed))
                except StopAsyncIteration:
                    break
        return taken


@asynccontextmanager
async def asker(
    kind: type[Darkroom | AsyncDarkroom], url: str, key: str, **options: Any
) -> AsyncIterator[Asker]:
    client = kind(url, key, **options)
    yield Asker(client)
    if isinstance(client, Darkroom):
        client.close()
    else:
        await client.aclose()


def _taken(feed: Any, most: int | None) -> list[Any]:
    with closing(feed):
        return list(islice(feed, most))
