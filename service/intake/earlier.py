"""Which job answers for a call, because an equal call made it before."""

from contextlib import suppress
from typing import NamedTuple

from service.accounts import ApiKey
from service.batches import line_job_id
from service.core.errors import JobDeleted, JobNotFound
from service.core.jobs import Job
from service.intake.calls import Call
from service.intake.repeats import Repeats
from service.job_store import JobStore
from service.job_store.records import Place


class Earlier(NamedTuple):
    """Looks for such jobs; any call may raise QueueUnavailable."""

    jobs: JobStore
    repeats: Repeats

    async def retried(self, call: Call) -> Job | None:
        """Return the job whose answer an SDK did not get, and calls for once more."""
        key, count = call.key, call.terms.sdk_retry
        if not count or not call.terms.has_count:
            return None
        job_id = await self.repeats.join(
            key_id=key.id, content=call.content, count=count
        )
        if job_id is None:
            return None
        try:
            return await self.jobs.get(job_id, account=key.account)
        except (JobNotFound, JobDeleted):
            return None

    async def known(self, call: Call) -> Job | None:
        """Return the job that submitting would join now.

        For those who would rather not store anything first, or cannot submit.

        Raises:
            IdempotencyMismatch: The name or alias was used for another request.
        """
        account, terms = call.key.account, call.terms
        if terms.place is not None:
            return await self._line(terms.place, call.key)
        job = None
        if terms.idempotency_name is not None:
            job = await self.jobs.named(account, terms.idempotency_name, call.content)
        if job is None and terms.alias is not None:
            job = await self.jobs.aliased(account, terms.alias, call.content)
        if job is None and terms.cache_key is not None and not terms.ephemeral:
            job = await self.jobs.cached(account, terms.cache_key)
        if job is not None:
            await self.jobs.vouch()
        return job

    async def _line(self, place: Place, key: ApiKey) -> Job | None:
        """Return the job that was made of a line before; a deleted one was, too."""
        job_id = line_job_id(place.batch_id, place.line)
        with suppress(JobNotFound):
            return await self.jobs.get(job_id, account=key.account)
        return None
