"""Image stores as tests meet them: the store, and the way clients reach it."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from aiohttp import web
from aiohttp.test_utils import TestServer
from botocore.config import Config

from service.core.errors import RequestError
from service.image_store import ImageStore
from service.image_store.local import LocalImageStore, media_type
from service.image_store.opening import open_image_store
from service.settings import Settings, Storage
from tests.fakes import swift


@dataclass(frozen=True, kw_only=True)
class S3Place:
    """An S3 API, a key to it, and new buckets to put things in.

    `checks_signatures` is False for moto, which lets everybody in.
    """

    url: str
    key_id: str
    secret: str
    checks_signatures: bool

    def make_bucket(self) -> str:
        name = f"test-{secrets.token_hex(8)}"
        self._admin.create_bucket(Bucket=name)
        return name

    def settings(self, **changes: object) -> Settings:
        storage = {
            "kind": "s3",
            "endpoint_url": self.url,
            "access_key_id": self.key_id,
            "secret_access_key": self.secret,
        }
        return Settings(storage=Storage.model_validate(storage | changes))

    def close(self) -> None:
        self._admin.close()

    @cached_property
    def _admin(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=self.key_id,
            aws_secret_access_key=self.secret,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}),
        )


@dataclass(kw_only=True)
class Stand:
    """A store, and whether its URLs are guarded; local ones by a clock of its own."""

    store: ImageStore
    checks_signatures: bool = True
    clock: datetime | None = None

    def now(self) -> datetime:
        return self.clock or datetime.now(UTC)

    async def wait_until(self, moment: datetime) -> None:
        """Let time pass: the hands of a local clock move, elsewhere it is real."""
        if self.clock is not None:
            self.clock = moment
        else:
            await asyncio.sleep((moment - datetime.now(UTC)).total_seconds())


@contextmanager
def swift_place() -> Iterator[S3Place]:
    """Run OpenStack Swift, which must be installed, while the context is open."""
    server = swift.Swift().start()
    place = S3Place(
        url=server.url,
        key_id=swift.ACCESS_KEY_ID,
        secret=swift.SECRET_ACCESS_KEY,
        checks_signatures=True,
    )
    try:
        yield place
    finally:
        place.close()
        server.close()


@asynccontextmanager
async def s3_stand(place: S3Place) -> AsyncIterator[Stand]:
    store = open_image_store(place.settings(bucket=place.make_bucket()))
    yield Stand(store=store, checks_signatures=place.checks_signatures)
    await store.close()


@asynccontextmanager
async def local_stand(root: Path) -> AsyncIterator[Stand]:
    """Serve a local store the way the front door does: verify, read, name the type."""

    async def read(request: web.Request) -> web.Response:
        path, _, query = request.raw_path.partition("?")
        try:
            store.verify(path.removeprefix("/images/"), query)
        except RequestError as exc:
            return web.Response(status=403, text=exc.code)
        data = await store.get(path.removeprefix("/images/"))
        if data is None:
            return web.Response(status=404)
        return web.Response(body=data, content_type=media_type(data))

    app = web.Application()
    app.router.add_get("/images/{key:.*}", read, allow_head=False)
    async with TestServer(app, host="127.0.0.1") as server:
        store = LocalImageStore(
            root,
            base_url=str(server.make_url("")).rstrip("/"),
            secret=bytes(range(32)),
            lifetime=timedelta(hours=1),
            clock=lambda: stand.now(),  # noqa: PLW0108 - made below
        )
        stand = Stand(store=store, clock=datetime(2026, 11, 21, 12, tzinfo=UTC))
        yield stand
        await store.close()
