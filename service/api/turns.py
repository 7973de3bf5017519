"""How much of something an account may have under way in this process."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from service.core.errors import TooMuch

_SOON = timedelta(seconds=1)


class Turns:
    """Lets so many of an account in at once; nobody waits for a turn.

    Args:
        most: Of one account.
        refusal: What one too many is told.
    """

    def __init__(self, most: int, *, refusal: str) -> None:
        self._most, self._refusal = most, refusal
        self._taken = Counter[str]()

    @contextlib.contextmanager
    def taken_by(self, account: str) -> Iterator[None]:
        """Hold a turn until left.

        Raises:
            TooMuch: The account has as many as it may (`rate_limited`).
        """
        if self._taken[account] >= self._most:
            raise TooMuch(self._refusal, code="rate_limited", retry_after=_SOON)
        self._taken[account] += 1
        try:
            yield
        finally:
            self._taken[account] -= 1
            if not self._taken[account]:
                del self._taken[account]
