"""The whole service as real processes on this machine, to be killed at will.

One Valkey, one fake upstream with its ledger, one front door on a port that stays
its own, and workers. Whatever happens to the driver, they end with it.
"""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import aiohttp
from redis.asyncio import Redis
from redis.exceptions import RedisError
from yarl import URL

from service.job_store import keys
from tests.chaos.client import Client
from tests.chaos.program import Program, first_line, programs, reserved_port
from tests.chaos.rough import BUCKET, Rough, settings_of_store
from tests.fakes.openai_upstream import KEY as UPSTREAM_KEY
from tests.fakes.upstreams.words import KEY as CONTRACT_KEY
from tests.fakes.valkey import Valkey

ROOT = Path(__file__).parents[2]
SECRET = "sk_of-all-the-chaos"
MODEL = "chaos/image"
POISON = "chaos/poison"
SHORT = "chaos-image"
"""Another name of the model, without a slash."""

_CATALOG = """
[providers.openai]
adapter = "openai"
base_url = "{base_url}"
api_key_env = "UPSTREAM_API_KEY"
timeout_s = {patience_s}
[models."{image}"]
routes = ["openai/gpt-image-1"]
sizes = ["1024x1024"]
max_n = 4
embed = true
[providers.test]
adapter = "test"
[models."{poison}"]
routes = ["test/poison"]
sizes = ["64x64"]
[aliases]
"{short}" = "{image}"
"""
_START_S = 60
_LOOK_S = 0.05


@dataclass(frozen=True, kw_only=True)
class Cast:
    """Who plays: how many workers, with how many slots, before which upstream.

    Attributes:
        patience_s: How long a worker waits for the upstream's answer.
    """

    workers: int = 2
    slots: int = 10
    lease_s: float = 15
    latency_ms: float = 500
    patience_s: float = 120

    @property
    def all_slots(self) -> int:
        return self.workers * self.slots

    @property
    def jobs_per_s(self) -> float:
        """What the upstream's latency alone would allow."""
        return self.all_slots / self.latency_ms * 1000


@dataclass(kw_only=True)
class Stage:
    """Everything that runs.

    Attributes:
        base_url: Of the front door.
        store: None where images are in a folder of the front door's and the workers'.
        program: Makes another process, `python -m COMMAND...`, from a name for its log
            and the command; variables may be named besides. It ends with the stage.
        deaths: Workers that ended without being told to.
        kills: How often each of them was killed here.
    """

    cast: Cast
    folder: Path
    base_url: str
    valkey: Valkey
    upstream: Program
    door: Program
    workers: list[Program]
    client: Client
    redis: Redis
    program: Callable[..., Program]
    store: Program | None = None
    deaths: int = 0
    kills: dict[str, int] = field(
        default_factory=lambda: {"worker": 0, "valkey": 0, "door": 0}
    )

    def origin(self, name: str) -> str:
        """Return where another upstream listens, without a path."""
        return str(URL(first_line(self.folder / f"{name}.log")).origin())

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.jsonl"

    @property
    def images(self) -> Path:
        """Where the images are, by their keys."""
        if self.store is not None:
            return self.folder / "store" / BUCKET
        return self.folder / "data" / "images"

    async def calm_the_store(self) -> None:
        """Let it serve everybody from now on."""
        url = f"{self.origin('store')}/control/manners"
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, json={"errors": 0, "hangs": 0}) as answer,
        ):
            assert answer.status == 200

    def kill_worker(self, number: int) -> None:
        """Kill one and start it again."""
        self.workers[number].kill()
        self.workers[number].start()
        self.kills["worker"] += 1

    @contextlib.asynccontextmanager
    async def without_valkey(self) -> AsyncIterator[None]:
        """Kill it, and bring it back from its AOF when the context is left."""
        self.valkey.kill()
        self.kills["valkey"] += 1
        yield
        self.valkey.start()  # in a thread it could outlive a Ctrl-C

    def kill_door(self) -> None:
        """Kill it and start it again on its port."""
        self.door.kill()
        self.door.start()
        self.kills["door"] += 1

    async def at_work(self) -> list[int]:
        """Return the numbers of the workers that have started; none without Valkey."""
        try:
            names = await self.redis.zrange(keys.WORKERS, 0, -1)
        except (RedisError, OSError):
            return []
        started = {int(name.split(b":")[-2]) for name in names}
        return [n for n, one in enumerate(self.workers) if one.pid in started]

    async def keep_workers_up(self) -> None:
        """Start again whoever dies by himself, until canceled."""
        while True:
            for worker in self.workers:
                if not worker.is_alive:
                    self.deaths += 1
                    worker.start()
            await asyncio.sleep(_LOOK_S)

    async def until_ready(self) -> None:
        """Wait until the front door is green and all workers have spoken."""
        redis = Redis.from_url(self.valkey.url)
        try:
            async with asyncio.timeout(_START_S):
                while (await self.client.readiness()).status != 200:
                    await asyncio.sleep(_LOOK_S)
                while await redis.zcard(keys.WORKERS) < len(self.workers):
                    await asyncio.sleep(_LOOK_S)
        finally:
            await redis.aclose()


