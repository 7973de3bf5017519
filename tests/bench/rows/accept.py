"""How many jobs a second one front-door process accepts."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from tests.bench.figures import Effort, Goal, Row, Sample
from tests.bench.rows._doors import darkroom, load, script
from tests.bench.stand import valkey
from tests.fakes.valkey import Valkey

_SECONDS = 4.0


def _accept(
    opened: Callable[[Valkey], AbstractContextManager[int]], effort: Effort
) -> Sample:
    with valkey() as server, opened(server) as port:
        return load(port, _SECONDS * effort.scale, "accept")


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
        "Darkroom": partial(_accept, darkroom),
        "aiohttp + arq": partial(_accept, partial(script, "arq_door")),
        "empty handler": partial(_accept, partial(script, "empty_door")),
    },
    goals=(Goal(rivals=("aiohttp + arq",), reach=2.5, aim=4),),
)
