"""A world that does wrong by itself: a store that errs, a provider with moods."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

BUCKET = "chaos"
_TIMEOUT_S = 6
"""Of one call to the store with all its repetitions; one of these has a third of it."""


@dataclass(frozen=True, kw_only=True)
class Rough:
    """How rough it is.

    Attributes:
        upstream: Share of the prompts whose first call upstream goes wrong.
        errors: Share of the requests to the store that are refused or cut off.
        hangs: Share of them that are never answered.
        seed: Of all dice.
    """

    upstream: float = 0
    errors: float = 0
    hangs: float = 0
    seed: int = 0

    def store(self, folder: Path, port: int) -> tuple[str, ...]:
        """Return the command of the store."""
        return (
            *("tests.fakes.rough_store", "--folder", str(folder), "--port", str(port)),
            *("--errors", str(self.errors), "--hangs", str(self.hangs)),
            *("--seed", str(self.seed)),
        )

    def moods(self) -> tuple[str, ...]:
        """Return what the upstream's command takes besides."""
        return ("--mischief", str(self.upstream), "--seed", str(self.seed))


def settings_of_store(port: int) -> Mapping[str, str]:
    """Return what front door and workers are told of the store."""
    return {
        "DARKROOM_STORAGE__KIND": "s3",
        "DARKROOM_STORAGE__BUCKET": BUCKET,
        "DARKROOM_STORAGE__ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "DARKROOM_STORAGE__ACCESS_KEY_ID": "anybody",
        "DARKROOM_STORAGE__SECRET_ACCESS_KEY": "anything",
        "DARKROOM_STORAGE__TIMEOUT_S": str(_TIMEOUT_S),
    }
