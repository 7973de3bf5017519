"""Chat completions that make images, with OpenAI's own SDK and without."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from redis.asyncio import Redis

from tests.fakes.door import SECRET, FrontDoor, front_door
from tests.fakes.images import encoded, noise
from tests.fakes.worker import FakeWorker, failing, never

ROUTE = "/v1/chat/completions"
BOTH = ["image", "text"]
PNG = encoded(noise(32, 32), "PNG")
DATA_URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"


def ask(content: Any = "a fox", *before: dict[str, Any], **fields: Any) -> Any:
    messages = [*before, {"role": "user", "content": content}]
    return {
        "model": "test/test",
        "messages": messages,
        "modalities": BOTH,
        **fields,
    }


def picture(url: str, **more: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, **more}}


def text(said: str) -> dict[str, str]:
    return {"type": "text", "text": said}


def bytes_of(image: dict[str, Any]) -> bytes:
    url = image["image_url"]["url"]
    assert url.startswith("data:image/png;base64,")
    return base64.b64decode(url.partition(",")[2], validate=True)


@pytest.fixture
async def client(door: FrontDoor) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{door.url}/v1", api_key=SECRET) as client:
        yield client


async def test_image_stands_in_the_message(door: FrontDoor, worker: FakeWorker):
    answer = await door.post(ROUTE, ask())

    job = (await door.get(answer.headers["Location"])).body
    [choice] = answer.body["choices"]
    [image] = choice["message"]["images"]
    assert answer.status == 200
    assert answer.body["object"] == "chat.completion"
    assert answer.body["model"] == "test/test"
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"] == "as drawn"
    assert choice["finish_reason"] == "stop"
    assert image["type"] == "image_url"
    digest = hashlib.sha256(bytes_of(image)).hexdigest()
    assert digest == job["result"]["data"][0]["sha256"]
    assert answer.body["usage"] is None


async def test_sdk_finds_the_image(client: AsyncOpenAI, worker: FakeWorker):
    made = await client.chat.completions.create(
        model="test/test",
        messages=[{"role": "user", "content": "a fox"}],
        temperature=0.7,
        max_tokens=100,
        extra_body={
            "modalities": BOTH,
            "image_config": {"aspect_ratio": "16:9", "image_size": "1K"},
        },
    )

    message = made.choices[0].message
    assert bytes_of(message.model_extra["images"][0]).startswith(b"\x89PNG")
    assert message.content == "as drawn"
    assert worker.seen[0].request.requested_size == "16:9 1K"


async def test_sdk_finds_the_image_in_a_stream(door: FrontDoor, worker: FakeWorker):
    images, finished, usage = [], [], []

    async with AsyncOpenAI(base_url=f"{door.url}/v1", api_key=SECRET) as client:
        chunks = await client.chat.completions.create(
            model="test/test",
            messages=[{"role": "user", "content": "a fox"}],
            n=2,
            stream=True,
            stream_options={"include_usage": True},
            extra_body={"modalities": BOTH},
        )
        async for chunk in chunks:
            assert chunk.object == "chat.completion.chunk"
            usage += [] if chunk.choices else [chunk.usage]
            for choice in chunk.choices:
                images += (choice.delta.model_extra or {}).get("images", [])
                finished += [choice.index] if choice.finish_reason else []

    assert [bytes_of(image)[:4] for image in images] == [b"\x89PNG"] * 2
    assert finished == [0, 1]
    assert usage == [None]


async def test_stream_is_said_in_chunks_without_names(
    door: FrontDoor, worker: FakeWorker
):
    answer = await door.post(ROUTE, ask(stream=True))

    lines = answer.raw.decode().split("\n\n")
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert all(line.startswith("data: {") for line in lines[:-2])
    assert lines[-2:] == ["data: [DONE]", ""]
    assert '"delta":{"role":"assistant","content":""}' in lines[0]


async def test_failure_of_a_stream_is_raised_by_the_sdk(
    client: AsyncOpenAI, worker: FakeWorker
):
    worker.verdict = failing("content_policy")

    with pytest.raises(openai.BadRequestError) as failed:
        await client.chat.completions.create(
            model="test/test",
            messages=[{"role": "user", "content": "a fox"}],
            stream=True,
            extra_body={"modalities": BOTH},
        )

    assert failed.value.code == "content_policy"


async def test_failure_within_a_stream_is_raised_by_the_sdk(
    shared_valkey, redis: Redis, tmp_path
):
    has_begun = asyncio.Event()

    async def fail(lease):
        await has_begun.wait()
        return await failing("content_policy")(lease)

    async with (
        front_door(shared_valkey.url, tmp_path, heartbeat_s=0.1) as door,
        FakeWorker(redis, door.images) as worker,
        AsyncOpenAI(base_url=f"{door.url}/v1", api_key=SECRET) as client,
    ):
        worker.verdict = fail
        chunks = await client.chat.completions.create(
            model="test/test",
            messages=[{"role": "user", "content": "a fox"}],
            stream=True,
            extra_body={"modalities": BOTH},
        )
        has_begun.set()
        with pytest.raises(openai.APIError) as failed:
            async for _ in chunks:
                pass

    assert failed.value.code == "content_policy"


async def test_each_image_is_a_choice(door: FrontDoor, worker: FakeWorker):
    answer = await door.post(ROUTE, ask(n=3))

    choices = answer.body["choices"]
    assert [choice["index"] for choice in choices] == [0, 1, 2]
    assert all(len(choice["message"]["images"]) == 1 for choice in choices)


async def test_missing_images_are_a_warning(door: FrontDoor, worker: FakeWorker):
    missing = {"code": "partial_result", "message": "1 of 2 images is missing"}
    worker.verdict = lambda lease: worker.make(lease, 1, error=missing)

    answer = await door.post(ROUTE, ask(n=2))

    assert len(answer.body["choices"]) == 1
    assert answer.body["warnings"] == [{"param": None, **missing}]


async def test_tokens_are_told_in_a_chats_words(door: FrontDoor, worker: FakeWorker):
    tokens = {"input_tokens": 7, "output_tokens": 200, "total_tokens": 207}
    worker.verdict = lambda lease: worker.make(lease, 1, usage=tokens)

    answer = await door.post(ROUTE, ask())

    assert answer.body["usage"] == {
        "prompt_tokens": 7,
        "completion_tokens": 200,
        "total_tokens": 207,
    }


@pytest.mark.parametrize(
    ("messages", "prompt"),
    [
        ([("user", "a fox")], "a fox"),
        ([("user", "a cat"), ("assistant", "here"), ("user", "a fox")], "a fox"),
        ([("user", "a fox"), ("assistant", "and then")], "a fox"),
        ([("system", "in oil"), ("user", "a fox")], "in oil\n\na fox"),
        ([("developer", "in oil"), ("user", "a fox")], "in oil\n\na fox"),
        ([("user", [text("a fox"), text("at night")])], "a fox\nat night"),
    ],
)
async def test_last_message_of_the_user_is_the_prompt(
    door: FrontDoor, worker: FakeWorker, messages: list, prompt: str
):
    said = [{"role": role, "content": content} for role, content in messages]

    answer = await door.post(ROUTE, ask() | {"messages": said})

    assert answer.status == 200
    assert worker.seen[0].request.prompt == prompt


async def test_images_of_the_last_message_are_what_to_start_from(
    door: FrontDoor, worker: FakeWorker
):
    earlier = {"role": "user", "content": [text("a cat"), picture(DATA_URL)]}
    content = [text("in snow"), picture(DATA_URL, detail="high"), picture(DATA_URL)]

    answer = await door.post(ROUTE, ask(content, earlier))

    request = worker.seen[0].request
    assert answer.status == 200
    assert (request.operation, request.prompt) == ("edit", "in snow")
    assert [image.width for image in request.images] == [32, 32]


def drawn(*urls: str) -> dict[str, Any]:
    """A turn of the assistant, as an answer told it."""
    images = [{"index": 0, **picture(url)} for url in urls]
    return {"role": "assistant", "content": "", "images": images}


FIRST = {"role": "user", "content": "a fox"}
SMALL = (
    f"data:image/png;base64,{base64.b64encode(encoded(noise(8, 8), 'PNG')).decode()}"
)


@pytest.mark.parametrize(
    ("earlier", "widths"),
    [
        ([drawn(DATA_URL)], [32]),
        ([drawn(DATA_URL, SMALL)], [32, 8]),
        ([drawn(SMALL), FIRST, drawn(DATA_URL)], [32]),
        ([drawn(DATA_URL), FIRST, {"role": "assistant", "content": "hm"}], [32]),
        ([{"role": "assistant", "content": [picture(DATA_URL), 5]}], [32]),
    ],
)
async def test_what_was_drawn_last_is_what_to_change(
    door: FrontDoor, worker: FakeWorker, earlier: list, widths: list
):
    answer = await door.post(ROUTE, ask("now make it red", FIRST, *earlier))

    request = worker.seen[0].request
    assert answer.status == 200, answer.raw
    assert (request.operation, request.prompt) == ("edit", "now make it red")
    assert [image.width for image in request.images] == widths
    assert "warnings" not in answer.body


async def test_answer_can_be_sent_back_to_be_changed(
    door: FrontDoor, worker: FakeWorker
):
    first = await door.post(ROUTE, ask())
    message = first.body["choices"][0]["message"]

    second = await door.post(ROUTE, ask("now make it red", FIRST, message))

    assert second.status == 200, second.raw
    [image] = worker.seen[1].request.images
    assert image.sha256 == hashlib.sha256(bytes_of(message["images"][0])).hexdigest()


async def test_images_of_the_user_come_before_what_was_drawn(
    door: FrontDoor, worker: FakeWorker
):
    await door.post(ROUTE, ask([picture(SMALL)], FIRST, drawn(DATA_URL)))

    assert [image.width for image in worker.seen[0].request.images] == [8]


@pytest.mark.parametrize("how", [{}, {"stream": True}], ids=["whole", "chunks"])
async def test_model_that_edits_nothing_draws_anew_and_says_so(
    door: FrontDoor, worker: FakeWorker, how: dict
):
    asked = ask("a red fox", FIRST, drawn(DATA_URL), model="openai/dall-e-3")

    answer = await door.post(ROUTE, asked | how)

    assert answer.status == 200, answer.raw
    assert worker.seen[0].request.operation == "generate"
    assert b'"warnings":[{"param":"messages"' in answer.raw


async def test_earlier_image_that_is_none_is_named(door: FrontDoor):
    answer = await door.post(ROUTE, ask("red", FIRST, drawn("data:image/png;base64,A")))

    assert (answer.status, answer.code) == (400, "invalid_url")
    assert answer.body["error"]["param"] == "messages.1.images.0.image_url"


async def test_fields_of_the_images_api_are_hints(door: FrontDoor, worker: FakeWorker):
    hints = {
        "size": "1536x1024",
        "quality": "low",
        "style": "vivid",
        "background": "opaque",
        "output_format": "webp",
        "output_compression": 50,
        "negative_prompt": "cats",
        "seed": 7,
    }

    answer = await door.post(ROUTE, ask(**hints))

    request = worker.seen[0].request
    assert answer.status == 200, answer.raw
    assert {name: getattr(request, name) for name in hints} == hints
    assert "warnings" not in answer.body


@pytest.mark.parametrize(
    ("config", "size", "dropped"),
    [
        ({"aspect_ratio": "16:9"}, "16:9", ["aspect_ratio", "size"]),
        ({"image_size": "1K"}, "3:2 1K", ["size"]),
        ({}, "1536x1024", []),
    ],
)
async def test_image_config_wins_over_what_stands_beside_it(
    door: FrontDoor, worker: FakeWorker, config: dict, size: str, dropped: list
):
    beside = {"size": "1536x1024", "aspect_ratio": "3:2"}

    answer = await door.post(ROUTE, ask(image_config=config, **beside))

    assert worker.seen[0].request.requested_size == size
    warnings = answer.body.get("warnings", [])
    assert [warning["param"] for warning in warnings] == dropped


async def test_price_and_cache_are_a_chats_business_too(
    door: FrontDoor, worker: FakeWorker
):
    costly = ask(model="openai/gpt-image-1", quality="high", max_cost=0.0001)

    refused = await door.post(ROUTE, costly)
    first = await door.post(ROUTE, ask(cache=True))
    second = await door.post(ROUTE, ask(cache=True))

    assert (refused.status, refused.code) == (400, "max_cost_exceeded")
    assert (first.headers["X-Cache"], second.headers["X-Cache"]) == ("MISS", "HIT")


async def test_image_needs_no_words(door: FrontDoor, worker: FakeWorker):
    answer = await door.post(ROUTE, ask([picture(DATA_URL)]))

    assert answer.status == 200
    assert worker.seen[0].request.operation == "edit"


async def test_what_the_model_cannot_honor_is_a_warning(
    door: FrontDoor, worker: FakeWorker
):
    answer = await door.post(ROUTE, ask(model="openai/dall-e-2", seed=5))

    assert answer.status == 200
    assert [warning["param"] for warning in answer.body["warnings"]] == ["seed"]


async def test_settings_of_words_are_ignored(door: FrontDoor, worker: FakeWorker):
    words = {
        "temperature": 0.2,
        "top_p": 1,
        "max_tokens": 10,
        "stop": ["x"],
        "tools": [{"type": "function"}],
        "response_format": {"type": "text"},
        "metadata": {"a": "b"},
        "provider": {"order": ["x"]},
    }

    answer = await door.post(ROUTE, ask(**words))

    assert answer.status == 200


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"modalities": None}, "unsupported_modality", "modalities"),
        ({"modalities": []}, "unsupported_modality", "modalities"),
        ({"modalities": ["text"]}, "unsupported_modality", "modalities"),
        ({"modalities": ["image", "audio"]}, "unsupported_modality", "modalities"),
        ({"modalities": "image"}, "wrong_type", "modalities"),
        ({"messages": []}, "missing_field", "messages"),
        ({"messages": "a fox"}, "wrong_type", "messages"),
        ({"messages": [{"role": "system", "content": "x"}]}, "missing_field", None),
        ({"messages": [{"role": "king", "content": "x"}]}, "invalid_enum", None),
        ({"messages": [{"content": "x"}]}, "missing_field", "messages.0.role"),
        ({"messages": [{"role": "user", "content": 5}]}, "wrong_type", None),
        ({"messages": [{"role": "user", "content": [5]}]}, "wrong_type", None),
        ({"messages": [{"role": "user", "content": " "}]}, "empty_prompt", "messages"),
        ({"messages": [{"role": "user"}]}, "missing_field", "messages"),
        ({"n": 0}, "invalid_n", "n"),
        ({"n": 99}, "n_too_large", "n"),
        ({"width": 512}, "unknown_field", "width"),
        ({"image_config": {"aspect_ratio": "round"}}, "invalid_size", None),
        ({"stream_options": {"include_usage": "yes"}}, "wrong_type", None),
    ],
)
async def test_what_cannot_be_drawn_is_refused(
    door: FrontDoor, redis: Redis, fields: dict, code: str, param: str | None
):
    answer = await door.post(ROUTE, ask() | fields)

    assert (answer.status, answer.code) == (400, code)
    assert param in (None, answer.body["error"]["param"])
    assert not [key async for key in redis.scan_iter("darkroom:job:*")]


@pytest.mark.parametrize(
    ("part", "code"),
    [
        ({"type": "input_audio", "input_audio": {}}, "wrong_type"),
        ({"type": "text"}, "wrong_type"),
        ({"type": "image_url"}, "wrong_type"),
        ({"type": "image_url", "image_url": {}}, "wrong_type"),
        (picture("ftp://example.com/x.png"), "invalid_url"),
        (picture("data:text/html;base64,AAAA"), "invalid_url"),
        (picture("data:image/png;base64,AAAA"), "unsupported_image"),
    ],
)
async def test_part_that_is_neither_text_nor_image_is_named(
    door: FrontDoor, part: dict, code: str
):
    answer = await door.post(ROUTE, ask([text("a fox"), part]))

    assert (answer.status, answer.code) == (400, code)
    assert answer.body["error"]["param"].startswith("messages.0.content.1")


async def test_refusals_become_the_sdks_exceptions(door: FrontDoor):
    def call(secret: str, **fields: Any) -> None:
        with OpenAI(base_url=f"{door.url}/v1", api_key=secret) as client:
            client.chat.completions.create(**ask(**fields))

    for secret, fields, refused in (
        ("sk_nobody", {}, openai.AuthenticationError),
        (SECRET, {"model": "no/such"}, openai.NotFoundError),
        (SECRET, {"modalities": ["text"]}, openai.BadRequestError),
    ):
        with pytest.raises(refused):
            await asyncio.to_thread(call, secret, **fields)


async def test_answer_that_takes_too_long_names_the_job(
    shared_valkey, redis: Redis, tmp_path
):
    async with front_door(shared_valkey.url, tmp_path, sync_wait_s=0.2) as door:
        answer = await door.post(ROUTE, ask())

    assert (answer.status, answer.code) == (504, "still_running")
    assert answer.headers["x-should-retry"] == "true"


async def test_caller_may_have_the_job_instead(door: FrontDoor, worker: FakeWorker):
    worker.verdict = never

    answer = await door.post(ROUTE, ask(), Prefer="respond-async")

    assert (answer.status, answer.body["object"]) == (202, "image.job")
