"""The pages of operators and of batches, webhooks and keys, without a script."""

import asyncio
import re

import aiohttp
import pytest
from redis.asyncio import Redis

from service.accounts import Scope
from service.job_store import keys
from service.job_store.leases import Leases
from tests.fakes.door import FrontDoor
from tests.fakes.studio import studio
from tests.fakes.visitor import Visitor, visitor
from tests.fakes.worker import FakeWorker

EVERYTHING = frozenset(Scope)
ADMIN_PAGES = ("/ui/queue", "/ui/system", "/ui/system/findings", "/ui/keys/new")
HOSTILE = "<script>alert(1)</script>\"'{{ 7 * 7 }}<img src=x onerror=alert(1)>"


def sheet(prompts: str = "", *, file: bytes = b"", name: str = "", **fields: str):
    """The form of a new batch, as browsers send it."""
    form = aiohttp.FormData(default_to_multipart=True)
    for field, value in {"model": "test/test", "n": "1", **fields}.items():
        form.add_field(field, value)
    form.add_field("prompts", prompts)
    form.add_field("file", file, filename=name, content_type="application/octet-stream")
    return form


async def started(somebody: Visitor, form: aiohttp.FormData) -> str:
    """Look at a sheet and start it; return the page of its batch."""
    seen = await somebody.post("/ui/batches/new", form)
    [file_id] = re.findall(r'name="file" value="(file[-_]\w+)"', seen.html)
    told = await somebody.post("/ui/batches", {"file": file_id, "window": "24h"})
    assert told.status == 303, told.text
    return str(told.headers["Location"])


async def ended(door: FrontDoor, place: str) -> None:
    """Wait until the batch of a page has ended."""
    batch_id = place.rpartition("/")[2]
    async with asyncio.timeout(30):
        while True:
            batch = (await door.get(f"/v1/batches/{batch_id}")).body
            if batch["status"] in {"completed", "failed", "cancelled"}:
                return
            await door.get(f"/v1/batches/{batch_id}/results?follow=true")


async def test_a_sheet_is_looked_at_before_anything_begins(door: FrontDoor):
    text = "a fox\n\nan owl\n" + "x" * 32_001 + "\n"
    async with visitor(door) as somebody:
        empty = await somebody.get("/ui/batches")
        pasted = await somebody.post("/ui/batches/new", sheet(text, n="2"))
        wrong = await somebody.post(
            "/ui/batches/new",
            sheet(file=b"prompt\tsize\na fox\t64x64\n", name="a.tsv"),
        )
        nothing = await somebody.post("/ui/batches/new", sheet("\n \n"))

    assert "No batches yet" in empty.text
    assert "Start 2 prompts" in pasted.text
    assert "1 line left out" in pasted.text
    assert (wrong.status, "column size" in wrong.text.lower()) == (400, True)
    assert nothing.status == 400
    assert (await door.get("/v1/batches")).body["data"] == []


async def test_a_batch_is_started_read_and_its_failures_repeated(door: FrontDoor):
    lines = (
        b'{"prompt": "a fox"}\n{"prompt": "an owl", "model": "test/refuse"}\n'
        b'{"prompt": "a hen", "model": "test/refuse"}\n'
    )
    async with visitor(door) as somebody, studio(door.settings):
        place = await started(somebody, sheet(file=lines, name="birds.jsonl"))
        await ended(door, place)
        page = await somebody.get(place)
        listed = await somebody.get("/ui/batches")
        output = await somebody.get(f"{place}/output.jsonl")
        error = await somebody.get(f"{place}/error.jsonl")
        none = await somebody.post(f"{place}/retry", {"code": "provider_auth"})
        again = await somebody.post(f"{place}/retry", {"code": "content_policy"})
        await ended(door, again.headers["Location"])
        retried = await somebody.get(again.headers["Location"])

    assert "birds.jsonl" in listed.text
    assert "content_policy" in page.text
    assert "Retry these" in page.text
    assert output.html.count("\n") == 1
    assert error.html.count("\n") == 2
    assert none.status == 409
    assert "0 of 2" in retried.text
    assert "only content_policy" in retried.text


async def test_a_batch_is_canceled_by_its_button(door: FrontDoor):
    async with visitor(door) as somebody:
        place = await started(somebody, sheet("a fox\nan owl"))
        told = await somebody.post(f"{place}/cancel")
        await ended(door, place)
        page = await somebody.get(place)

    assert told.headers["Location"] == place
    assert "canceled" in page.text


async def test_an_endpoint_is_made_tried_rotated_and_removed(door: FrontDoor):
    url = "https://hooks.example.com/x"
    async with visitor(door) as somebody:
        empty = await somebody.get("/ui/webhooks")
        bad = await somebody.post("/ui/webhooks", {"url": "http://10.0.0.1/"})
        made = await somebody.post(
            "/ui/webhooks", [("url", url), ("events", "job.failed")]
        )
        [endpoint] = (await door.get("/v1/endpoints")).body["data"]
        place = f"/ui/webhooks/endpoints/{endpoint['id']}"
        tried = await somebody.post(f"{place}/test")
        delivery = await somebody.get(tried.headers["Location"])
        sent = await somebody.post(f"{tried.headers['Location']}/redeliver")
        rotated = await somebody.post(f"{place}/rotate")
        await somebody.post(f"{place}/switch", {"status": "disabled"})
        page = await somebody.get(place)
        listed = await somebody.get("/ui/webhooks")
        await somebody.post(f"{place}/delete")

    assert "darkroom listen" in empty.text
    assert bad.status == 400
    assert "whsec_" in made.text
    assert "endpoint.test" in delivery.text
    assert sent.status == 303
    assert "whsec_" in rotated.text
    assert "whsec_" not in page.html + listed.html
    assert "disabled" in page.text
    assert (await door.get("/v1/endpoints")).body["data"] == []


