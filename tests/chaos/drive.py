"""Runs the service as real processes, does its worst to them, and counts.

python -m tests.chaos.drive --jobs 1632 --seed 7
python -m tests.chaos.drive --scenario fairness|poison|outage|stock-arq|freeze
python -m tests.chaos.drive --scenario embeds|quota|cut
python -m tests.chaos.drive --scenario resume|failover|permits|webhooks|batches
python -m tests.chaos.drive --scenario followers
"""

import argparse
import asyncio
import random
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from tests.chaos import (
    batches,
    cut,
    embeds,
    failover,
    fairness,
    followers,
    freeze,
    kills,
    outage,
    permits,
    poison,
    quota,
    resume,
    stock_arq,
    webhooks,
)
from tests.chaos.report import Report
from tests.chaos.stage import Cast

_SCENARIOS = (
    *("kills", "fairness", "poison", "outage", "stock-arq", "freeze"),
    *("embeds", "quota", "cut"),
    *("resume", "failover", "permits", "webhooks", "batches", "followers"),
)


async def _reports(arguments: argparse.Namespace) -> AsyncIterator[Report]:
    cast = Cast(workers=2, slots=10, lease_s=15, latency_ms=500)
    match arguments.scenario:
        case "kills":
            yield await kills.run(
                kills.read_prompts(arguments.prompts, arguments.jobs),
                seed=arguments.seed,
                cast=Cast(workers=4, slots=8, lease_s=15, latency_ms=600),
                folder=arguments.folder,
            )
        case "fairness":
            for retries in (False, True):
                yield await fairness.run(
                    crowd=5000, runs=20, retries=retries, cast=cast
                )
        case "poison":
            yield await poison.run(jobs=100, cast=cast)
        case "outage":
            busy = Cast(workers=2, slots=25, lease_s=15, latency_ms=3000)
            yield await outage.run(jobs=200, away_s=60, by="freezing", cast=busy)
            yield await outage.run(jobs=200, away_s=60, by="killing", cast=busy)
        case "stock-arq":
            yield await stock_arq.run(jobs=300, cast=cast)
        case "freeze":
            yield await freeze.run(rounds=3, cast=cast)
        case "embeds":
            yield await embeds.run(pages=20, visitors=200, later=500, cast=cast)
        case "quota":
            yield await quota.run(
                clients=50, images=1000, seed=arguments.seed, cast=cast
            )
        case "cut":
            slow = Cast(workers=2, slots=25, latency_ms=3000)
            yield await cut.run(callers=50, cast=slow)
        case "resume":
            yield await resume.run(
                jobs=300,
                every_s=2,
                takes_ms=(1000, 5000),
                seed=arguments.seed,
                cast=Cast(workers=4, slots=10, lease_s=4),
            )
        case "failover":
            pair = Cast(workers=2, slots=25, latency_ms=500)
            yield await failover.run(jobs=600, down_s=60, cast=pair)
        case "permits":
            wide = Cast(workers=5, slots=100, latency_ms=200)
            yield await permits.run(jobs=500, narrow_ms=400, cast=wide)
        case "batches":
            wide = Cast(workers=2, slots=50, latency_ms=200)
            prompts = kills.read_prompts(arguments.prompts, arguments.jobs)
            yield await batches.run(prompts, cast=wide)
            yield await batches.many(lines=100_000, runs=40, start_ms=100, cast=wide)
        case "followers":
            pair = Cast(workers=2, slots=10, latency_ms=500)
            yield await followers.run(jobs=200, cast=pair)
        case "webhooks":
            two = Cast(workers=2, slots=10, lease_s=2)
            yield await webhooks.outage(
                events=1000, hour_s=20, seed=arguments.seed, cast=two
            )
            yield await webhooks.between(jobs=5, cast=Cast(workers=1, lease_s=2))
            yield await webhooks.hanging(
                good=99, jobs=10, rounds=15, most=1.2, cast=Cast(workers=2)
            )


def _end_on_sigterm() -> None:
    """Let SIGTERM end the running task the way Ctrl-C does, cleaning up."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


async def _play(arguments: argparse.Namespace) -> bool:
    """Print each report as it comes; return whether all are good."""
    _end_on_sigterm()
    good = True
    async for report in _reports(arguments):
        text = report.as_json() if arguments.json else f"{report.as_table()}\n"
        print(text, flush=True)
        good = good and report.is_good
    return good


def main() -> None:
    """Print tables; the exit code is 1 when a promise was broken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenario", choices=_SCENARIOS, default="kills")
    parser.add_argument("--jobs", type=int, default=1632)
    parser.add_argument("--prompts", type=Path, default=kills.PROMPTS)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--folder", type=Path, help="keep data, ledger and logs here")
    parser.add_argument("--json", action="store_true", help="one object per report")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", file=sys.stderr, flush=True)
    try:
        good = asyncio.run(_play(arguments))
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise SystemExit(130) from None
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
