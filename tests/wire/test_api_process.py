"""`python -m service` as an operator starts and stops it."""

import asyncio
import contextlib
import os
import signal
import socket
from pathlib import Path

import aiohttp
import pytest

from tests.fakes.front_process import FrontProcess, front_process
from tests.fakes.valkey import Valkey


@pytest.fixture
async def start(shared_valkey: Valkey, tmp_path: Path):
    async with contextlib.AsyncExitStack() as stack:

        async def begin(*, fds: tuple[int, ...] = (), **environment) -> FrontProcess:
            process = front_process(shared_valkey.url, tmp_path, fds=fds, **environment)
            return await stack.enter_async_context(process)

        yield begin


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_ends_an_idle_door_at_once(start, number: signal.Signals):
    door = await start()
    opened = await door.event("door.opened")
    async with aiohttp.ClientSession() as http:
        answer = await http.get(f"http://127.0.0.1:{opened['port']}/readyz")

    door.signal(number)
    code, rest = await door.ended(within_s=3)

    assert answer.status == 200
    assert code == 0
    assert "door.closed" in rest


async def test_end_of_the_parents_pipe_ends_the_door(start):
    read_end, write_end = os.pipe()
    door = await start(fds=(read_end,), DARKROOM_PARENT_FD=str(read_end))
    os.close(read_end)
    await door.event("door.opened")

    os.close(write_end)
    code, rest = await door.ended(within_s=3)

    assert code == 0
    assert "door.closed" in rest


async def test_preset_key_opens_the_door(start):
    door = await start(DARKROOM_BOOTSTRAP_KEY="sk_preset_for_tests")
    port = (await door.event("door.opened"))["port"]

    async with aiohttp.ClientSession() as http:
        headers = {"X-API-Key": "sk_preset_for_tests"}
        answer = await http.get(f"http://127.0.0.1:{port}/v1/jobs", headers=headers)

    assert answer.status == 200


async def test_door_waits_for_a_redis_that_is_not_there_yet(
    start, valkey: Valkey, tmp_path: Path
):
    valkey.kill()
    door = await start(
        DARKROOM_REDIS_URL=valkey.url, DARKROOM_BOOTSTRAP_KEY="sk_preset_for_tests"
    )
    port = (await door.event("door.opened"))["port"]
    async with aiohttp.ClientSession() as http:
        ready = await http.get(f"http://127.0.0.1:{port}/readyz")
        early = await http.get(
            f"http://127.0.0.1:{port}/v1/jobs",
            headers={"X-API-Key": "sk_preset_for_tests"},
        )
        await asyncio.to_thread(valkey.start)
        await door.event("key.adopted")
        later = await http.get(
            f"http://127.0.0.1:{port}/v1/jobs",
            headers={"X-API-Key": "sk_preset_for_tests"},
        )

    assert [a.status for a in (ready, early, later)] == [503, 503, 200]


async def test_port_that_is_taken_is_one_sentence(start):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        code, said = await (await start(DARKROOM_PORT=str(port))).ended()

    assert code == 2
    assert said == (
        f"darkroom: 127.0.0.1:{port} is taken by another process: "
        "set DARKROOM_PORT to a free one\n"
    )


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"DARKROOM_PROT": "1"}, "unknown setting DARKROOM_PROT"),
        ({"DARKROOM_HOST": "0.0.0.0"}, "DARKROOM_PUBLIC_URL"),
        ({"DARKROOM_CATALOG_FILE": "/no/such/file"}, "DARKROOM_CATALOG_FILE"),
        ({"DARKROOM_BOOTSTRAP_KEY": "a b"}, "DARKROOM_BOOTSTRAP_KEY"),
        ({"DARKROOM_STORAGE__ACCESS_KEY_ID": "x", "DARKROOM_STORAGE__KIND": "s3"}, ""),
        (
            {"DARKROOM_HOST": "192.0.2.1", "DARKROOM_PUBLIC_URL": "http://x"},
            "cannot listen on 192.0.2.1:0",
        ),
    ],
)
async def test_wrong_setting_is_one_sentence(start, environment: dict, said: str):
    code, stderr = await (await start(**environment)).ended()

    lines = [line for line in stderr.splitlines() if not line.startswith("{")]
    assert code == 2
    assert len(lines) == 1
    assert lines[0].startswith("darkroom: ")
    assert said in lines[0]
