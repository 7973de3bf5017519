"""Whether accepting, draining and asking take longer the more jobs are queued."""

import random
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import orjson
import uvloop
from arq.constants import default_queue_name, job_key_prefix
from arq.jobs import serialize_job
from redis import Redis

from service.job_store import keys
from tests.bench.contenders._queue import REQUEST, fill
from tests.bench.contenders.darkroom_queue import new_job, storing
from tests.bench.figures import Contenders, Effort, Goal, Row, Sample
from tests.bench.rows._doors import darkroom, load
from tests.bench.rows._queues import ARQ, DARKROOM, Queue, timed
from tests.bench.stand import process, valkey
from tests.fakes.valkey import Valkey

_LEAST = 1000
_MANY = 100_000
_MOST = 1_000_000
_ACCOUNTS = 10_000
_ROUNDS = 15
_SINCE, _UNTIL = 100, 800
"""Of a round of the drain this part is timed, so that a queue of a thousand neither
begins nor ends meanwhile."""
_SECONDS = 2.0
_POLLED = 500
_PIECE = 5000
_A_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Backlog:
    """A queue that is as deep at the beginning of every round.

    Attributes:
        lane: The sorted set that all its jobs are in.
        add: Writes more of them down.
        opens: Whether a front door of ours can stand before it, and be asked.
    """

    server: Valkey
    redis: "Redis[bytes]"
    queue: Queue
    lane: str
    add: Callable[["Redis[bytes]", Valkey, int], None]
    depth: int
    opens: bool

    def take(self, effort: Effort) -> Sample:
        """Let it be asked, grow and be drained; what is added is drained, too."""
        depth = max(_LEAST, int(self.depth * effort.scale))
        self._fill(depth)
        figures = self._behind_a_door(effort) if self.opens else {}
        return {"drained/s": self._drained(depth, effort), **figures}

    def _behind_a_door(self, effort: Effort) -> dict[str, float]:
        places = random.sample(range(self._queued()), _POLLED)
        ids = [self.redis.zrange(self.lane, at, at)[0].decode() for at in places]
        seconds = _SECONDS * effort.scale
        with darkroom(self.server) as port:
            polls = load(port, seconds, "poll", *ids)["answers/s"]
            accepted = load(port, seconds, "accept")["answers/s"]
        return {"accepted/s": accepted, "polls/s": polls}

    def _drained(self, depth: int, effort: Effort) -> float:
        finished, took_s, gone = 0, 0.0, 0

        def done() -> int:
            return gone - self._queued()

        words = (self.queue.python(), self.queue.module, "work", self.server.url)
        with process(*words) as worker:
            worker.wait_until(lambda: self._queued() <= depth, every_s=0.01)
            for number in range(1 + max(2, int(_ROUNDS * effort.scale))):
                with worker.paused():
                    self._fill(depth)
                    gone = self._queued()
                jobs, seconds = timed(worker, done, since=_SINCE, until=_UNTIL)
                if number:  # the first one warms up
                    finished, took_s = finished + jobs, took_s + seconds
        return finished / took_s

    def _fill(self, depth: int) -> None:
        self.add(self.redis, self.server, max(0, depth - self._queued()))

    def _queued(self) -> int:
        return int(self.redis.zcard(self.lane))


def _add_ours(accounts: int, redis: "Redis[bytes]", server: Valkey, jobs: int) -> None:
    names = (
        f"account-{n % accounts}" if accounts > 1 else "default" for n in range(jobs)
    )
    uvloop.run(fill(storing(server.url), (new_job(REQUEST, name) for name in names)))


def _add_arq(redis: "Redis[bytes]", server: Valkey, jobs: int) -> None:
    """Write what `enqueue_job` writes, without asking first whether it is there."""
    for at in range(0, jobs, _PIECE):
        with redis.pipeline(transaction=False) as pipe:
            for _ in range(min(_PIECE, jobs - at)):
                job_id, now_ms = uuid.uuid4().hex, time.time_ns() // 1_000_000
                job = serialize_job(
                    "generate", (REQUEST,), {}, None, now_ms, serializer=orjson.dumps
                )
                pipe.psetex(job_key_prefix + job_id, _A_DAY_MS, job)
                pipe.zadd(default_queue_name, {job_id: now_ms})
            pipe.execute()


@contextmanager
def _contenders() -> Iterator[Contenders]:
    """Keep one server for each queue and depth."""
    ours, arq = partial(_add_ours, 1), _add_arq
    of_many = partial(_add_ours, _ACCOUNTS)
    with ExitStack() as stack:

        def backlog(
            queue: Queue,
            add: Callable[["Redis[bytes]", Valkey, int], None],
            depth: int,
            *,
            opens: bool,
        ) -> Callable[[Effort], Sample]:
            server = stack.enter_context(valkey())
            redis = stack.enter_context(Redis(unix_socket_path=str(server.socket)))
            lane = keys.QUEUE if queue is DARKROOM else default_queue_name
            return _Backlog(
                server=server,
                redis=redis,
                queue=queue,
                lane=lane,
                add=add,
                depth=depth,
                opens=opens,
            ).take

        depths = (_LEAST, _MANY, _MOST)
        yield {
            **{_name(n): backlog(DARKROOM, ours, n, opens=True) for n in depths},
            _OF_MANY: backlog(DARKROOM, of_many, _MANY, opens=False),
            **{f"arq, {n:,} queued": backlog(ARQ, arq, n, opens=False) for n in depths},
        }


def _name(depth: int) -> str:
    return f"{depth:,} queued"


_OF_MANY = f"{_MANY:,} of {_ACCOUNTS:,} accounts"
_flat = partial(Goal, reach=0.85, aim=0.95)


GROWTH = Row(
    name="growth",
    title="Growth of the backlog",
    about=(
        "The same queue with so many jobs in it. One server for each stands there all "
        "the while; what a repetition drains is put back, and what it accepts is "
        f"drained. Drain: one worker process finishes {_UNTIL} jobs, of which the last "
        f"{_UNTIL - _SINCE} are timed, and stands still while the queue is filled up "
        f"again, {_ROUNDS} times. Accept and poll: as in the rows of their names, "
        "behind a front door, the polls of jobs anywhere in the queue. The backlogs "
        "are written by our own `submit`, and for arq as `enqueue_job` would. arq's "
        "worker has it easier here than in its row: it never looks at an empty queue."
    ),
    figure="drained/s",
    more_is_better=True,
    contenders=_contenders,
    goals=(
        _flat(ours=_name(_MOST), rivals=(_name(_LEAST),)),
        _flat(ours=_name(_MOST), rivals=(_name(_LEAST),), figure="accepted/s"),
        _flat(ours=_name(_MOST), rivals=(_name(_LEAST),), figure="polls/s"),
        _flat(ours=_OF_MANY, rivals=(_name(_MANY),)),
    ),
)
