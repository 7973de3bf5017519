"""Whether and when a call that has not succeeded yet is sent again."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from service.client.bodies import Lines
from service.client.errors import DarkroomError, Refused, Unreachable, refusal
from service.client.steps import Request

_LATER = frozenset({408, 425, 429, 502, 503, 504})
_NOT_BEGUN = frozenset({429, 503})
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout)
_OUR_FAULT = (
    httpx.LocalProtocolError,
    httpx.TooManyRedirects,
    httpx.UnsupportedProtocol,
)
_TOO_MANY = 429
_FAULT = 500
_MOST_FAULTS = 5
"""An answer 500 may be the request's own fault; more of them than this are."""
_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 10.0
_LONGEST_ASKED_S = 600.0
"""Asked to wait longer than this (a quota, mostly), a call gives up."""
_SAY_EVERY_S = 30.0


def jittered_s(tries: int) -> float:
    """Return how long to wait after so many tries: exponential, with full jitter."""
    grown_s = _FIRST_WAIT_S * 2.0 ** min(tries, 10)
    return random.random() * min(_LONGEST_WAIT_S, grown_s)


@dataclass(slots=True, kw_only=True)
class Patience:
    """How long the calls of one client go on trying.

    Attributes:
        host: Whom they try to reach, for messages.
        away_s: How long it may be away, or out of order.
        busy_s: How long it may say that the key asks for too much.
        say: Is told, now and then, why nothing goes on.
    """

    host: str
    away_s: float
    busy_s: float
    say: Callable[[str], None]
    _silent_until: float = 0.0

    def complain(self, reason: str) -> None:
        """Say it, if that has not been done for a while."""
        if time.monotonic() > self._silent_until:
            self._silent_until = time.monotonic() + _SAY_EVERY_S
            self.say(f"{self.host} {reason}; trying again")


class Trouble:
    """Why one call has not succeeded yet."""

    def __init__(self, request: Request, patience: Patience) -> None:
        self._request, self._patience = request, patience
        self._tries = self._faults = 0
        self._began = self._away_since = time.monotonic()

    def unheard(self, exc: httpx.RequestError) -> float:
        """Take in that no answer came; return how many seconds to wait.

        Raises:
            Unreachable: The call is given up.
        """
        reason = f"does not answer ({str(exc) or type(exc).__name__})"
        error = Unreachable(f"{self._patience.host} {reason}")
        error.__cause__ = exc
        may_be_done = self._request.is_once and not isinstance(exc, _NEVER_SENT)
        if may_be_done or isinstance(exc, _OUR_FAULT):
            raise error
        return self._wait_s(error, reason)

    def turned_away(self, response: httpx.Response) -> float:
        """Take in an answer that is no success; return how many seconds to wait.

        Raises:
            Refused: It will not become one, or not soon enough.
        """
        error = refusal(response)
        self._faults += error.status == _FAULT
        if not self._may_pass(error, response.headers.get("x-should-retry")):
            raise error
        error.may_pass = True
        if error.status == _TOO_MANY:  # it is there, only busy
            self._away_since = time.monotonic()
        return self._wait_s(error, f"says: {error}", error.retry_after_s or 0.0)

    def _may_pass(self, error: Refused, advice: str | None) -> bool:
        if advice in {"true", "false"}:
            return advice == "true"
        if self._request.is_once:
            return error.status in _NOT_BEGUN
        if error.status == _FAULT:
            return self._faults <= _MOST_FAULTS
        return error.status in _LATER

    def _wait_s(self, error: DarkroomError, reason: str, asked_s: float = 0.0) -> float:
        body, patience, now = self._request.body, self._patience, time.monotonic()
        wait_s = asked_s + jittered_s(self._tries)
        self._tries += 1
        if (
            asked_s > _LONGEST_ASKED_S
            or now - self._away_since + wait_s > patience.away_s
            or now - self._began + wait_s > max(patience.away_s, patience.busy_s)
            or (isinstance(body, Lines) and body.is_spent)
        ):
            raise error
        if self._tries > 1:
            patience.complain(reason)
        return wait_s
