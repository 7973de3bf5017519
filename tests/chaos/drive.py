"""Runs the service as real processes, does its worst to them, and counts.

python -m tests.chaos.drive --jobs 10000 --seed 7
python -m tests.chaos.drive --scenario quota
"""

import argparse
import asyncio
import logging
import random
import signal
import sys
from pathlib import Path

import structlog

from tests.chaos import kills
from tests.chaos.full import SCENARIOS, Wish


def _end_on_sigterm() -> None:
    """Let SIGTERM end the running task the way Ctrl-C does, cleaning up."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


async def _play(scenario: str, wish: Wish, *, as_json: bool) -> bool:
    """Print each report as it comes; return whether all are good."""
    _end_on_sigterm()
    good = True
    async for report in SCENARIOS[scenario](wish):
        print(report.as_json() if as_json else f"{report.as_table()}\n", flush=True)
        good = good and report.is_good
    return good


def main() -> None:
    """Print tables; the exit code is 1 when a promise was broken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenario", choices=SCENARIOS, default="kills")
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=60, help="of a soak")
    parser.add_argument("--prompts", type=Path, default=kills.PROMPTS)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--folder", type=Path, help="keep data, ledger and logs here")
    parser.add_argument("--against", help="a commit to run beside this version")
    parser.add_argument("--json", action="store_true", help="one object per report")
    arguments = parser.parse_args()
    wish = Wish(
        seed=arguments.seed,
        jobs=arguments.jobs,
        minutes=arguments.minutes,
        prompts=arguments.prompts,
        folder=arguments.folder,
        against=arguments.against,
    )
    # A front door in this process is not to write between the tables.
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=quiet)
    print(f"seed {wish.seed}", file=sys.stderr, flush=True)
    try:
        good = asyncio.run(_play(arguments.scenario, wish, as_json=arguments.json))
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise SystemExit(130) from None
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
