"""Images that are links: followed by us, behind the guard, and never by a worker."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from service.settings import Outbound
from tests.fakes.door import FrontDoor, front_door
from tests.fakes.forms import TYPE, Part, form
from tests.fakes.images import decoded
from tests.fakes.picture_host import PNG, PictureHost
from tests.fakes.valkey import Valkey

EDIT = {"model": "test/test", "prompt": "a hat", "operation": "edit"}
LENIENT = Outbound(allowed_networks=["127.0.0.0/8"], allow_http=True)


@pytest.fixture
async def host() -> AsyncIterator[PictureHost]:
    async with PictureHost() as running:
        yield running


@pytest.fixture
async def open_door(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path
) -> AsyncIterator[FrontDoor]:
    """A front door that may call `host`, and has little patience."""
    limits = {"reference_s": 0.5}
    async with front_door(
        shared_valkey.url, tmp_path, outbound=LENIENT, limits=limits
    ) as door:
        yield door


async def submit(door: FrontDoor, *links: str, **more: object):
    return await door.post("/v1/jobs", {**EDIT, "images": list(links), **more})


async def inputs(door: FrontDoor) -> list[str]:
    return [key for key in await door.images.list("jobs/") if "/inputs/" in key]


async def test_what_links_lead_to_is_stored_in_the_callers_order(open_door, host):
    links = [f"{host.url}/fox.png", f"{host.url}/away?to=/fox.png"]

    answer = await submit(open_door, *links)

    assert answer.status == 202, answer.raw
    stored = [await open_door.images.get(key) for key in await inputs(open_door)]
    assert [decoded(data).size for data in stored] == [(64, 48)] * 2


async def test_a_form_may_hold_links_too(open_door, host):
    body = form(Part("image", f"{host.url}/fox.png"), **EDIT)

    answer = await open_door.post("/v1/jobs", data=body, Content_Type=TYPE)

    assert answer.status == 202, answer.raw


async def test_all_links_together_lead_to_no_more_than_a_body_may_hold(
    shared_valkey, redis, tmp_path, host
):
    limits = {"upload_bytes": 2 * len(PNG)}
    async with front_door(
        shared_valkey.url, tmp_path, outbound=LENIENT, limits=limits
    ) as door:
        enough = await submit(door, *[f"{host.url}/fox.png"] * 2)
        more = await submit(door, *[f"{host.url}/fox.png"] * 3)
        kept = await inputs(door)

    assert enough.status == 202, enough.raw
    assert (more.status, more.code) == (422, "reference_too_large")
    assert len(kept) == 2


async def test_links_of_one_account_do_not_hold_up_another(
    shared_valkey, redis, tmp_path, host
):
    async with front_door(shared_valkey.url, tmp_path, outbound=LENIENT) as door:
        _, secret = await door.knows("ada")
        hanging = [
            asyncio.create_task(submit(door, *[f"{host.url}/hang"] * 16))
            for _ in range(2)
        ]
        while host.seen.count("hang") < 16:
            await asyncio.sleep(0.01)

        fox = {**EDIT, "images": [f"{host.url}/fox.png"]}
        answer = await door.post("/v1/jobs", fox, secret=secret)
        followed = host.seen.count("hang")
        host.let_go()
        await asyncio.gather(*hanging)

    assert answer.status == 202, answer.raw
    assert followed == 16


async def test_twenty_mebibytes_are_not_too_large(shared_valkey, redis, tmp_path, host):
    async with front_door(shared_valkey.url, tmp_path, outbound=LENIENT) as door:
        answer = await submit(door, f"{host.url}/20mib.png")

    assert answer.status == 202, answer.raw


async def test_a_closed_port_looks_like_any_other(open_door):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))

        answer = await submit(open_door, f"http://127.0.0.1:{bound.getsockname()[1]}/")

    assert (answer.status, answer.code) == (422, "reference_unreachable")


async def test_links_are_followed_side_by_side(open_door, host):
    begun = asyncio.get_running_loop().time()

    answer = await submit(open_door, *[f"{host.url}/hang"] * 16)

    assert answer.code == "reference_unreachable"
    assert asyncio.get_running_loop().time() - begun < 3


async def test_an_equal_call_joins_before_anything_is_fetched(open_door, host):
    link, name = f"{host.url}/fox.png", {"Idempotency_Key": "once"}
    first = await open_door.post("/v1/jobs", {**EDIT, "images": [link]}, **name)

    again = await open_door.post("/v1/jobs", {**EDIT, "images": [link]}, **name)
    other = await open_door.post("/v1/jobs", {**EDIT, "images": [link] * 2}, **name)

    assert first.body["id"] == again.body["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (other.status, other.code) == (422, "idempotency_mismatch")
    assert host.seen == ["fox.png"]
    assert len(await inputs(open_door)) == 1
