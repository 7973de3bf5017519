"""The engine: arq's Worker, with jobs claimed in batches, under leases.

    claim --> run --> verdict --> settle        final, or due again later
                  --> (drain) --> release       queued again, as if never claimed
                  --> (fenced or canceled)      nothing more to say

Beside the claiming loop run four others: one blocks on the bell, one renews the
leases, one says that the worker lives, one hears of canceled jobs. Redis may go away
for as long as it likes: the worker keeps what it has in hand and goes on when Redis
is back.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from signal import Signals
from typing import Any, Generic

import structlog
from arq.connections import ArqRedis
from arq.typing import WorkerCoroutine
from arq.worker import Function, Worker
from redis.exceptions import RedisError

from service.job_store import keys
from service.job_store.lease import Claim, Renewal
from service.job_store.listening import end, messages
from workers.work import E, Work

log = structlog.get_logger()

CANCELED, FENCED, DRAINED = "canceled", "fenced", "drained"
"""Why a task is canceled: the message its CancelledError carries."""

_PAUSE_S = 0.2
_SOON_S = 0.05
_COHORTS = 3
"""Claims it takes to fill a worker: while Redis claims or commits one part of its
jobs, Python is busy with another, where one large claim would let them take turns."""
_LAST_WORDS_S = 10
_PRESENCE_S = 3.0


class LeaseWorker(Worker, Generic[E]):
    """An arq worker that serves one queue of records.

    It keeps arq's functions table, context, signals and start-up hooks. Its one
    function gets `(ctx, lease)` and returns a verdict, such as an `Outcome`; arq's
    own entries, results, retries and aborts have no part in it.

    Args:
        function: What runs an entry.
        redis_pool: Connections with a timeout; see `service.job_store.pool`.
        leases: The worker's side of the records.
        lease: How long a claim holds; renewed at a third of it.
        drain: How long SIGTERM waits for running jobs before it gives them back.
    """

    def __init__(
        self,
        function: Function | WorkerCoroutine,
        *,
        name: str,
        redis_pool: ArqRedis,
        leases: Work[E],
        max_jobs: int,
        lease: timedelta = timedelta(seconds=15),
        drain: timedelta = timedelta(seconds=30),
        poll_delay: timedelta = timedelta(seconds=0.5),
        **arq: Any,
    ) -> None:
        super().__init__(
            [function],
            queue_name=keys.QUEUE,
            redis_pool=redis_pool,
            max_jobs=max_jobs,
            poll_delay=poll_delay.total_seconds(),
            keep_result=0,
            log_results=False,
            **arq,
        )
        self.name = name
        self.leases = leases
        self._lease_s, self._drain = lease.total_seconds(), drain
        self._renewed_at = time.monotonic()
        self._most = math.ceil(max_jobs / _COHORTS)
        self._run_job: Callable[..., Any] = next(
            iter(self.functions.values())
        ).coroutine
        self._held: dict[str, E] = {}
        self._look = asyncio.Event()  # something changed: claim again
        self._free = asyncio.Event()  # there is a free slot
        self._free.set()
        self._behind = asyncio.Event()  # the heartbeat is not to wait for its time
        self._wants_room = False
        self._settling: set[E] = set()  # verdict reached: no stopping them
        self._hurry = asyncio.Event()

    @property
    def held(self) -> Sequence[E]:
        """The leases in hand."""
        return tuple(self._held.values())

    async def main(self) -> None:
        """Serve until drained.

        Overrides arq 0.28 `Worker.main`: claims in batches when the bell rings,
        instead of polling entry by entry.
        """
        self.ctx["redis"] = self.pool
        if self.on_startup:
            await self.on_startup(self.ctx)
        with contextlib.suppress(RedisError, OSError):  # the heartbeat says it again
            await self._speak()
        log.info("worker.started", worker=self.name, slots=self.max_jobs)
        loops = [
            asyncio.create_task(loop())
            for loop in (
                self._listen,
                self._heartbeat,
                self._stay_known,
                self._hear_cancels,
            )
        ]
        async with asyncio.TaskGroup() as group:  # a loop that breaks ends them all
            for loop in loops:
                group.create_task(_to_its_end(loop))
            await _to_its_end(asyncio.create_task(self._claim_loop()))
            await self._finish_running()
            await end(loops)
        with contextlib.suppress(RedisError, OSError):
            await self.leases.leave()
        log.info("worker.stopped", worker=self.name)

    def handle_sig(self, signum: Signals) -> None:
        """Drain; a second signal gives running jobs back at once.

        Overrides arq 0.28 `Worker.handle_sig`, which cancels every job and lets the
        cancellation count as a try.
        """
        if not self.allow_pick_jobs:
            self._hurry.set()
        self.allow_pick_jobs = False
        self._look.set()
        self._behind.set()  # nobody is to count on us: the next heartbeat says so
        log.info("worker.draining", signal=Signals(signum).name, jobs=len(self._held))

    def change(self, ctx: Mapping[str, Any]) -> None:
        """Run what is claimed from now on with these parts of the context exchanged.

        What is claimed already keeps those it has. What this worker says of itself
        is said anew at once.
        """
        self.ctx = {**self.ctx, **ctx}
        self._behind.set()
        self._look.set()

    async def close(self) -> None:
        """Close the connections; a Redis that is away is no reason to fail.

        Overrides arq 0.28 `Worker.close`, which deletes a health key we never write.
        """
        if self.on_shutdown:
            await self.on_shutdown(self.ctx)
        await self.leases.aclose()
        await self.pool.aclose(close_connection_pool=True)

    async def _claim_loop(self) -> None:
        while self.allow_pick_jobs:
            self._look.clear()
            free = min(self.max_jobs - len(self.tasks), self._most)
            pause = self.poll_delay_s
            if free > 0:
                ctx = self.ctx  # what is claimed with it runs with it
                claim = await self._claim(free)
                if claim is None:
                    await asyncio.sleep(_PAUSE_S)
                    continue
                for lease in claim.leases:
                    self._start(lease, ctx)
                if claim.next_due is not None:
                    pause = min(pause, max(_SOON_S, claim.next_due.total_seconds()))
                self._wants_room = claim.left
                if claim.left and len(claim.leases) == free:
                    continue
            else:
                self._wants_room = True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._look.wait()

    async def _claim(self, free: int) -> Claim[E] | None:
        """Take what is ready; None when that has to be tried again."""
        try:
            if time.monotonic() - self._renewed_at > self._lease_s / 2:
                await self._renew()  # after a stall: what is ours first
            return await self.leases.claim(free, held=self._held)
        except (RedisError, OSError) as exc:
            log.warning("claim.failed", error=type(exc).__name__)
        except Exception:  # what it took lapses; what is in hand goes on
            log.exception("claim.crashed")
        return None

    def _start(self, lease: E, ctx: dict[Any, Any]) -> None:
        if (older := self._held.get(lease.id)) is not None:
            self._stop(older, FENCED)  # lapsed while this process stood still
        self._held[lease.id] = lease
        task = self.loop.create_task(self._run(lease, ctx))
        self.tasks[lease.id] = task
        task.add_done_callback(lambda done: self._left(lease, done))
        if len(self.tasks) >= self.max_jobs:
            self._free.clear()

    def _left(self, lease: E, task: "asyncio.Task[None]") -> None:
        if self._held.get(lease.id) is lease:
            del self._held[lease.id], self.tasks[lease.id]
        self._free.set()
        if self._wants_room:
            self._look.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("job.lost_hold", id=lease.id, exc_info=error)

    async def _run(self, lease: E, ctx: dict[Any, Any]) -> None:
        try:
            verdict = await self._run_job(ctx, lease)
        except asyncio.CancelledError as end:
            if end.args == (DRAINED,):
                await self.leases.release(lease)
                return
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            verdict = self.leases.crashed(lease)  # it came from inside
        except Exception:
            log.exception("attempt.crashed", id=lease.id)
            verdict = self.leases.crashed(lease)
        self._settling.add(lease)
        try:
            await self._settle(lease, verdict)
        finally:
            self._settling.discard(lease)

    async def _settle(self, lease: E, verdict: Any) -> None:
        self.jobs_complete += 1
        try:
            is_ours = await self.leases.settle(lease, verdict)
        except (RedisError, OSError):
            raise
        except Exception:  # no record can hold it: run again, it would end so again
            log.exception("outcome.unwritable", id=lease.id)
            is_ours = await self.leases.settle(lease, self.leases.crashed(lease))
        if not is_ours:
            log.warning("outcome.refused", id=lease.id, fence=lease.fence)

    async def _listen(self) -> None:
        """Block on the bell, but only while there is a slot to fill."""
        while self.allow_pick_jobs:
            await self._free.wait()
            try:
                rung = await self.pool.blpop([self.leases.bell], timeout=1)  # type: ignore[misc]
                wanted = self._free.is_set() and self.allow_pick_jobs
                if rung is not None and not wanted:  # for somebody else, then
                    await self.pool.lpush(self.leases.bell, 1)  # type: ignore[misc]
            except (RedisError, OSError):
                await asyncio.sleep(_PAUSE_S)
            else:
                if rung is not None:
                    self._look.set()
                    await asyncio.sleep(0)  # claim first, then listen again

    async def _heartbeat(self) -> None:
        while True:
            begun = time.monotonic()
            try:
                await self._renew()
                await self._speak()
            except (RedisError, OSError) as exc:
                log.warning("renewal.failed", error=type(exc).__name__)
                await asyncio.sleep(_PAUSE_S)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(
                    self._lease_s / 3 - (time.monotonic() - begun)
                ):
                    await self._behind.wait()
            self._behind.clear()

    async def _stay_known(self) -> None:
        """Say that this worker lives, however long its leases are."""
        while True:
            await asyncio.sleep(_PRESENCE_S)
            with contextlib.suppress(RedisError, OSError):
                await self._speak()

    async def _speak(self) -> None:
        await self.leases.announce(draining=not self.allow_pick_jobs)

    async def _renew(self) -> None:
        """Prolong what is in hand; let go of what is not ours any more."""
        held, asked = self.held, time.monotonic()
        answers = await self.leases.renew(held)
        self._renewed_at = asked
        for lease, answer in zip(held, answers, strict=True):
            if answer is Renewal.FENCED:
                self._stop(lease, FENCED)
            elif answer is Renewal.CANCELED:
                self._stop(lease, CANCELED)

    async def _hear_cancels(self) -> None:
        if self.leases.cancels is None:
            return
        async for called_off in messages(self.pool, self.leases.cancels):
            if not called_off:
                self._behind.set()
            lease = self._held.get(called_off.decode())
            if lease is not None:
                self._stop(lease, CANCELED)

    def _stop(self, lease: E, reason: str) -> None:
        if self._held.get(lease.id) is lease and lease not in self._settling:
            log.info("attempt.stopped", id=lease.id, reason=reason)
            self.tasks[lease.id].cancel(reason)

    async def _finish_running(self) -> None:
        """Wait for what runs, for the drain's time; then give the rest back."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._drain.total_seconds()):
                await self._until_hurried()
        for lease in self.held:
            self._stop(lease, DRAINED)
        if self.tasks:  # without Redis they cannot be given back: their leases lapse
            await asyncio.wait(self.tasks.values(), timeout=_LAST_WORDS_S)

    async def _until_hurried(self) -> None:
        hurried = asyncio.create_task(self._hurry.wait())
        try:
            while self.tasks and not hurried.done():
                await asyncio.wait(
                    [hurried, *self.tasks.values()],
                    return_when=asyncio.FIRST_COMPLETED,
                )
        finally:
            hurried.cancel()


async def _to_its_end(loop: "asyncio.Task[None]") -> None:
    """Wait for a loop; a cancellation ends it even where redis-py loses one."""
    try:
        await asyncio.wait([loop])
    finally:
        await end([loop])
    loop.result()
