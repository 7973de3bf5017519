"""SIGHUP says two things: read the catalog anew, or the terminal is gone.

A process that was started from a terminal ends with it, as ever; under `nohup`, or
where there never was a terminal, the signal can only have come from an operator.
"""

import asyncio
import os
import signal
from collections.abc import Callable


def on_hangup(*, reload: Callable[[], object], leave: Callable[[], object]) -> None:
    """Call one of the two for every SIGHUP to this process, from now on."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # as under nohup
    ends_with_terminal = _has_terminal() and not ignored

    def told() -> None:
        if ends_with_terminal and not _has_terminal():
            leave()
        else:
            reload()

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, told)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