@contextlib.asynccontextmanager
async def on_stage(
    cast: Cast,
    *,
    folder: Path | None = None,
    others: Mapping[str, Sequence[str]] = MappingProxyType({}),
    catalog: str = "",
    settings: Mapping[str, str] = MappingProxyType({}),
    through: Sequence[str] = (),
    rough: Rough | None = None,
) -> AsyncIterator[Stage]:
    """Start everything, yield it ready, and leave no process behind.

    Args:
        cast: Who plays.
        folder: Keeps data, ledger and logs; None: a temporary one.
        others: More upstreams by name, with their commands; `{folder}` in these
            stands for the folder. The first line each writes is its URL.
        catalog: What is written behind the usual one; `{name}` stands for an
            upstream's URL.
        settings: Variables of front door and workers, beside the usual ones.
        through: A program that runs front door and workers, as its arguments say.
        rough: What goes wrong by itself; with it the images are in an S3 store.
    """
    async with contextlib.AsyncExitStack() as stack:
        if folder is None:
            name = tempfile.TemporaryDirectory(prefix="chaos-")
            folder = Path(stack.enter_context(name))
        folder.mkdir(parents=True, exist_ok=True)
        stage = await _built(stack, cast, folder, settings, through, rough)
        stage.valkey.start()
        stage.upstream.start()
        if stage.store is not None:
            stage.store.start()
        urls = await _opened(stage.program, others, folder)
        usual = await _usual_catalog(folder, cast)
        (folder / "catalog.toml").write_text(catalog.format(**urls) + usual)
        for started in (stage.door, *stage.workers):
            started.start()
        await stage.until_ready()
        yield stage


async def _built(
    stack: contextlib.AsyncExitStack,
    cast: Cast,
    folder: Path,
    settings: Mapping[str, str],
    through: Sequence[str],
    rough: Rough | None,
) -> Stage:
    """Return the stage with nothing on it running; `stack` ends what will."""
    port = stack.enter_context(reserved_port())
    base_url = f"http://127.0.0.1:{port}"
    valkey = Valkey(_made(folder / "valkey"))
    stack.callback(valkey.close)
    redis = Redis.from_url(valkey.url)
    stack.push_async_callback(redis.aclose)
    environ = {**_environ(cast, folder, valkey, port), **settings}
    store_port = stack.enter_context(reserved_port())
    if rough is not None:
        environ = {**settings_of_store(store_port), **environ}
    program = programs(stack, folder, environ)
    return Stage(
        cast=cast,
        folder=folder,
        base_url=base_url,
        valkey=valkey,
        upstream=program("upstream", *_upstream(cast, folder, rough)),
        door=program("door", *through, "service"),
        workers=[
            program(f"worker{i}", *through, "workers") for i in range(cast.workers)
        ],
        client=Client(await _session(stack), base_url, secret=SECRET),
        redis=redis,
        program=program,
        store=None
        if rough is None
        else program("store", *rough.store(folder / "store", store_port)),
    )


async def _session(stack: contextlib.AsyncExitStack) -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=20),
        connector=aiohttp.TCPConnector(limit=0),  # those who wait hold one each
    )
    return await stack.enter_async_context(session)


async def _usual_catalog(folder: Path, cast: Cast) -> str:
    base_url = await asyncio.to_thread(first_line, folder / "upstream.log")
    return _CATALOG.format(
        base_url=base_url,
        patience_s=cast.patience_s,
        image=MODEL,
        poison=POISON,
        short=SHORT,
    )


async def _opened(
    program: Callable[..., Program], others: Mapping[str, Sequence[str]], folder: Path
) -> dict[str, str]:
    """Start more upstreams; return their URLs."""
    for name, command in others.items():
        program(name, *(word.format(folder=folder) for word in command)).start()
    return {
        name: await asyncio.to_thread(first_line, folder / f"{name}.log")
        for name in others
    }


def _upstream(cast: Cast, folder: Path, rough: Rough | None) -> tuple[str, ...]:
    latency = ("--latency-ms", str(cast.latency_ms))
    ledger = ("--ledger", str(folder / "ledger.jsonl"))
    moods = () if rough is None else rough.moods()
    return ("tests.fakes.openai_upstream", "--thumbnails", *latency, *ledger, *moods)


def _environ(cast: Cast, folder: Path, valkey: Valkey, port: int) -> dict[str, str]:
    ours = {n: v for n, v in os.environ.items() if not n.startswith("DARKROOM_")}
    return ours | {
        "PYTHONPATH": str(ROOT),
        "UPSTREAM_API_KEY": UPSTREAM_KEY,
        "CONTRACT_API_KEY": CONTRACT_KEY,
        "DARKROOM_REDIS_URL": valkey.url,
        "DARKROOM_DATA_DIR": str(folder / "data"),
        "DARKROOM_CATALOG_FILE": str(folder / "catalog.toml"),
        "DARKROOM_PORT": str(port),
        "DARKROOM_BOOTSTRAP_KEY": SECRET,
        "DARKROOM_TEST_POISON": "1",
        "DARKROOM_WORKER__MAX_JOBS": str(cast.slots),
        "DARKROOM_WORKER__LEASE_S": str(cast.lease_s),
        "DARKROOM_WORKER__IMAGING_PROCESSES": "1",
    }


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder
