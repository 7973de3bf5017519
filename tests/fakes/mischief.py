"""When an upstream misbehaves without being told call by call."""

import hashlib
from collections.abc import Callable, Sequence

MISCHIEF = (
    *("throttled:1", "status:500", "html:502", "reset", "reset_midway", "hang"),
    *("hang_midway", "error_under_200", "body:{}", "half_image", "not_an_image"),
    *("not_base64", "body:"),
)
"""All that is over with the call that meets it: a second is served."""

Choice = Callable[[str], str]
"""From a prompt to the fault its call meets now; empty: none."""


def now_and_then(
    share: float, *, seed: int, faults: Sequence[str] = MISCHIEF
) -> Choice:
    """Spoil the first call of so many prompts, the same ones for the same seed."""
    met = set[str]()

    def choose(prompt: str) -> str:
        digest = hashlib.sha256(f"{seed}/{prompt}".encode()).digest()
        luck = int.from_bytes(digest[:4], "big") / 2**32
        if luck >= share or prompt in met:
            return ""
        met.add(prompt)
        return faults[digest[4] % len(faults)]

    return choose


def as_told(prompt: str) -> str:
    """Read the fault out of the prompt: `hang | a fox` meets `hang`."""
    fault, told, _ = prompt.partition(" | ")
    return fault if told else ""
