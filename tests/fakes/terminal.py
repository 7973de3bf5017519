"""Somebody at a terminal, who types commands while the front door runs beside him."""

import asyncio
import json
from typing import Any, NamedTuple

from structlog.testing import capture_logs
from typer.testing import CliRunner

from service.cli.app import app
from service.cli.failure import Failure


class Ended(NamedTuple):
    """How a command ended, and what it printed.

    Attributes:
        out: The results.
        said: What it said along the way.
        failure: The sentence that it ended with; None: it worked.
    """

    code: int
    out: str
    said: str
    failure: str | None

    @property
    def json(self) -> Any:
        """The result, of a command with `--json`."""
        return json.loads(self.out)


class Terminal:
    """Types commands that talk to one front door, with one key."""

    def __init__(self, url: str, key: str) -> None:
        self._runner = CliRunner()
        self._env = {"DARKROOM_URL": url, "DARKROOM_API_KEY": key, "COLUMNS": "200"}

    async def types(self, *words: str, **env: str) -> Ended:
        """Type it, with these variables set beside those that name the front door."""
        with capture_logs():  # they would stand among what the command prints
            result = await asyncio.to_thread(
                self._runner.invoke, app, list(words), env=self._env | env
            )
        error = result.exception
        if isinstance(error, Failure):
            return Ended(error.exit_code, result.stdout, result.stderr, str(error))
        if error is not None and not isinstance(error, SystemExit):
            raise error
        return Ended(result.exit_code, result.stdout, result.stderr, None)
