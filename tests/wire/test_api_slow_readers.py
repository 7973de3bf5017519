"""Callers who hang up, or take nothing, in the middle of a large answer."""

import asyncio
import os
import re
import select
import socket
from pathlib import Path

import aiohttp
import orjson
import pytest
from redis.asyncio import Redis

from service.image_store.opening import open_image_store
from service.settings import Limits, Settings
from tests.fakes.door import SECRET, FrontDoor, front_door
from tests.fakes.front_process import front_process
from tests.fakes.valkey import Valkey
from tests.fakes.worker import FakeWorker

LARGE = 12 << 20
ROUTE = "/v1/images/generations"
ASK = {"model": "test/test", "prompt": "a fox", "response_format": "b64_json"}
KEY = {"Authorization": f"Bearer {SECRET}"}


def asking(method: str, path: str, body: bytes = b"") -> bytes:
    """A request that finds the one job of the test again."""
    lines = (
        f"{method} {path} HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {SECRET}",
        "Idempotency-Key: once",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join((*lines, "", "")).encode() + body


INLINE = asking("POST", ROUTE, orjson.dumps(ASK))

PIPELINED = asking("GET", "/openapi.json") * 60


def make_large(worker: FakeWorker, images) -> None:
    """Let each job succeed with an image that no buffer of a connection holds."""

    async def large(lease):
        made = await worker.succeed(lease)
        key = made.images[0].key
        await images.put(key, os.urandom(LARGE), content_type="image/png")
        return made

    worker.verdict = large


async def begun(port: int, request: bytes) -> socket.socket:
    """Send a request and read the first bytes of the answer, and no more."""
    loop, sock = asyncio.get_running_loop(), socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await loop.sock_connect(sock, ("127.0.0.1", port))
    await loop.sock_sendall(sock, request)
    assert b" 200 " in await loop.sock_recv(sock, 1024)
    return sock


async def is_cut_off(sock: socket.socket, *, within_s: float) -> bool:
    """Wait for the other side to reset the connection; nothing is read."""
    poll = select.poll()
    poll.register(sock, 0)
    return bool(await asyncio.to_thread(poll.poll, within_s * 1000))


async def test_answers_nobody_takes_to_the_end_leave_nothing_in_memory(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path
):
    images = open_image_store(Settings(data_dir=tmp_path))
    preset = {"DARKROOM_BOOTSTRAP_KEY": SECRET}
    async with (
        front_process(shared_valkey.url, tmp_path, **preset) as door,
        FakeWorker(redis, images) as worker,
        aiohttp.ClientSession() as http,
    ):
        make_large(worker, images)
        port = (await door.event("door.opened"))["port"]
        url = f"http://127.0.0.1:{port}{ROUTE}"
        name = {"Idempotency-Key": "once"}
        async with http.post(url, json=ASK, headers=KEY | name) as response:
            await response.read()
            link = asking("GET", f"/v1/jobs/{response.headers['x-job-id']}/images/0")
        before = await door.memory_bytes()

        for _ in range(20):
            for request in (INLINE, link):
                (await begun(port, request)).close()

        async def grown() -> int:
            async with http.get(f"http://127.0.0.1:{port}/healthz"):
                return await door.memory_bytes() - before

        async with asyncio.timeout(20):
            while (left := await grown()) > 6 * LARGE:
                pass

    assert left <= 6 * LARGE  # forty answers were begun


@pytest.fixture
async def hasty(shared_valkey: Valkey, redis: Redis, tmp_path: Path):
    """A front door that cuts off who takes nothing for a moment."""
    async with (
        front_door(shared_valkey.url, tmp_path, limits=Limits(write_s=0.3)) as door,
        FakeWorker(redis, door.images) as worker,
    ):
        make_large(worker, door.images)
        yield door


@pytest.mark.parametrize("request_", [INLINE, PIPELINED], ids=["large", "many"])
async def test_caller_who_takes_nothing_of_an_answer_is_cut_off(
    hasty: FrontDoor, request_: bytes
):
    with await begun(hasty.port, request_) as sock:
        cut = await is_cut_off(sock, within_s=5)

    assert cut


async def test_caller_who_takes_nothing_makes_the_kernel_hold_little(
    hasty: FrontDoor,
):
    with await begun(hasty.port, PIPELINED) as sock:
        await is_cut_off(sock, within_s=5)
        async with (
            aiohttp.ClientSession(hasty.url) as http,
            http.get("/metrics", headers=KEY) as answer,
        ):
            page = await answer.text()

    [count] = re.findall(r'_count{.*route="/openapi.json".*} ([0-9.]+)', page)
    assert float(count) <= 3  # of sixty, with 0.4 MB each


async def test_caller_who_takes_little_at_a_time_gets_all(hasty: FrontDoor):
    with await begun(hasty.port, INLINE) as sock:
        got, loop = 0, asyncio.get_running_loop()
        async with asyncio.timeout(20):
            while got < LARGE:
                got += len(await loop.sock_recv(sock, 65536))

    assert got >= LARGE
