"""Jobs in Redis: the record is the truth, the queue's entry only a bell.

`JobStore` is the front door's side (submit, read, cancel, delete);
`service.job_store.leases` is the worker's. Each step is one Lua script; the key
schema stands in `service.job_store.keys`. All times in a record are Redis's own.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from redis.asyncio import Redis

from service.core.errors import AlreadyFinished, JobDeleted, JobNotFound, NotHeld
from service.core.jobs import Job, JobId, JobState, is_alias, is_job_id
from service.core.requests import Priority
from service.job_store import keys
from service.job_store.answers import within
from service.job_store.gates import Gates, read_gates
from service.job_store.listing import newest
from service.job_store.looking import Looked, Looking
from service.job_store.outlook import place_of_next
from service.job_store.records import NewJob
from service.job_store.scripting import script
from service.job_store.speeds import Speeds
from service.job_store.submitting import Submissions, Submitted, mismatch
from service.job_store.times import ms, redis_now_ms

__all__ = ["JobStore", "Page", "Submitted"]

_GONE_FOR = timedelta(days=30)
_UNWRITTEN_FOR = timedelta(hours=1)
_NOTHING = "return 1"


@dataclass(frozen=True, slots=True)
class Page:
    """Jobs newest first; `more` when older ones follow."""

    jobs: tuple[Job, ...]
    more: bool


class JobStore:
    """The front door's side of the records.

    Every call may raise QueueUnavailable: Redis is away, refuses, or took longer
    than three seconds; a refused submission is never written later either.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        backlog: int = 1_000_000,
        retention: timedelta = timedelta(days=7),
        idempotency: timedelta = timedelta(days=1),
    ) -> None:
        self._redis, self._retention_ms = redis, ms(retention)
        self._cancel = script(redis, "cancel")
        self._release = script(redis, "release")
        self._forget = script(redis, "forget")
        self._purge = script(redis, "purge")
        self._lose = script(redis, "lose")
        self._speeds = Speeds(redis)
        self._submissions = Submissions(
            redis, backlog=backlog, retention=retention, idempotency=idempotency
        )
        self._looked = Looking(redis)

    async def submit(self, new: NewJob) -> Submitted:
        """Write a job down and ring the queue; again with the same id is harmless.

        Raises:
            IdempotencyMismatch: The name was used for a request with other content.
            TooMuch: `queue_full` or `quota_exceeded` for this key.
            QueueUnavailable: Nothing was written, nor will be.
        """
        return await self._submissions(new)

    async def get(self, job_id: str, *, account: str) -> Job:
        """Return the job as it stands, if it is the account's.

        Raises:
            JobNotFound: Never made, or somebody else's.
            JobDeleted: It was the account's.
        """
        job, _ = await self.look(job_id, account=account)
        return job

    async def look(self, job_id: str, *, account: str) -> tuple[Job, Looked]:
        """Return what `get` does, or raise it, and what `position` wants to know."""
        if not is_job_id(job_id):
            raise JobNotFound("no such job")
        looked = await self._looked(JobId(job_id))
        if looked.pairs:
            job = looked.job(JobId(job_id))
            if job.account == account:
                return job, looked
        else:
            owner = await within(self._redis.get(keys.gone(job_id)))
            if owner == account.encode():
                raise JobDeleted("this job was deleted")
        raise JobNotFound("no such job")

    async def cached(self, account: str, cache_key: str) -> Job | None:
        """Return the job that a submission with that key would join now, if any.

        For those who would rather not upload or fetch anything first; it may have
        changed by the time they submit.
        """
        job = await self.latest(account, cache_key)
        return job if job is not None and _answers(job) else None

    async def latest(self, account: str, cache_key: str) -> Job | None:
        """Return the last job with that key, if any, whatever became of it."""
        job_id = await within(self._redis.get(keys.cache(account, cache_key)))
        if job_id is None:
            return None
        jobs = await self._jobs([job_id.decode()])
        return jobs[0] if jobs else None

    async def named(self, account: str, name: str, content_hash: str) -> Job | None:
        """Return the job that a submission under that name would join, if any.

        Raises:
            IdempotencyMismatch: The name was used for a request with other content.
        """
        return await self._holder(keys.named(account, name), content_hash)

    async def aliased(self, account: str, alias: str, content_hash: str) -> Job | None:
        """Return the job that a submission under that alias would join; as `named`."""
        return await self._holder(keys.alias(account, alias), content_hash)

    async def resolve(self, reference: str, *, account: str) -> JobId:
        """Return the id of a job that is called by it, or by what its caller chose.

        Raises:
            JobNotFound: It is neither.
        """
        if is_job_id(reference):
            return JobId(reference)
        if is_alias(reference):
            stored = await within(self._redis.get(keys.alias(account, reference)))
            if stored is not None:
                return JobId(stored.decode().partition(" ")[0])
        raise JobNotFound("no such job")

    async def announce(self, job_id: JobId) -> None:
        """Say that images of a job come before its record, an hour at most.

        Whatever lies in the store under an id announced and never submitted, the
        sweep removes. A job that is there already is kept no shorter for it.
        """
        await within(self._announce(job_id))

    async def list_jobs(
        self,
        account: str,
        *,
        limit: int,
        after: str | None = None,
        matches: Callable[[Job], bool] = lambda _: True,
    ) -> Page:
        """Return up to `limit` jobs that match, newest first, behind job `after`.

        Looks at no more than the newest 10,000 behind `after`.

        Raises:
            JobNotFound: `after` is not a job of the account.
        """
        listed = await newest(
            self._redis,
            keys.jobs_of(account),
            self._jobs,
            limit=limit,
            after=after,
            matches=matches,
        )
        if listed is None:
            raise JobNotFound("no such job")
        return Page(listed.found, more=listed.more)

    async def position(self, job: Job, looked: Looked | None = None) -> int | None:
        """How many jobs of its lane start before it, and itself: 1 is next.

        Where its key has as many running as it may: how many of the key's.

        Args:
            job: Which job.
            looked: What `look` saw of it just now; None: look again.
        """
        if job.state is not JobState.QUEUED or job.due_at is not None or job.held:
            return None
        seen = looked or await self._looked(job.id)
        return await self._looked.place_of(job, seen.place)

    async def place_of_next(
        self,
        account: str,
        priority: Priority,
        *,
        key_id: str,
        running: int | None = None,
    ) -> int:
        """Return the `position` that a job submitted now would have."""
        place: int = await within(
            place_of_next(
                self._redis, account, priority, key_id=key_id, running=running
            )
        )
        return place

    async def cancel(self, job_id: str, *, account: str) -> Job:
        """Make the job canceled, a running one too; twice is the same as once.

        Raises:
            JobNotFound: Never made, or somebody else's.
            AlreadyFinished: It has another final state.
        """
        if not is_job_id(job_id):
            raise JobNotFound("no such job")
        args = [account, self._retention_ms, job_id]
        [answer] = await within(self._cancel(args))
        if answer == b"final":
            raise AlreadyFinished("this job has already finished")
        return await self.get(job_id, account=account)

    async def release(self, job_id: str, *, account: str) -> Job:
        """Let a held job go on.

        Raises:
            JobNotFound: Never made, or somebody else's.
            JobDeleted: It was the account's.
            NotHeld: It is not, or not any more.
        """
        if not is_job_id(job_id):
            raise JobNotFound("no such job")
        [answer] = await within(self._release([account, job_id]))
        if answer == b"not_held":
            raise NotHeld("this job is not held")
        return await self.get(job_id, account=account)

    async def forget(self, job_ids: Sequence[str]) -> None:
        """Delete the records of final jobs; their owner is told so for 30 days."""
        await within(self._forget([ms(_GONE_FOR), *job_ids]))

    async def purge(self, job_id: str) -> None:
        """Forget where a delivered ephemeral job's images lie; cost and usage stay.

        Its words went when it became final. Others, and unfinished ones, are left
        alone; twice is the same as once.
        """
        await within(self._purge([job_id]))

    async def lose(self, job_id: str) -> None:
        """Note that an image of the job is not in the store any more.

        The job stays as it is, and answers for no equal request.
        """
        await within(self._lose([job_id]))

    async def popular(self, *, days: int = 7, limit: int = 10) -> list[str]:
        """Return the models that drew most on the last days, most first."""
        today = datetime.now(UTC).date()
        drawn = [keys.popular(today - timedelta(days=ago)) for ago in range(days)]
        counted = await within(self._redis.zunion(drawn, withscores=True))
        ranked = sorted(counted, key=lambda pair: (-pair[1], pair[0]))
        return [model.decode() for model, _ in ranked[:limit]]

    async def gates(self, routes: Sequence[str]) -> Gates:
        """Return whom the fleet may call: limits, breakers, and how many jobs wait.

        Args:
            routes: `provider/provider model`, each.
        """
        found: Gates = await within(read_gates(self._redis, routes))
        return found

    async def speeds(self, routes: Sequence[str]) -> Mapping[str, float]:
        """Return how many milliseconds each route takes, where that was measured.

        Args:
            routes: `provider/provider model`, each.
        """
        found: Mapping[str, float] = await within(self._speeds.of(routes))
        return found

    async def vouch(self) -> None:
        """Return when what was read before is as safe as what a step has written.

        Under `replicated`, what is merely read may be on one machine only.
        """
        await within(self._redis.eval(_NOTHING, 0))

    async def ping(self) -> None:
        """Prove that Redis takes a write; measures its clock by the way."""
        await within(self._submissions.ping())

    async def _holder(self, name: str, content_hash: str) -> Job | None:
        stored = await within(self._redis.get(name))
        if stored is None:
            return None
        job_id, _, seen = stored.decode().partition(" ")
        found = await self._jobs([job_id])
        if found and seen != content_hash:
            raise mismatch()
        return found[0] if found else None

    async def _announce(self, job_id: JobId) -> None:
        due_ms = await redis_now_ms(self._redis) + ms(_UNWRITTEN_FOR)
        await self._redis.zadd(keys.RETENTION, {job_id: due_ms}, gt=True)

    async def aclose(self) -> None:
        """Stop the shared round trips; the pool stays open."""
        await self._submissions.aclose()
        await self._looked.aclose()

    async def _jobs(self, ids: Sequence[str]) -> list[Job]:
        found = await asyncio.gather(*(self._looked(JobId(i)) for i in ids))
        looked = zip(ids, found, strict=True)
        return [seen.job(JobId(i)) for i, seen in looked if seen.pairs]


def _answers(job: Job) -> bool:
    """Whether its images answer for an equal request; as in `submit.lua`."""
    whole = job.state is JobState.SUCCEEDED and job.error is None and not job.lost
    return whole or not job.state.is_final
