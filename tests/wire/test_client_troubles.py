"""What the clients make of broken connections, refusals, and others than Darkroom."""

import json
from pathlib import Path
from typing import Any

import pytest

from service.client import (
    Busy,
    DarkroomError,
    NotDarkroom,
    QuotaExceeded,
    Unavailable,
    Unreachable,
)
from tests.fakes.clients import KINDS, asker
from tests.fakes.scripted_door import (
    LOST,
    ScriptedDoor,
    answer,
    events,
    refusal,
    stream,
)

JOB = {"id": "job_1", "status": "queued", "color": "a newer server's"}
DONE = JOB | {"status": "succeeded"}
BATCH = {"id": "batch_1", "status": "in_progress"}


@pytest.fixture(params=KINDS, ids=["blocking", "awaiting"])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


async def test_what_may_pass_later_is_sent_again_under_the_same_name(kind: Any):
    troubles = [LOST, refusal(503, "queue_unavailable", retry_after_ms="1")]
    said: list[str] = []

    async with (
        ScriptedDoor(*troubles, answer(JOB, 202)) as door,
        asker(kind, door.url, "sk_k", say=said.append) as client,
    ):
        job = await client.ask("submit", "a fox", model="test/test")

    assert (job.id, job.raw["color"]) == ("job_1", "a newer server's")
    assert len({call.headers["idempotency-key"] for call in door.calls}) == 1
    assert len({call.body for call in door.calls}) == 1
    assert len(door.calls) == 3
    assert len(said) == 1


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (refusal(503, "unavailable", x_should_retry="false"), Unavailable),
        (refusal(429, "quota_exceeded", Retry_After="86400"), QuotaExceeded),
        (refusal(429, "rate_limited", Retry_After="30"), Busy),
        (answer(["not", "an", "object"]), NotDarkroom),
        (answer({"status": "queued"}), NotDarkroom),
        (answer({"id": "job_1", "status": "queued", "result": "?"}), NotDarkroom),
    ],
)
async def test_what_will_not_pass_soon_is_told_at_once(
    kind: Any, given: bytes, expected: type[DarkroomError]
):
    async with (
        ScriptedDoor(given) as door,
        asker(kind, door.url, "sk_k", patience_s=10) as client,
    ):
        with pytest.raises(expected):
            await client.ask("job", "job_1")


async def test_what_would_do_it_twice_is_not_sent_twice(kind: Any):
    async with ScriptedDoor(LOST) as door, asker(kind, door.url, "sk_k") as client:
        with pytest.raises(Unreachable):
            await client.ask("rotate_endpoint", "ep_1")

    assert len(door.calls) == 1


async def test_events_go_on_behind_the_last_one_that_came_whole(kind: Any):
    queued, started, done = events(
        ("1-0", "job.queued", {"job_id": "job_1", "job": JOB}),
        ("2-0", "job.started", {"job_id": "job_1", "status": "running"}),
        ("3-0", "job.succeeded", {"job_id": "job_1", "job": DONE}),
    )
    connections = [
        stream("retry: 1\n\n", queued, started[:-3], broken=True),
        stream(": still here\n\n"),
        refusal(503, "draining", retry_after_ms="1"),
        stream(started + done),
    ]

    async with (
        ScriptedDoor(*connections) as door,
        asker(kind, door.url, "sk_k") as client,
    ):
        told = await client.take("events", "job_1")

    types = ["job.queued", "job.started", "job.succeeded"]
    assert [event.type for event in told] == types
    assert [event.id for event in told] == ["1-0", "2-0", "3-0"]
    assert told[-1].job.is_final
    known = [call.headers.get("last-event-id") for call in door.calls]
    assert known == [None, "1-0", "1-0", "1-0"]


async def test_a_stream_of_all_events_comes_again_from_where_it_began(kind: Any):
    [end] = events(("9-0", "job.succeeded", {"job_id": "job_1"}))

    async with (
        ScriptedDoor(stream("retry: 1\nid: 7-0\n\n", broken=True), stream(end)) as door,
        asker(kind, door.url, "sk_k") as client,
    ):
        told = await client.take("events", types=["job.succeeded"], most=1)

    assert [event.job_id for event in told] == ["job_1"]
    assert [call.path for call in door.calls] == ["/v1/events?types=job.succeeded"] * 2
    assert door.calls[1].headers["last-event-id"] == "7-0"


async def test_results_go_on_behind_the_last_line_that_came_whole(kind: Any):
    lines = [json.dumps({"line": n, "job": DONE}) + "\n" for n in (2, 3, 1)]
    connections = [
        stream(lines[0], "\n", lines[1][:-5], broken=True),
        stream(lines[1]),
        answer(BATCH),
        stream(lines[2]),
        answer(BATCH | {"status": "completed"}),
        stream(),
    ]

    async with (
        ScriptedDoor(*connections) as door,
        asker(kind, door.url, "sk_k") as client,
    ):
        told = await client.take("results", "batch_1")

    assert [result.line for result in told] == [2, 3, 1]
    assert told[0].job.status == "succeeded"
    asked = [call.path.partition("?")[2] for call in door.calls]
    assert asked == [
        "after=0&follow=true",
        "after=1&follow=true",
        "",
        "after=2&follow=true",
        "",
        "after=3&follow=true",
    ]


async def test_lines_that_can_be_had_once_are_sent_once(kind: Any):
    async with ScriptedDoor(LOST) as door, asker(kind, door.url, "sk_k") as client:
        with pytest.raises(Unreachable):
            await client.ask("submit_batch", iter(["a fox", "a hare"]))

    assert len(door.calls) == 1


async def test_a_batch_is_sent_again_under_the_same_name(kind: Any, tmp_path: Path):
    path = tmp_path / "lines.jsonl"
    path.write_text('{"prompt": "a fox"}\n')

    async with (
        ScriptedDoor(LOST, answer(BATCH)) as door,
        asker(kind, door.url, "sk_k") as client,
    ):
        batch = await client.ask("submit_batch", path, idempotency_key="mine")

    assert batch.id == "batch_1"
    assert [call.headers["idempotency-key"] for call in door.calls] == ["mine"] * 2
    assert [call.body for call in door.calls] == [path.read_bytes()] * 2


async def test_an_endpoint_whose_answer_was_lost_is_not_made_twice(kind: Any):
    made = {"id": "ep_1", "url": "https://a.example/", "secret": "whsec_x"}

    async with (
        ScriptedDoor(LOST, answer(made, 201)) as door,
        asker(kind, door.url, "sk_k") as client,
    ):
        endpoint = await client.ask("add_endpoint", "https://a.example/")

    assert endpoint.secret == "whsec_x"
    assert len(door.calls) == 2
    assert len({call.headers["idempotency-key"] for call in door.calls}) == 1


async def test_many_lines_are_on_their_way_a_few_at_a_time(kind: Any):
    prompts = [f"prompt {n}" for n in range(20_000)]

    async with (
        ScriptedDoor(answer(BATCH)) as door,
        asker(kind, door.url, "sk_k") as client,
    ):
        await client.ask("submit_batch", prompts, metadata={"k": "v"}, model="m")

    [call] = door.calls
    assert call.headers["transfer-encoding"] == "chunked"
    assert call.path == "/v1/batches?model=m&metadata.k=v"
    sent = [json.loads(line)["prompt"] for line in call.body.splitlines()]
    assert sent == prompts


async def test_an_unusable_url_or_key_is_told_before_any_call(kind: Any):
    for url, key in (("ftp://x", "k"), ("http://", "k"), ("http://x", "a key")):
        with pytest.raises(DarkroomError):
            kind(url, key)
