"""What becomes of a job whose attempt failed: another attempt, or its end.

Where to is decided by what kind of error it was, never by its words. A route that
refused is struck off, and where it was the prompt it refused, the caller says whether
others are asked; one that failed goes to the end of the line, and the next in it
is tried at once. Where nobody can know whether images were bought, the key's policy
comes before all that.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import structlog

from service.core.catalog import Route
from service.core.errors import (
    BadOutput,
    PromptRejected,
    ProviderAmbiguous,
    ProviderError,
    ProviderRefused,
    ProviderThrottled,
    ServiceError,
)
from service.core.jobs import Attempt, JobState
from service.core.requests import GenerationRequest
from service.core.retries import OnAmbiguous, RetryPolicy
from service.job_store.lease import Lease
from service.job_store.outcomes import Aside, Later, Outcome
from workers.hedging import Try

log = structlog.get_logger()

_LONGEST_CLOSED = timedelta(minutes=5)
"""Whatever a provider asks for, we look again after this."""

_SHUT = frozenset({"provider_auth", "provider_billing"})
"""Nothing will work there until somebody has seen to it."""


def after_failure(
    lease: Lease,
    attempt: Attempt,
    error: ProviderError,
    *,
    routes: Sequence[Route],
    gated: bool,
    retries: RetryPolicy,
    dice: float,
) -> Outcome | Later:
    """Return what is to be done.

    Args:
        lease: Whose job it is, with the upstream tasks it has now.
        attempt: The failed one, as it goes into the trail.
        error: What went wrong.
        routes: Those the job has left, that of the attempt included.
        gated: Whether any of them is; where none is, what draws by itself fails only
            because it was asked to, and no breaker is to hold up the next.
        retries: How long, and how often.
        dice: See `RetryPolicy.wait_after`.
    """
    report = _report(error) if gated else ""
    tasks_go_on = lease.kept is not None and isinstance(error, ProviderAmbiguous)
    asks = lease.on_ambiguous is not OnAmbiguous.RETRY
    if asks and isinstance(error, ProviderAmbiguous) and not tasks_go_on:
        return _unknown(lease, attempt, error, report=report)
    here = f"{attempt.provider}/{attempt.model}"
    others = [str(route) for route in routes if str(route) != here]
    if isinstance(error, PromptRejected) and not lease.request.failover_on_refusal:
        others = []
    refused = isinstance(error, ProviderRefused | PromptRejected)
    left = others if refused else [*others, here]
    costly = isinstance(error, BadOutput | ProviderAmbiguous)
    wait = retries.wait_for(
        error,
        lease.attempts + 1,
        others=len(others),
        tried=lease.attempts,
        costly=lease.costly + costly,
        dice=dice,
    )
    log.warning(
        "attempt.failed",
        provider=attempt.provider,
        code=error.code,
        retry_in_s=None if wait is None else round(wait.total_seconds(), 3),
    )
    if wait is None:
        return given_up(attempt, error, fault=report)
    return Later(
        attempt=attempt,
        wait=wait,
        goes_on=tasks_go_on,
        report=report,
        costly=costly,
        closed=_closed(error),
        routes=tuple(left) if gated else (),
    )


def left_open(lease: Lease, route: Route, started: datetime) -> Outcome | Later:
    """Return what becomes of a job that may have been bought by an earlier claim.

    That its worker ended says nothing of the route.
    """
    error = ProviderAmbiguous(
        "the worker ended while the provider was asked; it may have been billed"
    )
    return _unknown(lease, failed(route, started, error), error, report="")


def _unknown(
    lease: Lease, attempt: Attempt, error: ProviderAmbiguous, *, report: str
) -> Outcome | Later:
    """Return the end of a job that may have been bought, or its wait for a word."""
    hold = lease.on_ambiguous is OnAmbiguous.HOLD
    log.warning(
        "attempt.left_open",
        provider=attempt.provider,
        policy=lease.on_ambiguous.value,
    )
    if not hold:
        return given_up(attempt, error, fault=report)
    return Later(
        attempt=attempt, wait=timedelta(0), report=report, costly=True, hold=True
    )


def beside(verdict: Outcome | Later, other: Try, attempt: Attempt) -> Outcome | Later:
    """Return the verdict with what was tried beside its attempt, as `attempt`."""
    error = other.error
    aside = Aside(
        attempt=attempt,
        report="" if error is None else _report(error),
        closed=timedelta(0) if error is None else _closed(error),
    )
    if isinstance(verdict, Outcome):
        return replace(verdict, aside=aside)
    costly = verdict.costly or isinstance(error, ProviderAmbiguous)
    return replace(verdict, aside=aside, costly=costly)


def routes_behind(routes: Sequence[Route], other: Try) -> list[Route]:
    """Return the routes with one that failed beside them last, or struck off."""
    left = [route for route in routes if route != other.route]
    if isinstance(other.error, ProviderRefused | PromptRejected):
        return left
    return [*left, other.route]


def failed(
    route: Route,
    started: datetime,
    error: ProviderError,
    *,
    cost: tuple[str | None, str | None] = (None, None),
    ms: int | None = None,
) -> Attempt:
    """Return the attempt that failed so, as it goes into the trail.

    Without `ms` it has taken until now.
    """
    refusals = PromptRejected | ProviderRefused | ProviderThrottled
    unbilled = isinstance(error, refusals) and not error.billed
    return Attempt(
        provider=route.provider,
        model=route.provider_model,
        started_at=started,
        ms=ms_since(started) if ms is None else ms,
        outcome="failed",
        error_code=error.code,
        upstream_id=error.upstream_id,
        cost_usd=cost[0],
        cost_source=cost[1],
        billed=False if unbilled else (error.billed or None),
    )


def unroutable(request: GenerationRequest, started: datetime) -> Outcome:
    """Return the end of a job that nobody here can call a provider for."""
    error = ProviderRefused(
        f"no worker can call a provider of {request.model}: the key is missing there, "
        "or the model is in no worker's catalog",
        code="no_route",
    )
    attempt = Attempt(
        provider="",
        model=request.model,
        started_at=started,
        ms=0,
        outcome="failed",
        error_code=error.code,
        billed=False,
    )
    return given_up(attempt, error)


def given_up(attempt: Attempt, error: ServiceError, *, fault: str = "") -> Outcome:
    """Return the end of a job that has no attempt left."""
    return Outcome(
        state=JobState.FAILED,
        attempt=attempt,
        error={"code": error.code, "message": str(error)},
        fault=fault,
    )


def ms_since(started: datetime) -> int:
    """Return whole milliseconds."""
    return (datetime.now(UTC) - started) // timedelta(milliseconds=1)


def _report(error: ProviderError) -> str:
    """Return what the error says of its route, for the breaker all workers share."""
    match error:
        case ProviderRefused():
            return "shut" if error.code in _SHUT else ""
        case PromptRejected():
            return ""
        case ProviderThrottled() if error.retry_after is not None:
            return ""  # it works, and says when
        case _:
            return "fault"


def _closed(error: ProviderError) -> timedelta:
    if isinstance(error, ProviderThrottled) and error.retry_after is not None:
        return min(error.retry_after, _LONGEST_CLOSED)
    return timedelta(0)
