"""A process that its parent must not leave behind watches a pipe.

The parent keeps the write end and never writes; `DARKROOM_PARENT_FD` names the read
end. Its end of file means that the parent is gone, even by SIGKILL.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator

PARENT_FD = "DARKROOM_PARENT_FD"


@contextlib.contextmanager
def watch_parent(callback: Callable[[], object]) -> Iterator[None]:
    """Call `callback` once when the parent is gone; without the variable, never."""
    number = os.environ.get(PARENT_FD)
    if number is None:
        yield
        return
    loop, fd = asyncio.get_running_loop(), int(number)

    def ended() -> None:
        loop.remove_reader(fd)
        callback()

    loop.add_reader(fd, ended)
    try:
        yield
    finally:
        loop.remove_reader(fd)
