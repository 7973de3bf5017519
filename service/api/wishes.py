"""What headers and query say about how a call is to be answered, or repeated."""

import re
from dataclasses import dataclass

from aiohttp import web

from service.core.errors import InvalidRequest

LONGEST_POLL_S = 60

_SHOWN = 64
_WAIT = re.compile(r"wait\s*=\s*\"?([0-9]{1,4})\"?")
_NAME = re.compile(r"[ -~]{1,255}")
_COUNT = re.compile(r"[0-9]{1,3}")


@dataclass(frozen=True, slots=True)
class Preference:
    """The `Prefer` header (RFC 7240); what it does not know it ignores.

    Attributes:
        respond_async: The caller does not want to wait.
        wait_s: It wants to wait so long, at least 1.
    """

    respond_async: bool = False
    wait_s: int | None = None


_NONE = Preference()


def preference(request: web.Request) -> Preference:
    """Read the `Prefer` headers."""
    given = request.headers.getall("Prefer", ())
    if not given:
        return _NONE
    wishes = [wish.strip().lower() for line in given for wish in line.split(",")]
    waits = [match for wish in wishes if (match := _WAIT.fullmatch(wish))]
    return Preference(
        respond_async="respond-async" in wishes,
        wait_s=max(1, int(waits[0][1])) if waits else None,
    )


def long_poll_s(request: web.Request) -> int | None:
    """Return how long a read is to be held, by `?wait=` or `Prefer`; None: not.

    Raises:
        InvalidRequest: `?wait=` is no whole number from 1 to 60 (`out_of_range`).
    """
    given = request.query.getall("wait", [])
    if not given:
        asked = preference(request).wait_s
        return None if asked is None else min(asked, LONGEST_POLL_S)
    if len(given) > 1 or not _COUNT.fullmatch(given[0]):
        raise _bad_wait()
    if not 1 <= int(given[0]) <= LONGEST_POLL_S:
        raise _bad_wait()
    return int(given[0])


def idempotency_name(request: web.Request) -> str | None:
    """Return the `Idempotency-Key`.

    Raises:
        InvalidRequest: It is none to remember (`invalid_idempotency_key`).
    """
    given = request.headers.getall("Idempotency-Key", ())
    if not given:
        return None
    if len(given) > 1 or not _NAME.fullmatch(given[0]):
        raise InvalidRequest(
            "Idempotency-Key must be one header of 1 to 255 visible ASCII characters",
            code="invalid_idempotency_key",
        )
    return given[0]


def sdk_retry(request: web.Request) -> int | None:
    """Return how often an OpenAI SDK has sent this call before; None: not one."""
    given = request.headers.get("x-stainless-retry-count")
    if given is None or not _COUNT.fullmatch(given):
        return None
    return int(given)


def refuse_unknown(request: web.Request, *known: str) -> None:
    """Refuse query parameters that mean nothing here, or stand there twice.

    A known name that ends in a dot stands for all that begin with it.

    Raises:
        InvalidRequest: `unknown_param` or `duplicate_param`.
    """
    for name in request.query:
        shown = name[:_SHOWN]
        family = name.partition(".")[0] + "."
        if name not in known and family not in known:
            raise InvalidRequest(
                f"{shown} is not a parameter of this route",
                code="unknown_param",
                param=shown,
            )
        if len(request.query.getall(name)) > 1:
            raise InvalidRequest(
                f"{shown} is given twice", code="duplicate_param", param=shown
            )


def _bad_wait() -> InvalidRequest:
    return InvalidRequest(
        f"wait must be a whole number of seconds from 1 to {LONGEST_POLL_S}",
        code="out_of_range",
        param="wait",
    )
