"""An hour of every day's calls, after which nothing is left and nothing has grown.

All that is kept goes again after a minute (retention, idempotency, deliveries), so
that an hour sees sixty generations of it come and go.
"""

import asyncio
import json
import time
from collections import Counter
from pathlib import Path

import aiohttp

from service.files.writing import DUE
from tests.chaos import gauges
from tests.chaos.gauges import Sample
from tests.chaos.habits import Public, crowd
from tests.chaos.report import Report
from tests.chaos.stage import Cast, Stage, on_stage
from tests.fakes.receiver import Receiver

KEPT_S = 60
"""The shortest retention there is."""
_SETTINGS = {
    "DARKROOM_RETENTION_S": str(KEPT_S),
    "DARKROOM_IDEMPOTENCY_S": str(KEPT_S),
    "DARKROOM_WEBHOOKS__RETENTION_S": str(KEPT_S),
    "DARKROOM_WEBHOOKS__HOST_PER_MINUTE": "0",
    "DARKROOM_OUTBOUND__ALLOWED_NETWORKS": '["127.0.0.0/8"]',
    "DARKROOM_OUTBOUND__ALLOW_HTTP": "true",
}
_REFUSING = """
[models."chaos/refuse"]
routes = ["test/refuse"]
sizes = ["64x64"]
"""
_SAMPLES = 60
_LEAST_EVERY_S = 2.0
_FORGOTTEN_WITHIN_S = 600 + 5 * KEPT_S
"""Ten minutes later the sweep looks once more for images that came late."""
_CLOSED_WITHIN_S = 60
_OWN = 60
"""Tasks and descriptors of a process that serves nobody, first seen in its birth."""
_SETTLED_S = 3 * KEPT_S
"""A minute's retention, and the sweep that comes by once a minute, twice."""
_LOOK_S = 2.0
_OF_JOBS = frozenset(
    {"job", "idem", "cache", "alias", "claimed", "calls"}
    | {"batch", "delivery", "file", "upload"}
)
"""Kinds of keys that belong to a job, a batch, a delivery or a file."""
_MAY_GROW = {"tasks": 10, "fds": 10, "rss_mb": 20, "keys": 100, "files": 100}
_MAY_GROW_PART = 0.1


async def run(
    *,
    per_s: float,
    seconds: float,
    forgets: bool,
    seed: int,
    cast: Cast,
    folder: Path | None = None,
) -> Report:
    """Let callers come and go; look at everything all the while.

    Args:
        per_s: How many come.
        seconds: For how long.
        forgets: Whether to wait afterwards until all of it is forgotten.
        seed: Decides what they do.
        cast: Who plays.
        folder: Keeps data, ledger, logs and, in `samples.jsonl`, what was seen.
    """
    report = Report(f"soak, seed {seed}")
    async with (
        on_stage(
            cast,
            folder=folder,
            catalog=_REFUSING,
            settings=_SETTINGS,
            through=gauges.RUNS,
        ) as stage,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
        Receiver() as receiver,
    ):
        public = Public(http, stage.base_url)
        wanted = {"url": receiver.url, "events": ["job.succeeded", "job.failed"]}
        made = await public.ask("POST", "/v1/endpoints", status=201, json=wanted)
        receiver.secrets.append(made["secret"])
        samples = await _watched(stage, public, per_s, seconds, seed)
        report.note(seconds=seconds, samples=len(samples), calls=public.came.total())
        report.note(**dict(sorted(public.came.items())))
        report.note(deliveries=len(receiver.heard))
        report.expect_none("forged", receiver.forged)
        report.note(asked_to_come_again=public.put_off)
        report.expect_none("wrong_answers", public.faults)
        _compare(report, samples, seconds)
        await _until_closed(report, stage, samples[0])
        if forgets:
            await _until_forgotten(report, stage)
    return report


async def _watched(
    stage: Stage, public: Public, per_s: float, seconds: float, seed: int
) -> list[Sample]:
    """Return what the gauges said while the callers came."""
    samples, every_s = list[Sample](), max(_LEAST_EVERY_S, seconds / _SAMPLES)
    everybody = asyncio.create_task(
        crowd(public, per_s=per_s, seconds=seconds, seed=seed)
    )
    while not everybody.done():
        samples.append(await gauges.read(stage))
        with (stage.folder / "samples.jsonl").open("a") as file:
            file.write(json.dumps(samples[-1]) + "\n")
        await asyncio.wait([everybody], timeout=every_s)
    await everybody
    return samples


def _compare(report: Report, samples: list[Sample], seconds: float) -> None:
    """Hold the second half against the first; whatever leaks is higher there.

    What is kept for a minute grows until as much goes as comes, and a busy machine
    has more callers waiting from one second to the next.
    """
    settles = seconds / 4 > _SETTLED_S
    for name in samples[0]:
        first, second = gauges.halves(samples, name)
        report.note(**{name: f"{first:.1f} -> {second:.1f}"})
        if not settles and not name.endswith("rss_mb"):
            continue
        report.expect(
            that=second - first <= max(_slack(name), _MAY_GROW_PART * first),
            otherwise=f"{name} grew from {first:.1f} to {second:.1f}",
        )


def _slack(name: str) -> float:
    return next((most for end, most in _MAY_GROW.items() if name.endswith(end)), 5)


async def _until_closed(report: Report, stage: Stage, first: Sample) -> None:
    """Wait until the callers, who are gone, have no task and no descriptor left."""
    for _ in range(_CLOSED_WITHIN_S):
        now = await gauges.read(stage)
        still = {
            name: f"{was:.0f} -> {now[name]:.0f}"
            for name, was in first.items()
            if name.endswith(("tasks", "fds")) and now[name] > was + _OWN
        }
        if not still:
            break
        await asyncio.sleep(1)
    report.expect_none("still_open", sorted(still.items()))


async def _until_forgotten(report: Report, stage: Stage) -> None:
    """Wait until no key and no file is left of all that was asked for."""
    begun = time.monotonic()
    while left := await _left(stage):
        if time.monotonic() - begun > _FORGOTTEN_WITHIN_S:
            break
        await asyncio.sleep(_LOOK_S)
    report.note(forgotten_after_s=time.monotonic() - begun)
    report.expect_none("left_behind", sorted(left.items()))
    kinds = await gauges.keys_by_kind(stage)
    report.note(marks=kinds.pop(gauges.MARKS, 0), other_keys=kinds.total())
    report.note(kinds=dict(sorted(kinds.items())))
    eternal = [
        key.decode()
        async for key in stage.redis.scan_iter(match=f"darkroom:{gauges.GONE}:*")
        if await stage.redis.ttl(key) < 0
    ]
    report.expect_none("marks_for_ever", eternal)


async def _left(stage: Stage) -> Counter[str]:
    """Count what nobody needs; an upload broken off keeps its pieces for a day."""
    kinds = await gauges.keys_by_kind(stage)
    left = Counter({kind: kinds[kind] for kind in _OF_JOBS if kinds[kind]})
    broken_off = {i.decode() for i in await stage.redis.zrange(DUE, 0, -1)}
    return left + Counter({"stored files": gauges.stored_files(stage, broken_off)})
