"""What goes between a worker and its child arrives as it was."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from service.core.jobs import Attempt, JobState, StoredImage, new_job_id
from service.core.requests import Priority
from service.core.retries import OnAmbiguous
from service.job_store.lease import Kept, Lease
from service.job_store.outcomes import Aside, Later, Outcome
from workers.parcels import lease_line, read_lease_line, read_verdict, verdict_line

_LEASE = Lease(
    job_id=new_job_id(),
    fence=7,
    payload='{"prompt": "a “fox”\\n"}'.encode(),
    attempts=2,
    interruptions=3,
    priority=Priority.BATCH,
    account="ada",
    taken_at=1.5,
)
_ATTEMPT = Attempt(
    provider="openai",
    model="gpt-image-1",
    started_at=datetime(2026, 11, 21, 12, tzinfo=UTC),
    ms=250,
    outcome="failed",
    error_code="provider_ambiguous",
)
_ASIDE = Aside(attempt=_ATTEMPT, report="fault", closed=timedelta(seconds=0.25))
_IMAGE = StoredImage(
    key="jobs/x/1/0",
    sha256="0" * 64,
    width=64,
    height=64,
    content_type="image/png",
    size_bytes=100,
)


@pytest.mark.parametrize(
    "lease",
    [
        _LEASE,
        replace(
            _LEASE,
            ephemeral=True,
            kept=Kept("fal/flux", ("one", "two")),
            route="fal/flux",
            routes=("fal/flux", "bfl/flux"),
            on_ambiguous=OnAmbiguous.HOLD,
            in_doubt=True,
        ),
    ],
    ids=["plain", "full"],
)
def test_leases_arrive_as_they_were(lease: Lease):
    line = lease_line(lease)

    assert line.count(b"\n") == 1
    assert read_lease_line(line) == lease


@pytest.mark.parametrize(
    "verdict",
    [
        Outcome(
            state=JobState.SUCCEEDED,
            attempt=_ATTEMPT,
            images=(_IMAGE, _IMAGE),
            usage={"total_tokens": 7},
            cost_usd="0.04",
            aside=_ASIDE,
        ),
        Outcome(
            state=JobState.FAILED,
            attempt=replace(_ATTEMPT, started_at=None),
            error={"code": "provider_auth", "message": "no\nway"},
            fault="shut",
        ),
        Later(attempt=_ATTEMPT, wait=timedelta(0)),
        Later(
            attempt=_ATTEMPT,
            wait=timedelta(seconds=1.25),
            closed=timedelta(minutes=5),
            routes=("a/b", "c/d"),
            costly=True,
            aside=_ASIDE,
        ),
    ],
    ids=["success", "failure", "plain later", "full later"],
)
def test_verdicts_arrive_as_they_were(verdict: Outcome | Later):
    line = verdict_line(verdict)

    assert line.count(b"\n") == 1
    assert read_verdict(line) == verdict
