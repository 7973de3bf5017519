"""The Lua scripts of this package, with what all steps of jobs share before them."""

from functools import cache
from pathlib import Path

from redis.asyncio import Redis

from service.job_store import keys
from service.job_store.scripting import Script, shared

_HERE = Path(__file__).parent / "scripts"


def script(redis: Redis, name: str) -> Script:
    """Return the step `name`, such as `advance`, bound to a connection pool."""
    return Script(redis, source(name), queue=keys.QUEUE)


@cache
def source(name: str) -> str:
    """Return the whole text of a step."""
    steps = ("aside", name)
    return shared() + "".join((_HERE / f"{step}.lua").read_text() for step in steps)
