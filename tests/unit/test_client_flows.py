"""Calls as flows: what they ask for, step by step, without any I/O or waiting."""

from collections.abc import AsyncIterator, Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.client import Batch, Job, NotDarkroom, StillRunning, Unreachable
from service.client.batches import results, submit_batch, wait_batch
from service.client.bodies import Form, Json, Lines
from service.client.events import events
from service.client.files import upload
from service.client.jobs import jobs, put, release, submit, wait
from service.client.steps import Done, Item, Opened, Pause, Reading, Request, advanced

QUEUED = {"id": "job_1", "status": "queued"}
DONE = {"id": "job_1", "status": "succeeded"}
BROKEN = httpx.ReadError("broken")


def ok(body: Any) -> httpx.Response:
    return httpx.Response(200, json=body, request=httpx.Request("GET", "http://d/x"))


class Played:
    """A flow that was given these answers; pauses take no time.

    Attributes:
        asked: The requests, opened streams too.
        paused: Seconds.
        items: What a feed yielded.
        value: What the flow returned.
    """

    def __init__(self, flow: Generator[Any, Any, Any], *answers: Any) -> None:
        self.asked: list[Request] = []
        self.paused: list[float] = []
        self.items: list[Any] = []
        left, reply = iter(answers), None
        while not isinstance(step := advanced(flow, reply), Done):
            reply = None
            match step:
                case Request() | Opened():
                    asked = step.request if isinstance(step, Opened) else step
                    self.asked.append(asked)
                    reply = next(left)
                case Reading():
                    reply = next(left)
                case Pause():
                    self.paused.append(step.seconds)
                case Item():
                    self.items.append(step.value)
        self.value = step.value


def test_fields_stand_in_the_body_and_the_name_in_the_header():
    played = Played(
        submit("a fox", model="m", webhook="https://x/", idempotency_key="mine"),
        ok(QUEUED),
    )

    [request] = played.asked
    assert isinstance(request.body, Json)
    assert request.body.value == {
        "prompt": "a fox",
        "model": "m",
        "webhook": {"url": "https://x/"},
    }
    assert request.headers == {"Idempotency-Key": "mine"}
    assert played.value == Job(raw=QUEUED, id="job_1", status="queued")


def test_an_id_of_your_own_may_be_any_text():
    played = Played(put("order 7/ä?", "a fox"), ok(QUEUED))

    [request] = played.asked
    assert (request.method, request.path) == ("PUT", "/v1/jobs/order%207%2F%C3%A4%3F")
    assert request.headers == {}


def test_all_fields_may_stand_in_one_object_whatever_their_names():
    wish = {"prompt": "a fox", "idempotency_key": "no field of ours", "n": 1}

    played = Played(submit(wish, n=2), ok(QUEUED))

    assert isinstance(played.asked[0].body, Json)
    assert played.asked[0].body.value == wish | {"n": 2}


def test_a_text_is_never_taken_for_a_path():
    played = Played(submit({"images": ["/etc/passwd"], "mask": None}), ok(QUEUED))

    assert isinstance(played.asked[0].body, Json)
    assert played.asked[0].body.value == {"images": ["/etc/passwd"], "mask": None}


def test_images_are_urls_or_become_some(tmp_path: Path):
    (tmp_path / "a.webp").write_bytes(b"RIFF0000WEBP")

    played = Played(
        submit(images=["https://x/y.png", b"\x89PNG\r\n", tmp_path / "a.webp"]),
        ok(QUEUED),
    )

    assert isinstance(played.asked[0].body, Json)
    assert played.asked[0].body.value["images"] == [
        "https://x/y.png",
        "data:image/png;base64,iVBORw0K",
        "data:image/webp;base64,UklGRjAwMDBXRUJQ",
    ]


def test_a_listing_is_asked_for_page_by_page_until_enough():
    page = {"data": [QUEUED] * 100, "has_more": True}
    last = {"data": [DONE] * 20, "has_more": True}

    played = Played(jobs(limit=120, metadata={"k": "v"}), ok(page), ok(last))

    assert len(played.items) == 120
    assert [request.params["limit"] for request in played.asked] == [100, 20]
    assert [request.params["after"] for request in played.asked] == [None, "job_1"]
    assert played.asked[1].params["metadata.k"] == "v"


def test_a_listing_ends_with_its_last_page():
    played = Played(jobs(), ok({"data": [QUEUED], "has_more": False}))

    assert [job.id for job in played.items] == ["job_1"]


def test_a_wait_is_held_by_the_front_door():
    played = Played(wait("job_1"), ok(QUEUED), ok(DONE))

    assert [request.params for request in played.asked] == [{"wait": 30}] * 2
    assert played.value.is_final
    assert 0 < played.paused[0] <= 0.25


