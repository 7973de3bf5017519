"""Receivers that hang, that are away, and workers that die while they are told.

Jobs are canceled as soon as they are submitted, so that events come as fast as Redis
makes them, and each is told to whoever wants to hear of it. The receivers are here, in
the driver, and believe nothing that is not signed right.
"""

import asyncio
import random
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import aiohttp

from service.settings import Webhooks
from service.webhooks import Delivery
from tests.chaos.report import Report
from tests.chaos.stage import Cast, Stage, on_stage
from tests.chaos.subscriber import ACCOUNT, Subscriber
from tests.fakes.receiver import Heard, Receiver, verifies

_SETTINGS = {
    "DARKROOM_OUTBOUND__ALLOWED_NETWORKS": '["127.0.0.0/8"]',
    "DARKROOM_OUTBOUND__ALLOW_HTTP": "true",
    "DARKROOM_WEBHOOKS__ENDPOINTS": "1000",
    "DARKROOM_WEBHOOKS__HOST_PER_MINUTE": "0",
}
_PATIENCE_S = 120
_LOOK_S = 0.05


async def hanging(
    *, good: int, jobs: int, rounds: int, most: float, cast: Cast
) -> Report:
    """Time `good` endpoints alone, and beside one that never answers, by turns.

    Args:
        good: Endpoints that answer at once.
        jobs: Events of one turn.
        rounds: Turns of each kind.
        most: How many times as long p95 may be beside the one that hangs.
        cast: Who plays; the jobs do not reach its upstream.
    """
    report = Report("one hanging endpoint")
    alone, beside = list[float](), list[float]()
    async with (
        on_stage(cast, settings=_SETTINGS) as stage,
        aiohttp.ClientSession() as session,
        Receiver() as receiver,
        Receiver() as bad,
    ):
        ours = Subscriber(stage, session)
        secret = (await ours.ask("GET", "/v1/webhooks/default/secret"))["key"]
        receiver.secrets = [secret]
        for number in range(good):
            await ours.ask(
                "POST",
                "/v1/endpoints",
                {"url": f"{receiver.url}/to/{number}", "secret": secret},
            )
        hung = await ours.listen(f"{bad.url}/hang", bad)
        for turn in range(-1, rounds):  # the first one is warming up
            for status, times in (("disabled", alone), ("enabled", beside)):
                await ours.ask("PATCH", f"/v1/endpoints/{hung}", {"status": status})
                times.append(await _p95(ours, receiver, range(jobs), good=good))
            if turn < 0:
                alone.clear()
                beside.clear()
        held = len(bad.heard)
    ratio = statistics.median(beside) / statistics.median(alone)
    report.note(endpoints=good + 1, events=2 * jobs * rounds, workers=cast.workers)
    report.note(p95_alone_ms=statistics.median(alone) * 1000)
    report.note(p95_beside_ms=statistics.median(beside) * 1000)
    report.note(ratio=ratio, limit=most, calls_that_hung=held, forged=len(bad.forged))
    report.expect(that=held > 0, otherwise="nothing was sent to the one that hangs")
    report.expect(that=ratio <= most, otherwise=f"p95 is {ratio:.2f} times as long")
    report.expect_none("forged_ones", receiver.forged)
    return report


async def _p95(
    ours: Subscriber, receiver: Receiver, numbers: Sequence[int], *, good: int
) -> float:
    """Return how long it takes from the event to its arrival, in seconds."""
    receiver.heard.clear()
    jobs = await ours.end_jobs(numbers)
    expected = len(jobs) * good
    heard = await receiver.until(expected, within_s=_PATIENCE_S)
    begun = {}
    for job_id in jobs:
        page = await ours.store.page(
            ACCOUNT, limit=1, matches=lambda d, job_id=job_id: d.subject == job_id
        )
        begun[page.deliveries[0].event] = page.deliveries[0].created_at.timestamp()
    took = sorted(one.at - begun[one.id] for one in heard)
    return took[int(0.95 * len(took))]


async def outage(*, events: int, hour_s: float, seed: int, cast: Cast) -> Report:
    """Send events to a receiver that is away for an hour, while others are killed.

    Before it is back its secret is rotated: either must do for all that comes then.

    Args:
        events: How many.
        hour_s: How long an hour is: schedule and breaker are scaled with it.
        seed: Decides who is killed.
        cast: Who plays.
    """
    report = Report(f"webhooks through an outage, seed {seed}")
    usual, scale = Webhooks(), hour_s / 3600
    rules = {
        "DARKROOM_WEBHOOKS__SCHEDULE_S": str([s * scale for s in usual.schedule_s]),
        "DARKROOM_WEBHOOKS__BREAKER_S": str(usual.breaker_s * scale),
    }
    dice = random.Random(seed)
    async with (
        on_stage(cast, settings=_SETTINGS | rules) as stage,
        aiohttp.ClientSession() as session,
        Receiver() as receiver,
    ):
        ours = Subscriber(stage, session)
        endpoint = await ours.listen(receiver.url, receiver)
        receiver.status = 0
        jobs, _ = await asyncio.gather(
            ours.end_jobs(range(events)), _kill_workers(stage, hour_s, dice)
        )
        rotated = await ours.ask("POST", f"/v1/endpoints/{endpoint}/rotate", {})
        await _restart(stage)
        receiver.status, failed = 204, len(receiver.heard)
        await _until_heard(receiver, jobs, since=failed, stage=stage, dice=dice)
        told = await _settled(ours)
        _settle(report, told, jobs, receiver.heard[failed:])
        secrets = (*receiver.secrets, rotated["secret"])
        _verify(report, receiver.heard, since=failed, secrets=secrets)
        report.note(**{f"{who}_kills": n for who, n in stage.kills.items()})
        report.note(refused=failed)
        report.expect_none("forged", receiver.forged)
    return report


