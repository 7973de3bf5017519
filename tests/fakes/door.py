"""A front door on a free port, in this process, and somebody who knocks."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from json import dumps
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import orjson
from multidict import CIMultiDictProxy
from yarl import URL

from service.__main__ import bind
from service.accounts import Accounts, ApiKey, Grant
from service.api.server import Door, open_door
from service.catalog_file import LiveCatalog
from service.image_store import ImageStore
from service.image_store.opening import open_image_store
from service.settings import Limits, Settings
from tests.fakes import canaries
from tests.fakes.witness import Witness

SECRET = canaries.watch("sk_of-all-the-tests", always=True)
WITNESS = Witness()


class Answer(NamedTuple):
    status: int
    headers: CIMultiDictProxy[str]
    raw: bytes

    @property
    def body(self) -> Any:
        return orjson.loads(self.raw)

    @property
    def code(self) -> str:
        """The error's code; fails where the answer is none."""
        assert self.body["request_id"] == self.headers["x-request-id"]
        return self.body["error"]["code"]


class FrontDoor:
    """A running front door, with a key of account `default` that may do anything."""

    def __init__(
        self, settings: Settings, door: Door, images: ImageStore, accounts: Accounts
    ) -> None:
        self.settings, self.door = settings, door
        self.images, self.accounts = images, accounts
        self.url = settings.base_url
        self.port = settings.port
        self.secret = SECRET
        self._http = aiohttp.ClientSession()

    async def close(self) -> None:
        await self._http.close()

    async def knows(self, account: str, **grant: Any) -> tuple[ApiKey, str]:
        """Make another key."""
        key, secret = await self.accounts.create(Grant(account=account, **grant))
        return key, canaries.watch(secret)

    async def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        data: Any = None,
        secret: str | None = SECRET,
        encoded: bool = False,
        **headers: str,
    ) -> Answer:
        """Send a request; underscores in names of headers stand for dashes.

        An `encoded` path goes out as it is, whatever is wrong with it.
        """
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if secret is not None:
            sent.setdefault("Authorization", f"Bearer {secret}")
        if json is not None:
            data = dumps(json)
            sent.setdefault("Content-Type", "application/json")
        url = path if path.startswith("http") else f"{self.url}{path}"
        async with self._http.request(
            method,
            URL(url, encoded=encoded),
            data=data,
            headers=sent,
            allow_redirects=False,
        ) as response:
            raw = await response.read()
        if url.startswith(self.url):
            path = url.removeprefix(self.url)
            WITNESS.check(method, path, response.status, response.headers, raw)
            assert not canaries.leaks(raw + repr(response.headers).encode()), path
        return Answer(response.status, response.headers, raw)

    async def get(self, path: str, **options: Any) -> Answer:
        return await self.call("GET", path, **options)

    async def post(self, path: str, json: Any = None, **options: Any) -> Answer:
        return await self.call("POST", path, json=json, **options)

    async def submit(self, prompt: str = "a fox", **fields: Any) -> Any:
        """Submit a native job; return its object."""
        fields = {"model": "test/test", "prompt": prompt, **fields}
        answer = await self.post("/v1/jobs", fields)
        assert answer.status == 202, answer.raw
        return answer.body


@contextlib.asynccontextmanager
async def front_door(
    redis_url: str,
    folder: Path,
    *,
    beat_s: float = 5.0,
    keep_alive_s: float = 15.0,
    linger_s: float = 0.1,
    notice_s: float = 5.0,
    **settings: Any,
) -> AsyncIterator[FrontDoor]:
    """Open a front door; `settings` as `Settings` takes them."""
    wanted = Settings(
        redis_url=redis_url,
        data_dir=folder,
        port=0,
        bootstrap_key=SECRET,
        **{"limits": Limits(body_s=0.5), **settings},
    )
    sock = bind(wanted)
    wanted = wanted.model_copy(update={"port": sock.getsockname()[1]})
    live = LiveCatalog(wanted.catalog_file)
    async with open_door(
        wanted,
        live,
        sock,
        beat_s=beat_s,
        keep_alive_s=keep_alive_s,
        linger_s=linger_s,
        notice_s=notice_s,
    ) as door:
        images = open_image_store(wanted)
        front = FrontDoor(wanted, door, images, door.front.backends.accounts)
        yield front
        await front.close()
        await images.close()


async def raw(
    port: int, request: bytes, *, to_end: bool = False, within_s: float = 5
) -> tuple[int, bytes]:
    """Send bytes as they are; return the status and the whole answer.

    With `to_end` the server must close the connection behind it.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        async with asyncio.timeout(within_s):
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 100 " in head.split(b"\r\n")[0]:
                head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            body = await reader.readexactly(int(length[1])) if length else b""
            if to_end:
                assert await reader.read() == b""
        return int(head.split(b" ")[1]), head + body
    finally:
        writer.close()
