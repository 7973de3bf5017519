"""Texts that callers choose: they come back as they were sent, and do nothing else."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from service.api.openapi.documents import document_of
from service.job_store import keys
from tests.fakes.door import Answer, FrontDoor, front_door
from tests.fakes.hostile import KEPT, MARKUP, REFUSED
from tests.fakes.listener import listening
from tests.fakes.postman import LOOPBACK, postman, quick
from tests.fakes.receiver import Receiver
from tests.fakes.valkey import Valkey
from tests.fakes.worker import FakeWorker
from tests.wire.isolation import ROUTES

TEXTS = (*KEPT, *MARKUP)
FOX = {"model": "test/test", "prompt": "a fox"}
DOCUMENT = document_of("http://127.0.0.1")
FORGED = "x%0d%0aX-Forged:%201%0d%0a%0d%0a<script>"


@pytest.fixture
async def door(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path
) -> AsyncIterator[FrontDoor]:
    """A front door that takes receivers on this machine."""
    async with front_door(
        shared_valkey.url, tmp_path, outbound=LOOPBACK, webhooks=quick()
    ) as front:
        yield front


def said(job: Any) -> tuple[str, str]:
    """What the caller wrote, as a job object has it."""
    return job["request"]["prompt"], job["metadata"]["note"]


async def test_odd_texts_come_back_to_the_byte_wherever_they_are_shown(
    door: FrontDoor, redis: Redis
):
    secret = (await door.get("/v1/webhooks/default/secret")).body["key"]
    async with (
        Receiver(secret) as receiver,
        FakeWorker(redis, door.images),
        postman(door.settings),
    ):
        told = {"url": receiver.url, "events": ["job.succeeded"]}
        jobs = await asyncio.gather(
            *(
                door.submit(text, metadata={"note": text}, webhook=told)
                for text in TEXTS
            )
        )
        heard = await receiver.until(len(TEXTS), within_s=30)

    sent = {job["id"]: (text, text) for job, text in zip(jobs, TEXTS, strict=True)}
    assert {job["id"]: said(job) for job in jobs} == sent
    assert {h.event["data"]["id"]: said(h.event["data"]) for h in heard} == sent
    for job_id, texts in sent.items():
        record = await redis.hgetall(keys.job(job_id))
        async with listening(door.url, f"/v1/jobs/{job_id}/events") as stream:
            frames = await stream.rest()

        assert orjson.loads(record[b"request"])["prompt"] == texts[0]
        assert [frame.name for frame in frames] == ["job.succeeded"]
        assert said(frames[0].data["job"]) == texts


async def test_characters_that_control_machines_are_refused(
    door: FrontDoor, redis: Redis
):
    for text in REFUSED:
        bodies: list[dict[str, Any]] = [
            {"prompt": text},
            {"negative_prompt": text},
            {"user": text},
            {"metadata": {"note": text}},
            {"metadata": {text: "note"}},
        ]
        for body in bodies:
            answer = await door.post("/v1/jobs", FOX | body)

            assert (answer.status, answer.code) == (400, "invalid_text"), body

    assert not [key async for key in redis.scan_iter("darkroom:job:*")]


def hostile_urls(name: str) -> list[tuple[str, str]]:
    """The route's URL, with a header of somebody's own in each place that it has."""
    method, _, path = name.partition(" ")
    told = DOCUMENT["paths"].get(path, {}).get(method.lower(), {})
    places = [
        part["name"] for part in told.get("parameters", ()) if part["in"] == "query"
    ]
    filled = re.sub(r"\{\w+\}", FORGED, path)
    plain = re.sub(r"\{\w+\}", "x", path)
    queries = [f"{plain}?{place}={FORGED}" for place in (*places, FORGED)]
    urls = queries if filled == path else [filled, *queries]
    return [(method, url) for url in urls]


def harmless(answer: Answer) -> bool:
    names = {name.lower() for name in answer.headers}
    values = "".join(answer.headers.values())
    return "x-forged" not in names and "\n" not in values and "<script>" not in values


async def test_no_answer_has_a_header_of_its_callers_making(door: FrontDoor):
    odd = []
    for name in ROUTES:
        for method, url in hostile_urls(name):
            answer = await door.call(method, url, encoded=True)
            sniffed = answer.headers["X-Content-Type-Options"] != "nosniff"
            if answer.status >= 500 or not harmless(answer) or sniffed:
                odd.append((method, url, answer.status, dict(answer.headers)))
    for header in ("X-Request-ID", "Idempotency-Key", "Prefer", "Last-Event-ID"):
        headers = {header: "x\u00e9\t<script>"}
        answer = await door.post("/v1/jobs", FOX, **headers)
        if answer.status >= 500 or not harmless(answer):
            odd.append((header, answer.status, dict(answer.headers)))

    assert odd == []


async def test_what_is_wrong_is_told_in_a_form_that_no_browser_runs(door: FrontDoor):
    for text in MARKUP:
        answers = [
            await door.post("/v1/jobs", FOX | {text: 1}),
            await door.post("/v1/jobs", FOX | {"model": text}),
            await door.get(f"/v1/jobs?status={text}"),
            await door.get(f"/v1/jobs/{text}"),
            await door.get(f"/docs/{text}"),
        ]
        for answer in answers:
            assert 400 <= answer.status < 500, text
            assert answer.headers["Content-Type"] == "application/json"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cache-Control"] == "no-store"


async def test_what_is_ours_to_write_is_no_field_of_any_body(
    door: FrontDoor, redis: Redis
):
    ours = ("tenant_id", "account", "cost", "state", "status", "provider_key", "id")
    ours += ("fence", "key_id", "usage", "units", "__proto__", "created_at", "attempts")
    endpoint = {"url": "https://hooks.example.com/x"}
    made = (await door.post("/v1/endpoints", endpoint)).body["id"]
    bodies = {
        "POST /v1/jobs": FOX,
        "PUT /v1/jobs/mine": FOX,
        "POST /v1/images/generations": FOX,
        "POST /v1/embed/sign": FOX,
        "POST /v1/endpoints": endpoint,
        f"POST /v1/endpoints/{made}/rotate": {},
    }

    for name, body in bodies.items():
        method, _, path = name.partition(" ")
        for field in ours:
            answer = await door.call(method, path, json={**body, field: "x"})
            assert (answer.status, answer.code) == (400, "unknown_field"), name

    open_ones = [
        body["$ref"].rpartition("/")[2]
        for methods in DOCUMENT["paths"].values()
        for operation in methods.values()
        for content in operation.get("requestBody", {"content": {}})["content"].values()
        if DOCUMENT["components"]["schemas"][
            (body := content["schema"])["$ref"].rpartition("/")[2]
        ].get("additionalProperties", True)
    ]
    assert set(open_ones) == {"RouterDraft", "RouterDraftForm"}
    assert not [key async for key in redis.scan_iter("darkroom:job:*")]
