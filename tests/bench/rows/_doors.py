"""Front doors under test: ours as it is deployed, and the peers' scripts."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import orjson

from tests.bench.contenders._door import KEY
from tests.bench.peers import OURS
from tests.bench.stand import Process, process
from tests.fakes.valkey import Valkey

_PLENTY = str(10**9)


@contextmanager
def darkroom_process(server: Valkey, **settings: str) -> Iterator[tuple[Process, int]]:
    """Open one of ours, whose limits are out of reach; yield it and its port."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "DARKROOM_REDIS_URL": server.url,
            "DARKROOM_PORT": "0",
            "DARKROOM_BOOTSTRAP_KEY": KEY,
            "DARKROOM_DATA_DIR": folder,
            "DARKROOM_LIMITS__QUOTA_UNITS": str(10**15),
            "DARKROOM_LIMITS__QUEUED_JOBS": _PLENTY,
            "DARKROOM_LIMITS__BACKLOG": _PLENTY,
            **settings,
        }
        with process(OURS, "service", **settings) as door:
            opened: list[int] = []

            def is_open() -> bool:
                lines = map(orjson.loads, door.said().splitlines())
                opened.extend(
                    x["port"] for x in lines if x.get("event") == "door.opened"
                )
                return bool(opened)

            door.wait_until(is_open, every_s=0.05)
            yield door, opened[0]


@contextmanager
def darkroom(server: Valkey) -> Iterator[int]:
    """Open one of ours; yield its port."""
    with darkroom_process(server) as (_, port):
        yield port


@contextmanager
def script(module: str, server: Valkey) -> Iterator[int]:
    """Open that of a peer; yield its port."""
    with process(OURS, f"tests.bench.contenders.{module}", server.url) as door:
        yield int(door.line())


def load(
    port: int,
    seconds: float,
    what: str,
    *rest: str,
    callers: int | None = None,
    watch: Sequence[int] = (),
) -> dict[str, float]:
    """Keep it busy from a process of its own; see `tests.bench.load`."""
    words = [str(port), str(seconds), what, *rest]
    if callers is not None:
        words += ["--callers", str(callers)]
    if watch:
        words += ["--watch", *map(str, watch)]
    with process(OURS, "tests.bench.load", *words) as client:
        figures: dict[str, float] = orjson.loads(client.line())
    return figures
