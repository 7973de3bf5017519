"""What tests on the wire may ask for: object stores, a front door, a worker."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.fakes import swift as openstack
from tests.fakes.door import FrontDoor, front_door
from tests.fakes.embeds import EMBED
from tests.fakes.fleet import Fleet, hiring
from tests.fakes.stands import S3Place, swift_place
from tests.fakes.valkey import Valkey
from tests.fakes.worker import FakeWorker


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Place]:
    """An S3 API that covers much and checks neither signature nor expiry."""
    from moto.server import ThreadedMotoServer  # a second, for those who want it

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    place = S3Place(
        url=f"http://{host}:{port}",
        key_id="anybody",
        secret="anything",
        checks_signatures=False,
    )
    yield place
    place.close()
    server.stop()


@pytest.fixture(scope="session")
def swift() -> Iterator[S3Place]:
    """An S3 API that checks signatures; a laptop may do without it, CI may not."""
    if not openstack.is_installed():
        assert "CI" not in os.environ, "CI needs Debian's python3-swift"
        pytest.skip("OpenStack Swift (python3-swift) is not installed")
    with swift_place() as place:
        yield place


@pytest.fixture
async def door(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path
) -> AsyncIterator[FrontDoor]:
    """A front door with a local image store, on an empty Valkey."""
    async with front_door(shared_valkey.url, tmp_path) as front:
        yield front


@pytest.fixture
async def worker(door: FrontDoor, redis: Redis) -> AsyncIterator[FakeWorker]:
    """Makes every job of `door` succeed, until it is told otherwise."""
    async with FakeWorker(redis, door.images) as fake:
        yield fake


@pytest.fixture
async def fleet(redis: Redis) -> AsyncIterator[Fleet]:
    """Hires workers; each serves the providers it is given."""
    async with hiring(redis) as hire:
        yield hire


@pytest.fixture
async def embed_secret(door: FrontDoor) -> str:
    """A key that may stand in a page, and nowhere else."""
    _, secret = await door.knows("default", scopes=EMBED)
    return secret