def test_a_wait_without_time_looks_once():
    with pytest.raises(StillRunning, match="job_1 is queued and goes on"):
        Played(wait("job_1", timeout_s=0), ok(QUEUED))


def test_a_batch_is_looked_at_less_and_less_often():
    under_way = {"id": "batch_1", "status": "in_progress"}

    played = Played(
        wait_batch("batch_1"),
        *[ok(under_way)] * 6,
        ok({"id": "batch_1", "status": "cancelled", "request_counts": {"total": 3}}),
    )

    assert played.paused == [0.25, 0.5, 1, 2, 4, 5]
    assert played.value.is_final
    assert played.value.request_counts.total == 3
    with pytest.raises(StillRunning):
        Played(wait_batch(played.value.id, timeout_s=0), ok(under_way))


def test_what_a_batch_says_of_itself_stands_in_the_query():
    played = Played(
        submit_batch(["a fox"], webhook="https://x/", window_s=60),
        ok({"id": "batch_1", "status": "in_progress"}),
    )

    [request] = played.asked
    assert isinstance(request.body, Lines)
    assert list(request.body.chunks()) == [b'{"prompt":"a fox"}\n']
    assert request.params["webhook"] == "https://x/"
    assert request.params["window_s"] == 60


def test_a_file_is_open_while_it_is_sent(tmp_path: Path):
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b"{}\n")

    played = Played(upload(path, expires_after_s=3600), ok({"id": "file-1"}))

    form = played.asked[0].body
    assert isinstance(form, Form)
    assert form.filename == "lines.jsonl"
    assert form.fields == {
        "purpose": "batch",
        "expires_after[anchor]": "created_at",
        "expires_after[seconds]": "3600",
    }
    assert not isinstance(form.file, bytes)
    assert form.file.closed


def test_streams_that_break_at_once_are_given_up_at_some_point():
    with pytest.raises(Unreachable, match="breaks"):
        Played(events(), *[ok({}), BROKEN] * 11)


def test_a_stream_that_has_nothing_more_to_tell_is_not_opened_again():
    nothing = httpx.Response(204)

    played = Played(events("job_1", after="5-0"), nothing)

    assert played.items == []
    assert played.asked[0].headers["Last-Event-ID"] == "5-0"


def test_a_stream_that_had_to_skip_goes_on_from_a_snapshot():
    frame = 'event: snapshot\nid: 9-0\ndata: {"job": {"id": "j", "status": "%s"}}\n\n'
    running, ended = (frame % state for state in ("running", "failed"))

    played = Played(events("j"), ok({}), running.encode(), b"", ok({}), ended.encode())

    assert [event.type for event in played.items] == ["snapshot", "snapshot"]
    assert played.items[-1].job.status == "failed"


@pytest.mark.parametrize("data", ["half a {", "[]", '{"type": 1, "job": "?"}'])
def test_an_event_that_nobody_can_read_is_said_to_be_none(data: str):
    with pytest.raises(NotDarkroom):
        Played(events("j"), ok({}), f"id: 1-0\ndata: {data}\n\n".encode())


def test_a_result_that_nobody_can_read_is_said_to_be_none():
    with pytest.raises(NotDarkroom):
        Played(results("batch_1"), ok({}), b"<html>\n")


def test_lines_that_have_to_be_awaited_need_who_awaits():
    async def lines() -> AsyncIterator[str]:
        yield "a fox"

    with pytest.raises(TypeError, match="AsyncDarkroom"):
        list(Lines(lines()).chunks())


def test_a_job_that_is_held_is_let_go_on():
    played = Played(release("job_1"), ok(QUEUED | {"queue": {"held": False}}))

    assert played.asked[0].path == "/v1/jobs/job_1/release"
    assert played.value.queue.held is False


def test_what_a_newer_server_says_is_kept_and_what_is_missing_is_empty():
    job = Job.of(
        {
            "id": "job_1",
            "status": "dreaming",
            "color": "red",
            "queue": None,
            "created_at": 0,
            "result": {"data": [{"url": "https://x/", "size": "huge"}]},
            "error": {"code": "partial_result", "message": "one is missing"},
        }
    )

    assert job.raw["color"] == "red"
    assert job.images[0].raw["size"] == "huge"
    assert job.created_at == datetime(1970, 1, 1, tzinfo=UTC)
    assert (job.attempts, job.queue, job.usage) == ((), None, None)
    assert job.error is not None
    assert job.error.code == "partial_result"


@pytest.mark.parametrize(
    "raw", [{"status": "queued"}, {"id": "b", "status": "x", "created_at": "now"}, []]
)
def test_what_is_something_else_is_refused(raw: Any):
    with pytest.raises(ValueError, match="this is no batch"):
        Batch.of(raw)
