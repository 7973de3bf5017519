"""Runs one of our programs and says, over and over, what it has under way.

`python -m tests.chaos.counted service` is `python -m service`, with a thread that
writes every few seconds how many descriptors are open and how many tasks are not done
into a file of the working folder. Only the process itself can say that.
"""

import asyncio
import gc
import json
import os
import runpy
import sys
import threading
from pathlib import Path

_EVERY_S = 2.0


def counts_of(folder: Path, pid: int) -> Path:
    """Return where a process that runs in a folder says it."""
    return folder / f"counts.{pid}.json"


def _count() -> None:
    waiting, file = threading.Event(), counts_of(Path.cwd(), os.getpid())
    fresh = file.with_suffix(".new")
    while not waiting.wait(_EVERY_S):
        tasks = [o for o in gc.get_objects() if isinstance(o, asyncio.Task)]
        under_way = sum(not task.done() for task in tasks)
        del tasks
        fds = len(list(Path("/dev/fd").iterdir()))
        fresh.write_text(json.dumps({"tasks": under_way, "fds": fds}))
        fresh.replace(file)


def main() -> None:
    """Run the module that the first argument names, as `python -m` would."""
    threading.Thread(target=_count, daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
