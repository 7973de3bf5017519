"""Links to images, as they stand in pages, and those who open them."""

from redis.asyncio import Redis

from service.accounts import Scope
from tests.fakes.door import Answer, FrontDoor

ROUTE = "/embed/image:test/test"
EMBED, GENERATE = frozenset({Scope.EMBED}), frozenset({Scope.GENERATE})


async def look(
    door: FrontDoor, secret: str, prompt: str = "a+fox", **headers
) -> Answer:
    """Open a link as a browser does."""
    url = f"{ROUTE}?key={secret}&prompt={prompt}"
    return await door.get(url, secret=None, **headers)


async def jobs_in(redis: Redis) -> int:
    return len([key async for key in redis.scan_iter("darkroom:job:*")])
