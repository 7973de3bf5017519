"""Receipts: what an attempt bought, beside its images, before anything is final.

A receipt is written last, so whoever finds one finds all its images. A later claim
of the job takes it instead of buying again.
"""

import asyncio
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

import orjson

from service.core.errors import StoreUnavailable
from service.core.jobs import Attempt, JobState, StoredImage
from service.image_store import ImageStore
from service.job_store.lease import Lease
from service.job_store.outcomes import Outcome
from workers.keeping import PAUSE_S, put_patiently


async def put_receipt(images: ImageStore, lease: Lease, outcome: Outcome) -> None:
    """Write down what was bought under this lease; what was tried beside is not."""
    data = orjson.dumps(asdict(replace(outcome, aside=None)))
    await put_patiently(images, _key(lease, lease.fence), data, "application/json")


async def find_receipt(images: ImageStore, lease: Lease) -> Outcome | None:
    """Return what an earlier claim of the job bought and stored, newest first.

    Waits for a store that is away: to buy again is no answer to not knowing.
    """
    fence = lease.fence - 1
    while fence > 0:
        try:
            stored = await images.get(_key(lease, fence))
        except StoreUnavailable:
            await asyncio.sleep(PAUSE_S)
            continue
        if stored is not None:
            return _read(orjson.loads(stored))
        fence -= 1
    return None


def _key(lease: Lease, fence: int) -> str:
    return f"jobs/{lease.job_id}/{fence}/receipt.json"


def _read(receipt: dict[str, Any]) -> Outcome:
    attempt = receipt["attempt"]
    started = datetime.fromisoformat(attempt.pop("started_at"))
    return Outcome(
        state=JobState(receipt["state"]),
        attempt=Attempt(started_at=started, **attempt),
        images=tuple(StoredImage(**image) for image in receipt["images"]),
        error=receipt["error"],
        usage=receipt["usage"],
        cost_usd=receipt["cost_usd"],
        cost_source=receipt["cost_source"],
        asked=receipt["asked"],
        model=receipt["model"],
    )
