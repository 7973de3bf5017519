"""How many jobs a second one front-door process accepts."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import orjson

from tests.bench.contenders._door import KEY
from tests.bench.figures import Effort, Goal, Row, Sample
from tests.bench.peers import OURS
from tests.bench.stand import process, valkey
from tests.fakes.valkey import Valkey

_SECONDS = 4.0
_PLENTY = str(10**9)


@contextmanager
def _ours(server: Valkey) -> Iterator[int]:
    settings = {
        "DARKROOM_REDIS_URL": server.url,
        "DARKROOM_PORT": "0",
        "DARKROOM_BOOTSTRAP_KEY": KEY,
        "DARKROOM_LIMITS__QUOTA_UNITS": str(10**15),
        "DARKROOM_LIMITS__QUEUED_JOBS": _PLENTY,
        "DARKROOM_LIMITS__BACKLOG": _PLENTY,
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        process(OURS, "service", **settings, DARKROOM_DATA_DIR=folder) as door,
    ):
        opened: list[int] = []

        def is_open() -> bool:
            lines = map(orjson.loads, door.said().splitlines())
            opened.extend(x["port"] for x in lines if x.get("event") == "door.opened")
            return bool(opened)

        door.wait_until(is_open, every_s=0.05)
        yield opened[0]


@contextmanager
def _theirs(module: str, server: Valkey) -> Iterator[int]:
    with process(OURS, f"tests.bench.contenders.{module}", server.url) as door:
        yield int(door.line())


def _accept(
    opened: Callable[[Valkey], AbstractContextManager[int]], effort: Effort
) -> Sample:
    with valkey() as server, opened(server) as port:
        seconds = str(_SECONDS * effort.scale)
        with process(OURS, "tests.bench.load", str(port), seconds) as load:
            figures: dict[str, float] = orjson.loads(load.line())
    return figures


ACCEPT = Row(
    name="accept",
    title="Accept one job, one front-door process",
    about=(
        "64 connections, each with one request of 0.5 KB under way, into a Valkey "
        "with AOF everysec. Ours authenticates, validates, remembers the "
        "Idempotency-Key, reserves quota, writes the record, the listing and the "
        "event, and logs. `aiohttp + arq` decodes the body and calls `enqueue_job`, "
        "nothing else. `empty handler` does nothing: it is the limit of server and "
        "client, whose own load is `client busy`."
    ),
    figure="answers/s",
    more_is_better=True,
    contenders={
        "Darkroom": partial(_accept, _ours),
        "aiohttp + arq": partial(_accept, partial(_theirs, "arq_door")),
        "empty handler": partial(_accept, partial(_theirs, "empty_door")),
    },
    goals=(Goal(rivals=("aiohttp + arq",), reach=2.5, aim=4),),
)
