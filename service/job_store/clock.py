"""What time it is for Redis, told without asking."""

import time


class RedisClock:
    """What Redis's clock shows, told from our monotonic one; it never runs ahead.

    Each answer brings a reading. One that took long says little, so only quick
    ones count.
    """

    _QUICK_S = 1.0

    def __init__(self) -> None:
        self._offset_ms: float | None = None

    def heard(self, redis_ms: int, *, sent: float) -> None:
        """Take in a reading that was asked for at `sent` (monotonic seconds)."""
        got = time.monotonic()
        if got - sent <= self._QUICK_S:
            self._offset_ms = redis_ms - got * 1000

    @property
    def is_known(self) -> bool:
        """Whether there was a reading yet."""
        return self._offset_ms is not None

    def at(self, monotonic_s: float) -> int:
        """Return Redis's time in ms at that moment; 0, long past, while unknown."""
        return int((self._offset_ms or 0) + monotonic_s * 1000)
