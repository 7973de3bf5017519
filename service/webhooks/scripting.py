"""The Lua scripts of this package, with what they share before them."""

from functools import cache
from pathlib import Path

from redis.asyncio import Redis

from service.job_store import keys
from service.job_store.scripting import Script, parts

_HERE = Path(__file__).parent / "scripts"


def script(redis: Redis, name: str) -> Script:
    """Return the step `name`, such as `claim`, bound to a connection pool."""
    return Script(redis, _source(name), queue=keys.DELIVER)


@cache
def _source(name: str) -> str:
    own = "".join((_HERE / f"{part}.lua").read_text() for part in ("deliveries", name))
    return parts("common", "outbox") + own
