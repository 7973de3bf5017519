"""Workers in this process, with providers that do as they were told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from signal import SIGTERM
from typing import Self

from arq.connections import ArqRedis
from arq.worker import func
from redis.asyncio import Redis

from service.core.catalog import parse_catalog
from service.core.jobs import Job, new_job_id
from service.core.provider import Provider
from service.core.requests import GenerationRequest, Priority
from service.core.retries import RetryPolicy
from service.image_store.local import LocalImageStore
from service.imaging import Imaging
from service.job_store import JobStore
from service.job_store.lease import Lease
from service.job_store.leases import Leases
from service.job_store.pool import redis_pool
from service.job_store.records import NewJob
from workers.context import WorkerContext
from workers.engine import LeaseWorker
from workers.equipment import gates_of
from workers.generate import generate
from workers.inputs import Inputs
from workers.partials import Partials

_TIMEOUT_S = 5.0


@dataclass(kw_only=True)
class Crew:
    """All that workers share, and the callers' side of the records.

    Attributes:
        catalog: As TOML.
        lease: Of whom is hired; a dead one's jobs run again after it.
        attempt_timeout: No attempt takes longer.
    """

    url: str
    redis: Redis
    folder: Path
    catalog: str
    lease: timedelta = timedelta(seconds=1.5)
    attempt_timeout: timedelta = timedelta(seconds=5)
    most_attempts: int = 4
    _hired: int = field(default=0, init=False)

    async def __aenter__(self) -> Self:
        self.jobs = JobStore(self.redis)
        self.imaging = Imaging(processes=1)
        self.images = LocalImageStore(
            self.folder,
            base_url="http://127.0.0.1",
            secret=b"s" * 32,
            lifetime=timedelta(hours=1),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.jobs.aclose()
        await self.imaging.close()

    @contextlib.asynccontextmanager
    async def worker(
        self, *, drain: float = 5, **providers: Provider
    ) -> AsyncIterator[LeaseWorker[Lease]]:
        """Let a worker run that can call `providers`, and drain it at the end."""
        self._hired += 1
        name = f"w{self._hired}"
        redis = ArqRedis(redis_pool(self.url, timeout_s=_TIMEOUT_S))
        catalog = parse_catalog(self.catalog, file="test")
        leases = Leases(
            redis,
            worker=name,
            slots=10,
            lease=self.lease,
            gates=gates_of(catalog, providers),
        )
        worker = LeaseWorker(
            func(generate, name="generate"),
            name=name,
            redis_pool=redis,
            leases=leases,
            max_jobs=10,
            lease=self.lease,
            drain=timedelta(seconds=drain),
            handle_signals=False,
            ctx={"worker": self._context(redis, leases, providers)},
        )
        running = asyncio.create_task(worker.main())
        try:
            yield worker
        finally:
            worker.handle_sig(SIGTERM)
            await running
            await worker.close()

    async def submit(self, *routes: str, n: int = 1, **wishes: object) -> str:
        """Write a job down; `wishes` as `NewJob` takes them."""
        request = GenerationRequest(
            model=str(wishes.pop("model", "fox")), prompt="a fox", n=n
        )
        wishes = {"request": request, "key_id": "key_1", **wishes}
        new = NewJob(
            id=new_job_id(),
            account="ada",
            priority=Priority.NORMAL,
            routes=routes,
            **wishes,  # type: ignore[arg-type]
        )
        return (await self.jobs.submit(new)).job_id

    async def job(self, job_id: str) -> Job:
        """Return the job as it stands."""
        return await self.jobs.get(job_id, account="ada")

    async def ended(self, job_id: str, within_s: float = 10) -> Job:
        """Return the job as soon as it is final."""
        async with asyncio.timeout(within_s):
            while not (job := await self.job(job_id)).state.is_final:
                await asyncio.sleep(0.01)
        return job

    async def held(self, job_id: str, within_s: float = 10) -> Job:
        """Return the job as soon as it is held."""
        async with asyncio.timeout(within_s):
            while not (job := await self.job(job_id)).held:
                await asyncio.sleep(0.01)
        return job

    def _context(
        self, redis: Redis, leases: Leases, providers: Mapping[str, Provider]
    ) -> WorkerContext:
        return WorkerContext(
            catalog=parse_catalog(self.catalog, file="test"),
            leases=leases,
            providers=providers,
            images=self.images,
            imaging=self.imaging,
            inputs=Inputs(self.images, self.imaging, most_bytes=1_000_000),
            partials=Partials(redis, self.images, self.imaging),
            retries=RetryPolicy(
                max_attempts=self.most_attempts, base=timedelta(seconds=0.02)
            ),
            attempt_timeout=self.attempt_timeout,
        )
