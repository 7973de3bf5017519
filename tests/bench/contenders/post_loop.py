"""The limit: an aiohttp client that POSTs one body again and again, and does no more.

post_loop URL POSTS ABREAST    says how many seconds it took
"""

import asyncio
import sys
import time
from collections.abc import Iterator

import aiohttp
import uvloop

_BODY = b'{"id": "evt_1", "type": "job.succeeded", "data": "%s"}' % (b"x" * 1200)


async def _post(url: str, posts: int, abreast: int) -> None:
    numbers = iter(range(posts))
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        begun = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(abreast):
                group.create_task(_run(session, url, numbers))
        print(time.perf_counter() - begun, flush=True)


async def _run(
    session: aiohttp.ClientSession, url: str, numbers: Iterator[int]
) -> None:
    for _ in numbers:
        async with session.post(url, data=_BODY) as answer:
            await answer.read()


if __name__ == "__main__":
    uvloop.run(_post(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
