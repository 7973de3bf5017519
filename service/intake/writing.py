"""Writing jobs down: the images they start from first, the record behind them."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from service.core.errors import RequestError, ServiceError, StoreUnavailable
from service.core.jobs import JobId
from service.intake.inputs import Inputs, Stored
from service.intake.repeats import Repeats
from service.job_store import JobStore, Submitted
from service.job_store.records import NewJob

Store: TypeAlias = Callable[[JobId], Awaitable[Stored]]
"""Puts what a job starts from into the store."""


class Writer(NamedTuple):
    """Writes jobs down, and leaves nothing of those that it does not."""

    jobs: JobStore
    inputs: Inputs
    repeats: Repeats

    async def write(
        self, new: NewJob, store: Store | None, *, counted: bool
    ) -> tuple[NewJob, Submitted]:
        """Submit, the images first: a worker must never meet a job without them.

        Args:
            new: The job.
            store: Puts its images down; None: it has none.
            counted: Whether an SDK may call for its answer once more.

        Returns:
            The job as it was written, and what the record says.

        Raises:
            ServiceError: See `Intake.submit`.
        """
        if store is not None:
            new = await self._with_inputs(new, store)
        submission = self.jobs.submit(new)
        try:
            if counted:
                opened = self.repeats.opened(
                    new.id, key_id=new.key_id, content=new.content_hash
                )
                submitted, _ = await asyncio.gather(submission, opened)
            else:
                submitted = await submission
        except RequestError:
            await self._without_inputs(new)
            raise
        # Behind a QueueUnavailable the job may live all the same: nothing is removed
        # then, and the sweep looks whether it does.
        if submitted.joined:
            await self._without_inputs(new)
        return new, submitted

    async def _with_inputs(self, new: NewJob, store: Store) -> NewJob:
        await self.jobs.announce(new.id)
        try:
            stored = await store(new.id)
        except ServiceError:
            await self._without_inputs(new)
            raise
        request = replace(new.request, images=stored.images, mask=stored.mask)
        return replace(new, request=request)

    async def _without_inputs(self, new: NewJob) -> None:
        if new.place is not None:  # somebody else may have made a job of the line
            return
        with suppress(StoreUnavailable):  # the sweep finds what is left
            await self.inputs.drop(new.id)
