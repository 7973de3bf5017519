"""When to try again, and when to give up; the caller brings the dice."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from service.core.errors import (
    BadOutput,
    PromptRejected,
    ProviderAmbiguous,
    ProviderError,
    ProviderRefused,
    ProviderThrottled,
)

_COSTLY_TRIES = 2


class OnAmbiguous(StrEnum):
    """What an API key wants done where nobody knows whether images were bought."""

    RETRY = "retry"
    FAIL = "fail"
    HOLD = "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Exponential backoff with a ceiling and full jitter.

    Attributes:
        max_attempts: Attempts in all, the first included.
        base: Wait before the second attempt, before jitter.
        ceiling: No wait is longer than this, but for what a provider asks.
        patience: The longest `Retry-After` that is waited out; beyond it: give up.
    """

    max_attempts: int = 4
    base: timedelta = timedelta(seconds=2)
    ceiling: timedelta = timedelta(minutes=2)
    patience: timedelta = timedelta(hours=1)

    def wait_after(self, attempts: int, *, dice: float) -> timedelta | None:
        """How long to wait after `attempts` failures; None means give up.

        Args:
            attempts: Failed attempts so far, at least 1.
            dice: A number in [0, 1); 0.0 waits least, 1.0 would wait most.
        """
        if attempts >= self.max_attempts:
            return None
        # Past 30 doublings any base exceeds any ceiling; 2**1024 would overflow.
        grown = self.base * 2.0 ** min(attempts - 1, 30)
        return min(grown, self.ceiling) * dice

    def wait_for(
        self,
        error: ProviderError,
        attempts: int,
        *,
        others: int,
        tried: int,
        costly: int,
        dice: float,
    ) -> timedelta | None:
        """How long to wait after `error`; None means the job has failed.

        Args:
            error: What the latest attempt came to.
            attempts: Failed attempts so far, the latest included, at least 1.
            others: How many other routes the job has left that may be tried after this
                error; a refusal is final where there is none.
            tried: Failed attempts before the latest; while there were fewer than
                other routes, the next of them is tried without a wait.
            costly: Failed attempts so far that may have been billed, the latest
                included.
            dice: See `wait_after`.
        """
        wait = self.wait_after(attempts, dice=dice)
        if wait is None:
            return None
        elsewhere = timedelta(0) if tried < others else wait
        match error:
            case ProviderRefused() | PromptRejected():
                again = timedelta(0) if others else None
            case BadOutput() | ProviderAmbiguous():
                # Each may have been billed: one more try, or one a route.
                again = wait if costly < max(others + 1, _COSTLY_TRIES) else None
            case ProviderThrottled() if error.retry_after is not None and not others:
                asked = error.retry_after
                again = max(wait, asked) if asked <= self.patience else None
            case _:
                again = elsewhere
        return again
