"""Three front doors on one Valkey, and all that bad requests are about."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
from redis.asyncio import Redis

from service.accounts import Scope
from service.settings import Limits, Outbound, Settings
from tests.fakes.door import SECRET, WITNESS, FrontDoor, front_door
from tests.fakes.picture_host import PictureHost
from tests.fakes.valkey import Valkey
from tests.fakes.worker import FakeWorker
from tests.wire.bad_input.cases import GENERATIONS, GOOD, Case, Row
from tests.wire.bad_input.said import Said, read, rest

HOOK = "https://hooks.example.com/"
ALIVE = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
PATIENCE_S = 60
SHORT_S = 0.3
"""What the hasty door waits for: bodies, headers, and callers who take nothing."""
LENIENT = {"outbound": Outbound(allowed_networks=["127.0.0.0/8"], allow_http=True)}
RIGID = """
[models."test/rigid"]
routes = ["test/rigid"]
sizes = ["48x48"]
snap = false
"""
"""A model that draws one size, and does not take the next best for another."""


_TOLD_WITH = {
    401: "WWW-Authenticate",
    405: "Allow",
    429: "Retry-After",
    503: "Retry-After",
}
"""What comes with a status."""

Traces = dict[str, bytes | int | None]
"""What there is, by its name: a key of Redis, or the path of a file."""


class House:
    """What runs, and what requests may name.

    Attributes:
        doors: `usual`; `hasty`, which waits for nothing; `outward`, which may call
            the picture host.
        names: What stands for a name in braces.
    """

    def __init__(
        self,
        doors: dict[str, FrontDoor],
        valkey: Valkey,
        redis: Redis,
        folder: Path,
        host: PictureHost,
    ) -> None:
        self.doors, self.valkey, self.redis = doors, valkey, redis
        self.host, self.folder = host, folder
        self.door = doors["usual"]
        self.names = {"secret": SECRET, "host": host.url, "url": self.door.url}
        self.names["port"] = str(self.door.port)
        self.keys: dict[str, str] = {}
        """Ids of keys, by the names of their secrets."""

    async def furnish(self) -> None:
        """Make the keys, jobs and links that requests name."""
        await self._make_keys()
        async with FakeWorker(self.redis, self.door.images):
            finished = await self._job(wait=True)
            await self.door.get(
                f"/embed/image:test/test?key={self.names['embed']}&prompt=known",
                secret=None,
            )
        data = (await self.door.get(f"/v1/jobs/{finished}")).body["result"]["data"]
        deleted, canceled, running = [await self._job() for _ in range(3)]
        await self.door.call("DELETE", f"/v1/jobs/{deleted}")
        await self.door.post(f"/v1/jobs/{canceled}/cancel")
        foreign = await self._job("stranger")
        [(event, _)] = await self.redis.xrevrange("darkroom:events:stranger", count=1)
        made = await self.door.post(
            "/v1/endpoints", {"url": HOOK}, secret=self.names["stranger"]
        )
        own = await self.door.post("/v1/endpoints", {"url": HOOK})
        test = f"/v1/endpoints/{made.body['id']}/test"
        sent = await self.door.post(test, secret=self.names["stranger"])
        await self._job("full")
        [key] = await self.door.images.list(f"jobs/{finished}/")
        stale = self.door.images.signed_url(key, lifetime=timedelta(seconds=-10)).url
        self.names |= {
            "finished": finished,
            "deleted": deleted,
            "canceled": canceled,
            "queued": running,
            "foreign": foreign,
            "endpoint": own.body["id"],
            "foreign_event": event.decode(),
            "foreign_delivery": sent.body["id"],
            "image": data[0]["url"].removeprefix(self.door.url),
            "stale": stale.removeprefix(self.door.url),
        }

    async def _make_keys(self) -> None:
        embed = frozenset({Scope.EMBED})
        soon = datetime.now(UTC) + timedelta(seconds=0.05)
        grants = {
            "stranger": {"account": "stranger"},
            "revoked": {},
            "expired": {"expires_at": soon},
            "embed": {"scopes": embed},
            "poor": {"quota_units": 0},
            "hurried": {"requests_per_minute": 1},
            "full": {"queued_jobs": 1},
            "narrow": {"models": frozenset({"openai/dall-e-2"})},
            "follower": {"account": "follower"},
        }
        for name, grant in grants.items():
            key, secret = await self.door.knows(**{"account": "default", **grant})
            self.names[name], self.keys[name] = secret, key.id
        await self.door.accounts.revoke(self.keys["revoked"])
        while (
            await self.door.get("/v1/jobs", secret=self.names["expired"])
        ).status < 400:
            await asyncio.sleep(0.02)

    async def _job(self, key: str = "secret", *, wait: bool = False) -> str:
        secret = self.names[key]
        route = GENERATIONS if wait else "/v1/jobs"
        answer = await self.door.post(route, GOOD, secret=secret)
        assert answer.status < 300, answer.raw
        return answer.headers["x-job-id"]

    async def traces(self) -> Traces:
        """Return all there is: what Redis holds, and files with their sizes.

        Whoever stores images announces so in `darkroom:retention` an hour ahead, and
        the sweep looks there even where all was taken back; so that is left out.
        """
        names = sorted({*await self.redis.keys("*")} - {b"darkroom:retention"})
        async with self.redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.dump(name)
            dumps = await pipe.execute()
        held = dict(zip((name.decode() for name in names), dumps, strict=True))
        return held | _files(self.folder)

    async def is_untouched(self, before: Traces) -> bool:
        """Wait until there is nothing that was not there before.

        The front door itself tries its store now and then, and is done soon. What
        Redis lets expire may have gone; jobs may not.
        """
        async with asyncio.timeout(PATIENCE_S):
            while True:
                now = await self.traces()
                more = {k for k, v in now.items() if v and before.get(k) != v}
                if not more:
                    break
                await asyncio.sleep(0.05)
        return all(name in now for name in before if name.startswith("darkroom:job:"))

    def spelled(self, request: bytes) -> bytes:
        """Return the request with what stands for its names."""
        head, end, body = request.partition(b"\r\n\r\n")
        for name, value in self.names.items():
            head = head.replace(b"{%s}" % name.encode(), value.encode())
        return head + end + body

    async def hear(self, request: bytes, *, door: str = "usual") -> Said:
        """Send a request; return the answer, and whether the door is shut behind it."""
        port = self.doors[door].port
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.closing(writer):
                sent = self.spelled(request)
                writer.write(sent)
                said = await read(reader, is_head=sent.startswith(b"HEAD "))
                if said.closes:
                    assert await rest(reader) == b""
                else:
                    writer.write(ALIVE)
                    alive = await read(reader)
                    assert alive.status == 200, alive
        self._bear_witness(sent, said)
        return said

    def _bear_witness(self, sent: bytes, said: Said) -> None:
        line = sent.partition(b"\r\n")[0].split(b" ")
        if len(line) == 3 and line[1].startswith(b"/"):
            method, path = line[0].decode("latin-1"), line[1].decode("latin-1")
            WITNESS.check(method, path, said.status, said.headers, said.raw)

    async def holds(self, case: Case, row: Row) -> None:
        """Send a case; fail where the answer is not the one it must get."""
        request = case.request
        if not isinstance(request, bytes):
            request = request(self.names)

        said = await self.hear(request, door=case.door)

        told = (row.number, row.what, request[:400], said.headers, said.raw[:500])
        assert said.summary == (case.answer or row.answers[0]), told
        if said.code is not None:
            error = orjson.loads(said.raw)
            assert said.headers["Content-Type"].startswith("application/json"), told
            assert error["request_id"] == said.headers["x-request-id"], told
            assert {*error["error"]} == {"message", "type", "param", "code"}, told
            if case.param is not ...:
                assert error["error"]["param"] == case.param, told
        for status, name in _TOLD_WITH.items():
            assert said.status != status or name in said.headers, told
        shown = repr(said.headers) + said.raw.decode("latin-1")
        for text in case.shows:
            assert self.spelled(text.encode()).decode() in shown, told
        for text in (*case.hides, *(self.names[name] for name in self.keys), SECRET):
            assert text not in shown, told


def _files(folder: Path) -> Traces:
    found: Traces = {}
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file():
                found[str(path)] = path.stat().st_size
    return found


@contextlib.asynccontextmanager
async def house(valkey: Valkey, folder: Path) -> AsyncIterator[House]:
    """Open the doors of a furnished house on an empty Valkey."""
    catalog = folder / "catalog.toml"
    catalog.write_text(Settings().catalog_file.read_text() + RIGID)
    hasty = {
        "limits": Limits(
            body_s=SHORT_S,
            upload_s=SHORT_S,
            write_s=SHORT_S,
            reference_s=SHORT_S,
            streams=2,
        ),
        "keep_alive_s": SHORT_S,
        **LENIENT,
    }
    usual = {"limits": Limits()}
    doors = {"usual": usual, "hasty": hasty, "outward": usual | LENIENT}
    async with contextlib.AsyncExitStack() as stack:
        redis = Redis.from_url(valkey.url)
        stack.push_async_callback(redis.aclose)
        await redis.flushall()
        host = await stack.enter_async_context(PictureHost())
        opened = {
            name: await stack.enter_async_context(
                front_door(
                    valkey.url, folder, beat_s=3600, catalog_file=catalog, **options
                )
            )
            for name, options in doors.items()
        }
        home = House(opened, valkey, redis, folder, host)
        await home.furnish()
        yield home
