"""One child process, started again whenever it ends, until it is told to stop.

It runs in a session of its own, so that Ctrl-C in the terminal reaches `up` alone,
and prints into a file, not a pipe: after a SIGKILL of `up` it still has to drain,
and must not trip over its own log lines.
"""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_CONFIGURATION = 2
"""The exit code of a child that will not start as things are configured."""
_KILLED = 128
"""Exit codes above it tell of a signal, as in a shell."""
_STEADY_S = 10.0
"""A child that lived so long did not end because it cannot start."""
_HOPELESS = 3
"""So many short lives in a row are a crash loop."""
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 10.0
_LOG_LIMIT_BYTES = 10 * 2**20
_TAIL_LINES = 8
_LONGEST_WORDS = 200


class Child:
    """A supervised process.

    Args:
        say: Told of each end, and what is known of why.

    Attributes:
        name: As messages and its log file call it.
        trouble: Tells what is the matter where it runs, if anything is: its log may
            lie on a disk that takes no last words.
        refused: It said itself that its configuration is wrong.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        fds: Sequence[int],
        log: Path,
        say: Callable[[str], None],
        trouble: Callable[[], str | None],
    ) -> None:
        self.name, self.log = name, log
        self.refused = False
        self._command, self._env, self._fds = command, env, tuple(fds)
        self._say, self.trouble = say, trouble
        self._stopping = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._short_lives = 0
        self._log_start = 0

    @property
    def failed(self) -> bool:
        """Whether it cannot be kept alive: it refuses, or ends again and again."""
        return self.refused or self._short_lives >= _HOPELESS

    def start(self) -> None:
        """Keep it alive from now on."""
        self._keeping = asyncio.create_task(self._keep())

    def pass_on(self, number: signal.Signals) -> None:
        """Send a signal to the process, if there is one just now."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def end(self, within_s: float, *, hurry: asyncio.Event) -> None:
        """Ask it to drain, and kill it when the time is up or `hurry` is set."""
        self._stopping.set()
        if self._keeping is None:
            return
        self.pass_on(signal.SIGTERM)
        rush = asyncio.create_task(hurry.wait())
        await asyncio.wait(
            {self._keeping, rush},
            timeout=within_s,
            return_when=asyncio.FIRST_COMPLETED,
        )
        rush.cancel()
        self.pass_on(signal.SIGKILL)
        await self._keeping

    def last_lines(self) -> str:
        """Return the end of what it has printed since its last start."""
        try:
            with self.log.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(self._log_start, size - 4096))
                text = file.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-_TAIL_LINES:])

    def trim_log(self) -> None:
        """Move a log that has grown too long to `*.log.1`; lines may fall between."""
        with suppress(OSError):
            if self.log.stat().st_size > _LOG_LIMIT_BYTES:
                shutil.copyfile(self.log, self.log.with_suffix(".log.1"))
                os.truncate(self.log, 0)
                self._log_start = 0

    async def _keep(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            code = await self._run()
            if self._stopping.is_set():
                return
            steady = time.monotonic() - began > _STEADY_S
            self._short_lives = 0 if steady else self._short_lives + 1
            self.refused = code == _CONFIGURATION
            self._report(code)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._wait_s(code)):
                    await self._stopping.wait()

    async def _run(self) -> int:
        self.trim_log()
        try:
            self._process = process = await self._spawn()
        except OSError as exc:  # no more processes, no more memory
            self._say(f"{self.name} cannot be started: {exc.strerror}")
            return 1
        if self._stopping.is_set():
            self.pass_on(signal.SIGTERM)
        code = await process.wait()
        # What it started itself and left behind is its process group.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        return code

    async def _spawn(self) -> asyncio.subprocess.Process:
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            return await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._env,
                pass_fds=self._fds,
                start_new_session=True,
            )

    def _wait_s(self, code: int) -> float:
        if code < 0 or code > _KILLED:  # it did not end by itself, so it may well work
            return _FIRST_WAIT_S
        doublings = min(self._short_lives, 10)
        return min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0**doublings)

    def _report(self, code: int) -> None:
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        said = self.last_lines()
        if code > 0 and said:
            how += f": {said.splitlines()[-1][:_LONGEST_WORDS]}"
        message = f"{self.name} ended ({how}); starting it again"
        if self._short_lives == _HOPELESS:
            message += f"\nit keeps ending; its last lines:\n{said}"
        trouble = self.trouble()
        self._say(message if trouble is None else f"{message}\n{trouble}")
