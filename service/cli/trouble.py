"""Why a call has not succeeded yet, and whether and when to try it again."""

import random
import time

import httpx

_LATER = frozenset({408, 425, 429, 502, 503, 504})
_TOO_MANY = 429
_FAULT = 500
_MOST_FAULTS = 5
"""An answer 500 may be the request's own fault; more of them than this are."""
_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 10.0


class Refused(Exception):
    """The front door said no, and will say it again; the message is its own.

    Attributes:
        code: Its stable code, such as `unknown_model`.
        param: The field at fault, if it named one.
    """

    def __init__(
        self, message: str, *, status: int, code: str, param: str | None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param = status, code, param


class Trouble:
    """Why one call has not succeeded yet.

    Attributes:
        since: Monotonic seconds since when the front door is away.
        asked_s: How long it asked to wait.
    """

    def __init__(self) -> None:
        self.since = time.monotonic()
        self.tries, self._faults = 0, 0
        self.reason, self.asked_s = "", 0.0

    @property
    def wait_s(self) -> float:
        """How long to wait now: what was asked for, and a bit with full jitter."""
        grown_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** min(self.tries, 10))
        return self.asked_s + grown_s * random.random()

    def unheard(self, exc: httpx.TransportError) -> None:
        """Take in that no answer came."""
        self.tries += 1
        self.reason = f"does not answer ({str(exc) or type(exc).__name__})"
        self.asked_s = 0.0

    def turned_away(self, response: httpx.Response) -> None:
        """Take in an answer that is no success.

        Raises:
            Refused: It will not become one.
        """
        self.tries += 1
        self._faults += response.status_code == _FAULT
        refusal = _refusal(response)
        if not _may_pass(response, self._faults):
            raise refusal
        self.reason, self.asked_s = f"says: {refusal}", _asked_s(response)
        if response.status_code == _TOO_MANY:  # it is there, only busy
            self.since = time.monotonic()


def _may_pass(response: httpx.Response, faults: int) -> bool:
    if response.headers.get("x-should-retry") == "false":
        return False
    if response.status_code == _FAULT:
        return faults <= _MOST_FAULTS
    return response.status_code in _LATER


def _asked_s(response: httpx.Response) -> float:
    try:
        return max(0.0, float(response.headers.get("Retry-After", "0")))
    except ValueError:  # a date: nobody of ours sends one
        return 1.0


def _refusal(response: httpx.Response) -> Refused:
    try:
        error = response.json()["error"]
        message, code, param = error["message"], error["code"], error.get("param")
    except (ValueError, KeyError, TypeError):
        message, code, param = f"HTTP {response.status_code}", "http_error", None
    return Refused(message, status=response.status_code, code=code, param=param)