async def test_operators_make_and_revoke_keys(door: FrontDoor):
    fields = [
        ("account", "calendar"),
        ("scopes", "generate"),
        ("scopes", "embed"),
        ("requests_per_minute", "60"),
        ("models", "test/test"),
    ]
    async with visitor(door, scopes=EVERYTHING) as operator:
        bad = await operator.post("/ui/keys", [("account", "-"), ("scopes", "admin")])
        made = await operator.post("/ui/keys", fields)
        [secret] = set(re.findall(r"sk_[\w-]{43}", made.text))
        works = await door.get("/v1/jobs", secret=secret)
        [key] = [
            one
            for one in (await door.get("/v1/keys")).body["data"]
            if one["account"] == "calendar"
        ]
        await operator.post(f"/ui/keys/{key['id']}/revoke")
        listed = await operator.get("/ui/keys")
        refused = await door.get("/v1/jobs", secret=secret)

    assert bad.status == 400
    assert works.status == 200
    assert (key["scopes"], key["requests_per_minute"]) == (["embed", "generate"], 60)
    assert "revoked" in listed.text
    assert secret not in listed.html
    assert refused.code == "key_revoked"


async def test_revoking_a_key_ends_the_session_it_opened(door: FrontDoor):
    async with visitor(door, "leaver", scopes=EVERYTHING) as operator:
        [key] = [
            one
            for one in (await door.get("/v1/keys")).body["data"]
            if one["account"] == "leaver"
        ]
        await operator.post(f"/ui/keys/{key['id']}/revoke")
        after = await operator.get("/ui/keys")

    assert after.status == 303
    assert "key_revoked" in after.headers["Location"]


async def test_keys_of_others_are_for_operators(door: FrontDoor):
    await door.knows("somebody-else")
    async with visitor(door, "alone") as somebody:
        page = await somebody.get("/ui/keys")
        hidden = [await somebody.get(path) for path in ADMIN_PAGES]
        test = await somebody.post("/ui/providers/test/test")

    assert "somebody-else" not in page.html
    assert "Revoke" not in page.text
    assert {seen.status for seen in [*hidden, test]} == {404}


async def test_operators_see_queue_providers_and_system(door: FrontDoor):
    async with visitor(door, scopes=EVERYTHING) as operator:
        idle = await operator.get("/ui/queue")
        await door.submit("a slow fox", model="test/slow-30")
        async with studio(door.settings):
            for prompt in ("a fox", "an owl"):
                job = await door.submit(prompt)
                await door.get(f"/v1/jobs/{job['id']}?wait=10")
            queue = await operator.get("/ui/queue")
            providers = await operator.get("/ui/providers")
        system = await operator.get("/ui/system")
        findings = await operator.part("/ui/system/findings")

    assert "No worker is alive" in idle.text
    assert "test/slow-30" in queue.text
    assert "1 worker" in queue.text
    assert "of 100 slots" in queue.text
    assert "healthy" in providers.text
    assert "<polyline" in providers.html
    assert "DARKROOM_REDIS_URL" in system.text
    assert "catalog" in findings.text


async def test_a_worker_that_drains_is_not_taken_for_one_that_fell_silent(
    door: FrontDoor, redis: Redis
):
    await door.submit("a fox")
    leases = Leases(redis, worker="host:1:a", slots=10)
    await leases.claim(1, held={})
    async with visitor(door, scopes=EVERYTHING) as operator:
        await leases.announce()
        at_work = await operator.get("/ui/queue")
        await leases.announce(draining=True)
        draining = await operator.get("/ui/queue")
        await redis.zadd(keys.WORKERS, {"host:1:a": 1})
        silent = await operator.get("/ui/queue")
    await leases.aclose()

    states = ("alive", "draining", "silent")
    for seen, state in zip((at_work, draining, silent), states, strict=True):
        assert re.findall("|".join(states), seen.text) == [state]


@pytest.mark.parametrize("prompt", [HOSTILE])
async def test_hostile_prompts_are_text_in_batches(
    door: FrontDoor, worker: FakeWorker, prompt: str
):
    _ = worker
    async with visitor(door) as somebody:
        look = await somebody.post(
            "/ui/batches/new", sheet(prompt + "\n" + "y" * 33_000)
        )
        place = await started(somebody, sheet(prompt))
        await ended(door, place)
        page = await somebody.get(place)

    for seen in (look, page):
        assert "<script>alert" not in seen.html
        assert "<img src=x" not in seen.html
    assert "alert(1)" in look.text
