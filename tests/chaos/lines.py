"""All lines of the workers are bad: to Valkey, the store, a provider and a receiver.

They are slow, are cut, are reset and go dead as often as dice say; only what a provider
sends is noisy as well, for there no checksum of a protocol would tell.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp

from tests.chaos import books
from tests.chaos.report import Report
from tests.chaos.rough import Rough
from tests.chaos.stage import MODEL, Cast, Stage, on_stage
from tests.chaos.subscriber import Subscriber
from tests.chaos.watch import watching
from tests.fakes.bad_line import BadLine, Weather
from tests.fakes.receiver import Receiver

_TO_VALKEY = Weather(latency_s=0.002, drop=0.001, reset=0.001, stall=0.0005)
_TO_STORE = Weather(latency_s=0.005, drop=0.02, reset=0.02, stall=0.01)
_TO_PROVIDER = Weather(
    latency_s=0.005,
    bytes_per_s=1_000_000,
    drop=0.004,
    reset=0.004,
    stall=0.004,
    corrupt=0.01,
)
_TO_RECEIVER = Weather(latency_s=0.005, drop=0.03, reset=0.03, stall=0.01)
_SETTINGS = {
    "DARKROOM_OUTBOUND__ALLOWED_NETWORKS": '["127.0.0.0/8"]',
    "DARKROOM_OUTBOUND__ALLOW_HTTP": "true",
    "DARKROOM_WEBHOOKS__SCHEDULE_S": "[0.2, 0.5, 1, 2, 2, 2, 2, 2, 2]",
    "DARKROOM_WEBHOOKS__TIMEOUT_S": "2",
    "DARKROOM_WEBHOOKS__BREAKER_S": "2",
    "DARKROOM_WEBHOOKS__HOST_PER_MINUTE": "0",
    "DARKROOM_WORKER__RETRY_BASE_S": "0.2",
}
_UNKNOWN = frozenset({"provider_ambiguous", "provider_bad_output"})
"""What may have been bought is bought once more, and no third time."""
_PATIENCE_S = 120


async def run(*, jobs: int, seed: int, cast: Cast) -> Report:
    """Make so many images over bad lines, and tell a receiver of each."""
    report = Report(f"bad lines, seed {seed}")
    async with (
        on_stage(cast, settings=_SETTINGS, rough=Rough()) as stage,
        watching(stage.valkey.url) as watcher,
        aiohttp.ClientSession() as session,
        Receiver() as receiver,
        _laid(stage, receiver, seed) as lines,
    ):
        begun = time.monotonic()
        await _move_behind(stage, lines)
        made = await Subscriber(stage, session).ask(
            "POST", "/v1/endpoints", {"url": f"http://{lines.receiver.address}/"}
        )
        receiver.secrets.append(made["secret"])
        ids = await asyncio.gather(
            *(
                stage.client.submit(f"fox {n}", name=f"fox {n}", model=MODEL)
                for n in range(jobs)
            )
        )
        ends = await asyncio.gather(*(stage.client.final(job_id) for job_id in ids))
        heard = await _until_told(receiver, set(ids))
        await watcher.look()
        calls = len(books.calls(stage.ledger))
        report.note(jobs=jobs, workers=cast.workers, slots_each=cast.slots)
        report.note(run_s=time.monotonic() - begun)
        for name, line in vars(lines).items():
            report.note(**{f"connections to {name}": line.connections})
            report.note(**{f"struck on the way to {name}": line.struck})
            report.expect(that=line.struck > 0, otherwise=f"the line to {name} is good")
    failed = [end for end in ends if end["status"] != "succeeded"]
    attempts = sum(len(end["attempts"]) for end in ends)
    report.note(bought_twice_for_nothing=len(failed), calls=calls, attempts=attempts)
    report.expect_none(
        "lost",
        [
            end["id"]
            for end in failed
            if len(end["attempts"]) < 2 or end["error"]["code"] not in _UNKNOWN
        ],
    )
    report.expect(that=calls <= attempts, otherwise=f"{calls} calls, {attempts} told")
    report.expect_none("states_going_backwards", watcher.backwards)
    report.expect_none("second_finals", [i for i, n in watcher.finals.items() if n > 1])
    report.expect_none("nobody_was_told_of", set(ids) - heard)
    report.expect_none("forged", receiver.forged)
    return report


@dataclass(frozen=True)
class _Lines:
    valkey: BadLine
    store: BadLine
    provider: BadLine
    receiver: BadLine


@contextlib.asynccontextmanager
async def _laid(stage: Stage, receiver: Receiver, seed: int) -> AsyncIterator[_Lines]:
    to_store, to_provider = (
        urlsplit(stage.origin(name)).netloc for name in ("store", "upstream")
    )
    async with (
        BadLine(str(stage.valkey.socket), weather=_TO_VALKEY, seed=seed) as valkey,
        BadLine(to_store, weather=_TO_STORE, seed=seed) as store,
        BadLine(to_provider, weather=_TO_PROVIDER, seed=seed) as provider,
        BadLine(
            f"127.0.0.1:{receiver.port}", weather=_TO_RECEIVER, seed=seed
        ) as receiving,
    ):
        yield _Lines(valkey, store, provider, receiving)


async def _move_behind(stage: Stage, lines: _Lines) -> None:
    """Put workers behind the lines in place of those that are not."""
    catalog = (stage.folder / "catalog.toml").read_text()
    file = stage.folder / "behind.toml"
    file.write_text(
        catalog.replace(stage.origin("upstream"), f"http://{lines.provider.address}")
    )
    behind = [
        stage.program(
            f"behind{number}",
            "workers",
            DARKROOM_REDIS_URL=f"redis://{lines.valkey.address}",
            DARKROOM_STORAGE__ENDPOINT_URL=f"http://{lines.store.address}",
            DARKROOM_CATALOG_FILE=str(file),
        )
        for number in range(len(stage.workers))
    ]
    for worker in stage.workers:
        worker.stop()
    stage.workers[:] = behind
    for worker in behind:
        worker.start()
    await stage.until_ready()


async def _until_told(receiver: Receiver, ids: set[str]) -> set[str]:
    """Return of which jobs the receiver has heard, when it is all or time is up."""
    heard = set[str]()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE_S), receiver.came:
            while not ids <= heard:
                heard = {str(one.event["data"]["id"]) for one in receiver.heard}
                if not ids <= heard:
                    await receiver.came.wait()
    return heard & ids
