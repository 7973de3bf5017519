"""One contract fake as a process: `python -m tests.fakes.upstreams bfl --port 0`.

It writes its base URL on the first line of its output. The ledger has a line for
every call that costs money, and outlives a kill of this process.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.fakes.upstreams import FAKES
from tests.fakes.upstreams.words import Asked


class Ledger:
    """Adds a line of JSON for each call."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, asked: Asked) -> None:
        line = {
            "at": datetime.now(UTC).isoformat(),
            "event": "received",
            "prompt": asked.prompt,
            "call": asked.id,
        }
        fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(fd, json.dumps(line).encode() + b"\n")
        finally:
            os.close(fd)


async def _serve(arguments: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    least, _, most = arguments.takes_ms.partition("..")
    kind = next(fake for fake in FAKES if fake.adapter == arguments.name)

    def time_of() -> timedelta:
        ms = random.uniform(float(least), float(most or least))
        return timedelta(milliseconds=ms)

    async with kind(
        port=arguments.port, ledger=Ledger(arguments.ledger), time_of=time_of
    ) as fake:
        sys.stdout.write(f"{fake.base_url}\n")
        sys.stdout.flush()
        await stopped.wait()


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=[fake.adapter for fake in FAKES])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ledger", type=Path, default=Path(os.devnull))
    parser.add_argument("--takes-ms", default="0", help="A, or A..B")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
