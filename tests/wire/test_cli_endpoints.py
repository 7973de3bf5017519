"""`darkroom endpoints`, as it is typed."""

from pathlib import Path

from redis.asyncio import Redis

from tests.fakes.door import SECRET, front_door
from tests.fakes.postman import LOOPBACK, postman
from tests.fakes.receiver import Receiver
from tests.fakes.terminal import Terminal
from tests.fakes.valkey import Valkey


async def test_an_endpoint_is_added_tried_out_rotated_and_removed(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path
):
    async with (
        front_door(shared_valkey.url, tmp_path, outbound=LOOPBACK) as door,
        postman(door.settings),
        Receiver() as receiver,
    ):
        terminal = Terminal(door.url, SECRET)

        async def endpoints(*words: str):
            return await terminal.types("endpoints", *words)

        added = await endpoints(
            "add", receiver.url, "--events", "job.failed,job.expired"
        )
        receiver.secrets.append(added.out.strip())
        [shown] = (await endpoints("list", "--json")).json
        endpoint = shown["id"]
        tested = await endpoints("test", endpoint, "--json")
        await receiver.until(1)
        rotated = await endpoints("rotate", endpoint, "--overlap", "60")
        receiver.secrets = [rotated.out.strip()]
        again = await endpoints("redeliver", tested.json["id"])
        await receiver.until(2)
        listed = await endpoints("list")
        sent = await endpoints("deliveries", "--endpoint", endpoint)
        one = await endpoints("deliveries", tested.json["id"])
        enabled = await endpoints("enable", endpoint)
        removed = await endpoints("remove", endpoint)
        gone = await endpoints("rotate", endpoint)

    assert receiver.forged == []
    assert [heard.event["type"] for heard in receiver.heard] == ["endpoint.test"] * 2
    assert added.said.splitlines()[0] == f"{endpoint} hears of job.failed job.expired"
    assert "the old one signs as well until" in rotated.said
    assert f"{receiver.url}" in listed.out
    assert "endpoint.test" in sent.out
    assert tested.json["id"] in sent.out
    assert again.out.endswith(" is pending\n")
    assert "attempt 1:" in one.out
    assert " 200 after " in one.out
    assert enabled.out == f"{endpoint} is enabled\n"
    assert removed.out == f"{endpoint} is removed\n"
    assert (gone.code, gone.failure) == (1, "not_found: no such endpoint")