async def _until_heard(
    receiver: Receiver, jobs: set[str], *, since: int, stage: Stage, dice: random.Random
) -> None:
    """Kill a worker and Valkey in the midst of it."""
    async with asyncio.timeout(_PATIENCE_S):
        await receiver.until(since + len(jobs) // 4, within_s=_PATIENCE_S)
        stage.kill_worker(dice.randrange(stage.cast.workers))
        await receiver.until(since + len(jobs) // 2, within_s=_PATIENCE_S)
        await _restart(stage)
        while _subjects(receiver.heard[since:]) < jobs:
            await asyncio.sleep(_LOOK_S)


async def _kill_workers(stage: Stage, hour_s: float, dice: random.Random) -> None:
    for _ in range(4):
        await asyncio.sleep(hour_s / 4)
        stage.kill_worker(dice.randrange(stage.cast.workers))


async def _restart(stage: Stage) -> None:
    async with stage.without_valkey():
        await asyncio.sleep(0.5)


async def _settled(ours: Subscriber) -> list[Delivery]:
    """Return the deliveries once none is on its way any more."""
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            told = await ours.deliveries()
            if all(delivery.state != "pending" for delivery in told):
                return told
            await asyncio.sleep(_LOOK_S)


def _subjects(heard: Iterable[Heard]) -> set[str]:
    return {str(one.event["data"]["id"]) for one in heard}


def _settle(
    report: Report, told: Sequence[Delivery], jobs: set[str], heard: Sequence[Heard]
) -> None:
    times = Counter(one.id for one in heard)
    gaps = [d.id for d in told if [a.n for a in d.log] != [*range(1, d.attempts + 1)]]
    report.note(events=len(jobs), arrived=len(heard), most_of_one=max(times.values()))
    report.note(most_attempts=max(d.attempts for d in told))
    report.expect_none("lost", jobs - _subjects(heard))
    report.expect_none("not_delivered", [d.id for d in told if d.state != "delivered"])
    report.expect_none("ids_nobody_sent", times.keys() - {d.event for d in told})
    report.expect_none("logs_with_gaps", gaps)
    more = [d.id for d in told if d.attempts > 4]
    report.expect_none("more_than_four_attempts", more)
    report.expect_none("told_more_than_twice", [i for i, n in times.items() if n > 2])


def _verify(
    report: Report, heard: Sequence[Heard], *, since: int, secrets: Sequence[str]
) -> None:
    """Hold bodies against each other, and signatures against either secret."""
    bodies = defaultdict[str, set[bytes]](set)
    for one in heard:
        bodies[one.id].add(one.body)
    report.expect_none("told_differently", [i for i, b in bodies.items() if len(b) > 1])
    verified = Counter(
        verifies(one, secret) for one in heard[since:] for secret in secrets
    )
    report.note(secrets=len(secrets), signatures_verified=verified[True])
    report.expect(
        that=len(secrets) == 2 and not verified[False],
        otherwise=f"{verified[False]} were not signed with each of {len(secrets)}",
    )


async def between(*, jobs: int, cast: Cast) -> Report:
    """Kill the only worker when it was heard and has not been answered yet."""
    report = Report("killed between the POST and the log")
    async with (
        on_stage(cast, settings=_SETTINGS) as stage,
        aiohttp.ClientSession() as session,
        Receiver() as receiver,
    ):
        ours = Subscriber(stage, session)
        await ours.listen(receiver.url, receiver)
        receiver.takes_s = _PATIENCE_S
        ended = await ours.end_jobs(range(jobs))
        await receiver.until(jobs)
        receiver.takes_s = 0
        killed_at = time.monotonic()
        stage.kill_worker(0)
        heard = await receiver.until(2 * jobs, within_s=_PATIENCE_S)
        again_s = time.monotonic() - killed_at
        told = await _settled(ours)
        report.note(events=jobs, arrived=len(receiver.heard), again_after_s=again_s)
        times = Counter(one.id for one in heard)
        report.expect_none("not_twice", [i for i, n in times.items() if n != 2])
        report.expect_none("lost", ended - _subjects(heard))
        logs = [[attempt.n for attempt in d.log] for d in told]
        report.expect_none("logs_wrong", [log for log in logs if log != [1]])
        report.expect_none("forged", receiver.forged)
    return report
