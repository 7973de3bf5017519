"""SIGHUP of an operator, and that of a terminal that is gone, are told apart."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

LISTENER = """
import asyncio, fcntl, signal, sys, termios
from service.hangup import on_hangup

terminal, nohup = sys.argv[1:]
if terminal != "none":
    fcntl.ioctl(int(terminal), termios.TIOCSCTTY, 0)
if nohup == "nohup":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

async def listen():
    told = asyncio.Queue()
    on_hangup(
        reload=lambda: told.put_nowait("reload"),
        leave=lambda: told.put_nowait("leave"),
    )
    print("ready", flush=True)
    for _ in range(2):
        print(await told.get(), flush=True)

asyncio.run(listen())
"""
Listener = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of one; the test may have closed the first."""
    ours, theirs = os.openpty()
    yield ours, theirs
    for end in (ours, theirs):
        try:
            os.close(end)
        except OSError:
            continue


@pytest.fixture
def listen() -> Iterator[Listener]:
    """Start a process that says what each SIGHUP means to it; it has begun to."""
    started: list[subprocess.Popen[str]] = []

    def start(terminal: int | None = None, *, nohup: bool = False):
        own = "none" if terminal is None else str(terminal)
        process = subprocess.Popen(
            [sys.executable, "-c", LISTENER, own, "nohup" if nohup else "no"],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            pass_fds=() if terminal is None else (terminal,),
        )
        started.append(process)
        assert said(process) == "ready"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_an_operator_at_a_terminal_means_a_reload_and_its_end_the_end(
    listen: Listener, terminal: tuple[int, int]
):
    ours, theirs = terminal
    process = listen(theirs)

    process.send_signal(signal.SIGHUP)
    first = said(process)
    os.close(ours)

    assert (first, said(process)) == ("reload", "leave")


def test_under_nohup_the_end_of_the_terminal_is_none(
    listen: Listener, terminal: tuple[int, int]
):
    ours, theirs = terminal
    process = listen(theirs, nohup=True)

    os.close(ours)

    assert said(process) == "reload"


def test_without_a_terminal_it_is_always_a_reload(listen: Listener):
    process = listen()

    process.send_signal(signal.SIGHUP)

    assert said(process) == "reload"
