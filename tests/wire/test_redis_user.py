"""The user that the documentation makes suffices for everything, and for no more."""

import re
from base64 import b64encode
from json import dumps
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from tests.fakes.door import FrontDoor, front_door
from tests.fakes.images import encoded, noise
from tests.fakes.postman import LOOPBACK, postman, quick
from tests.fakes.receiver import Receiver
from tests.fakes.studio import studio
from tests.fakes.valkey import Valkey

DOCS = Path(__file__).parents[2] / "docs" / "configuration.md"
NDJSON = "application/x-ndjson"
FOX = {"model": "test/test", "prompt": "a fox", "size": "64x64"}


async def documented_user(valkey: Valkey) -> str:
    """Make the user as the docs say; return the URL that it comes by."""
    [command] = re.findall(r"^    ACL SETUSER (.*)$", DOCS.read_text(), re.MULTILINE)
    words = command.replace("PASSWORD", "hunter2").split()
    async with Redis.from_url(valkey.url) as admin:
        await admin.execute_command("ACL", "SETUSER", *words)
    return f"unix://{words[0]}:hunter2@{valkey.socket}"


async def denied(valkey: Valkey) -> list[str]:
    """Return what anybody was refused."""
    async with Redis.from_url(valkey.url) as admin:
        return [entry["object"] for entry in await admin.acl_log()]


async def test_the_whole_service_runs_as_the_documented_user(
    valkey: Valkey, tmp_path: Path
):
    url = await documented_user(valkey)
    async with (
        front_door(
            url,
            tmp_path,
            outbound=LOOPBACK,
            webhooks=quick(),
            durability="strict",
        ) as door,
        studio(door.settings),
        postman(door.settings),
        Receiver((await door.get("/v1/webhooks/default/secret")).body["key"]) as ear,
    ):
        statuses = await everything(door, ear)

    assert {status // 100 for status in statuses.values()} == {2}, statuses
    assert await denied(valkey) == []


async def everything(door: FrontDoor, ear: Receiver) -> dict[str, int]:
    """Do a little of all that a client may; return how each was answered."""
    _, limited = await door.knows("default", requests_per_minute=100, quota_units=10**9)
    told = {**FOX, "webhook": {"url": ear.url}}
    lines = b"\n".join(dumps(FOX).encode() for _ in range(3))
    answers = {
        "endpoint": await door.post("/v1/endpoints", {"url": f"{ear.url}/all"}),
        "job": await door.post("/v1/jobs", told, Idempotency_Key="fox"),
        "limited": await door.post("/v1/jobs", FOX, secret=limited),
        "edit": await door.post("/v1/images/edits", {**FOX, "image": picture()}),
        "batch": await door.post("/v1/batches", data=lines, Content_Type=NDJSON),
        "usage": await door.get("/v1/usage"),
        "models": await door.get("/v1/models"),
        "figures": await door.get("/metrics"),
        "ready": await door.get("/readyz"),
        "list": await door.get("/v1/jobs"),
        "deliveries": await door.get("/v1/deliveries"),
    }
    job, batch = (answers[name].body["id"] for name in ("job", "batch"))
    results = f"/v1/batches/{batch}/results?follow=true"
    answers["end"] = await door.get(f"/v1/jobs/{job}?wait=10")
    answers["results"] = await door.get(results)
    await ear.until(1)
    answers["gone"] = await door.call("DELETE", f"/v1/jobs/{job}")
    return {name: answer.status for name, answer in answers.items()}


def picture() -> str:
    """Return an image as a data URL."""
    data = b64encode(encoded(noise(64, 64), "PNG")).decode()
    return f"data:image/png;base64,{data}"


async def test_other_keys_and_dangerous_commands_are_out_of_its_reach(valkey: Valkey):
    url = await documented_user(valkey)
    commands = (
        "GET other",
        "KEYS *",
        "FLUSHALL",
        "CONFIG GET *",
        "SHUTDOWN",
        "ACL LIST",
    )

    async with Redis.from_url(url) as redis:
        refused = []
        for command in commands:
            with pytest.raises(NoPermissionError):
                await redis.execute_command(*command.split())
            refused.append(command)
        with pytest.raises(NoPermissionError):
            await redis.publish("other", "x")

    assert len(refused) == len(commands)
