"""What tests of the job store submit, and how they bring it to an end."""

from dataclasses import replace
from datetime import UTC, datetime

from service.core.jobs import Attempt, JobState, StoredImage, new_job_id
from service.core.requests import GenerationRequest, Priority
from service.job_store.leases import Leases
from service.job_store.outcomes import Outcome
from service.job_store.records import NewJob

ATTEMPT = Attempt(provider="p", model="m", started_at=datetime.now(UTC), ms=7)
IMAGE = StoredImage(
    key="jobs/x/1/0",
    sha256="00" * 32,
    width=8,
    height=8,
    content_type="image/png",
    size_bytes=70,
)
DONE = Outcome(state=JobState.SUCCEEDED, attempt=ATTEMPT, images=(IMAGE,))
PROMPT = "a “fox” — ein Fuchs 🦊"


def job(**changes: object) -> NewJob:
    plain = NewJob(
        id=new_job_id(),
        account="ada",
        key_id="key_1",
        priority=Priority.NORMAL,
        request=GenerationRequest(model="test/test", prompt=PROMPT),
    )
    return replace(plain, **changes)


def charged(use: dict[bytes, bytes]) -> int:
    """Return what a key was charged in all months."""
    return sum(int(units) for name, units in use.items() if name.startswith(b"used:"))


async def finish(leases: Leases, outcome: Outcome) -> None:
    """Claim the one job that waits, and bring it to its end."""
    [lease] = (await leases.claim(1, held={})).leases
    assert await leases.commit(lease, outcome)
