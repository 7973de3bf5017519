"""A supervised child comes back, says why it cannot, and leaves when told."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from service.up.child import Child

CALM = asyncio.Event()


DEAF = """
import os, signal, threading
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open({ready!r}, "w") as pipe:
    pipe.write(str(os.getpid()))
threading.Event().wait()
"""


def deaf(ready: Path) -> str:
    """Python that ignores SIGTERM, and says its pid into a pipe once it does."""
    os.mkfifo(ready)
    return DEAF.format(ready=str(ready))


async def said_ready(pipe: Path) -> int:
    """Wait until it does; return its pid."""
    return int(await asyncio.to_thread(pipe.read_bytes))


class Terminal:
    """What was said to the person at it."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.trouble: str | None = None
        self._more = asyncio.Condition()

    def say(self, message: str) -> None:
        self.messages.append(message)
        self._told = asyncio.create_task(self._tell())

    async def until(self, count: int) -> None:
        """Wait for so many messages."""
        async with self._more:
            await self._more.wait_for(lambda: len(self.messages) >= count)

    async def _tell(self) -> None:
        async with self._more:
            self._more.notify_all()


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


@pytest.fixture
async def start(
    tmp_path: Path, terminal: Terminal
) -> AsyncIterator[Callable[[str], Child]]:
    """Start a child that runs some Python; it is ended after the test."""
    started: list[Child] = []

    def start(code: str) -> Child:
        child = Child(
            "imp",
            [sys.executable, "-c", code],
            env={"HOME": str(tmp_path)},
            fds=(),
            log=tmp_path / "imp.log",
            say=terminal.say,
            trouble=lambda: terminal.trouble,
        )
        started.append(child)
        child.start()
        return child

    yield start
    for child in started:
        await child.end(0, hurry=CALM)


async def test_a_child_that_was_killed_is_started_again(start, terminal):
    child = start("import os; os.kill(os.getpid(), 9)")

    await terminal.until(2)

    assert terminal.messages[0] == "imp ended (killed by signal 9); starting it again"
    assert not child.refused


async def test_one_that_keeps_ending_is_reported_with_its_last_lines(start, terminal):
    child = start("print('no luck'); raise SystemExit(1)")

    await terminal.until(3)

    assert child.failed
    assert terminal.messages[0] == "imp ended (exit code 1: no luck); starting it again"
    assert terminal.messages[2].endswith("it keeps ending; its last lines:\nno luck")


async def test_one_that_could_not_say_why_is_reported_with_what_is_known(
    start, terminal
):
    terminal.trouble = "the disk is full"
    start("raise SystemExit(1)")

    await terminal.until(1)

    assert terminal.messages == [
        "imp ended (exit code 1); starting it again\nthe disk is full"
    ]


async def test_one_whose_configuration_is_wrong_has_failed_at_once(start, terminal):
    child = start("import sys; print('darkroom: no', file=sys.stderr); sys.exit(2)")

    await terminal.until(1)

    assert child.failed
    assert child.last_lines() == "darkroom: no"


async def test_one_that_does_not_leave_is_killed_when_its_time_is_up(
    start, terminal, tmp_path: Path
):
    child = start(deaf(tmp_path / "ready"))
    await said_ready(tmp_path / "ready")

    await child.end(0.1, hurry=CALM)

    assert terminal.messages == []


async def test_one_that_does_not_leave_is_killed_when_there_is_a_hurry(
    start, tmp_path: Path
):
    hurry = asyncio.Event()
    child = start(deaf(tmp_path / "ready"))
    pid = await said_ready(tmp_path / "ready")
    hurry.set()

    async with asyncio.timeout(10):
        await child.end(1000, hurry=hurry)

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_log_that_has_grown_is_moved_away(start, terminal, tmp_path: Path):
    (tmp_path / "imp.log").write_bytes(b"x" * (10 * 2**20 + 1))

    start("print('new')")
    await terminal.until(1)

    assert (tmp_path / "imp.log").read_text().startswith("new\n")
    assert (tmp_path / "imp.log.1").stat().st_size > 10 * 2**20
