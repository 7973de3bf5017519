"""Bytes in Redis are data: nobody who can write there runs anything here by it."""

import pickle
import re
from pathlib import Path

from redis.asyncio import Redis

from service.core.jobs import JobState
from service.job_store import JobStore, keys
from tests.fakes.engine import new_job, succeed, until, working
from tests.fakes.valkey import Valkey

ROOT = Path(__file__).parents[2]
READS = re.compile(
    r"^\s*(?:import|from)\s+(?:pickle|marshal|shelve|dill|cloudpickle|jsonpickle)\b",
    re.MULTILINE,
)


class Bomb:
    """Makes a file when somebody unpickles it."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[type[Path.touch], tuple[Path]]:
        return (Path.touch, (self._file,))


async def test_a_pickle_on_the_queue_runs_nothing_and_stops_nobody(
    redis: Redis, store: JobStore, shared_valkey: Valkey, tmp_path: Path
):
    file = tmp_path / "run"
    bomb = pickle.dumps({"f": Bomb(file), "a": (), "k": {}, "et": 0, "t": 0})
    for name in ("job_bomb", "bomb"):
        await redis.set(f"arq:job:{name}", bomb)
        await redis.set(f"arq:result:{name}", bomb)
        await redis.set(keys.job(name), bomb)
        await redis.zadd(keys.QUEUE, {name: -5})

    async with working(shared_valkey.url, succeed):
        job = new_job()
        await store.submit(job)
        await until(store, job, JobState.SUCCEEDED)

    assert not file.exists()
    assert await redis.zcard(keys.QUEUE) == 0
    assert set(await redis.zrange(keys.BROKEN, 0, -1)) == {b"job_bomb", b"bomb"}
    pickle.loads(pickle.dumps(Bomb(file)))  # noqa: S301 - to see that it is one
    assert file.exists(), "the bomb itself would have worked"


def test_nothing_of_ours_can_read_a_pickle():
    sources = [*ROOT.glob("service/**/*.py"), *ROOT.glob("workers/**/*.py")]

    readers = [path for path in sources if READS.search(path.read_text())]

    assert len(sources) > 200
    assert readers == []
